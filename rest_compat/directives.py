"""The transport directives: the whole vocabulary in which a document says how its operation looks over REST.

They exist only here: documents are validated against the public schema plus these, and executed without them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from graphql import (
    DirectiveNode,
    FieldNode,
    GraphQLSchema,
    OperationDefinitionNode,
    VariableDefinitionNode,
    build_ast_schema,
    parse,
)
from graphql.execution import get_argument_values

from engine.constraints import Constraint

SDL = '''
"""Serves the operation at a route. With `when`, only if the query has one of these parameters (`"skip"`, `"shape=array"`)."""
directive @rest(
  method: RestMethod!
  path: String!
  dialect: RestDialect!
  status: Int! = 200
  "Obligatory for a mutation on GET."
  unsafe: Boolean! = false
  when: [String!]
  tags: [String!]
  deprecated: Boolean! = false
) repeatable on QUERY | MUTATION | SUBSCRIPTION

"""Where a variable comes from, and its name there. AUTO: the path if it is named there, else the query of a GET or DELETE, else the JSON body."""
directive @bind(from: RestSource! = AUTO, name: String) on VARIABLE_DEFINITION

"""What is accepted beyond the type. A variable that only carries a constraint may go unused: it is checked and dropped."""
directive @constraint(
  min: Int
  max: Int
  minLength: Int
  maxLength: Int
  pattern: String
  oneOf: [String!]
  nullable: Boolean
) on VARIABLE_DEFINITION

"""The field's value stands for the whole object. Null under an `@unwrap` at the root is `NotFound`."""
directive @unwrap on FIELD

"""The keys of the field's object move into the parent."""
directive @spread on FIELD

"""A JSON key that is no GraphQL name."""
directive @key(name: String!) on FIELD

"""Absent instead of null, instead of null and empty, or instead of 0."""
directive @omit(when: RestNothing! = NULL) on FIELD

"""The value goes into a response header, not into the body."""
directive @header(name: String!) on FIELD

"""Another success status if the field is `NULL`, is `EMPTY`, or is an object of the named type."""
directive @status(when: String!, code: Int!) repeatable on FIELD

"""The representation of the body. EMPTY (implied by 204): the result is dropped and the dialect acknowledges the call.

ACKNOWLEDGED: the result's members stand beside the dialect's acknowledgement. CSV: the texts of a subscription, one after the
other, as a file of that name, in which `{lookup_id}` is a path parameter.
"""
directive @wire(as: RestWire!, filename: String) on QUERY | MUTATION | SUBSCRIPTION

enum RestMethod { GET POST PUT PATCH DELETE }
enum RestSource { AUTO PATH QUERY PAGE PREFIX FIELD BODY FORM FILE }
enum RestNothing { NULL EMPTY ZERO }
enum RestWire { JSON EMPTY ACKNOWLEDGED CSV }
'''


class Source(StrEnum):
    """Where a variable comes from; FIELD is a member of the JSON body, BODY the whole of it.

    PAGE is `offset` or `size` of the page that the dialect's parameters name by its number. PREFIX are all parameters whose
    names begin so, as terms of an order. FILE is the first part of a multipart body that has a file name.
    """

    AUTO = "AUTO"
    PATH = "PATH"
    QUERY = "QUERY"
    PAGE = "PAGE"
    PREFIX = "PREFIX"
    FIELD = "FIELD"
    BODY = "BODY"
    FORM = "FORM"
    FILE = "FILE"


class Wire(StrEnum):
    """How the result is represented."""

    JSON = "JSON"
    EMPTY = "EMPTY"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    CSV = "CSV"


NULL, EMPTY, ZERO = "NULL", "EMPTY", "ZERO"


@dataclass(frozen=True, slots=True)
class Representation:
    """`@wire` of an operation."""

    wire: Wire
    filename: str | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """One `when`: a query parameter that has to be present, with that value if one is given."""

    parameter: str
    value: str | None

    @classmethod
    def parse(cls, text: str) -> Condition:
        """From `name` or `name=value`."""
        parameter, equals, value = text.partition("=")
        return cls(parameter, value if equals else None)

    def overlaps(self, other: Condition) -> bool:
        """Whether one value of one parameter can satisfy both."""
        return self.parameter == other.parameter and (None in {self.value, other.value} or self.value == other.value)


@dataclass(frozen=True, slots=True)
class Rest:
    """One `@rest` of an operation."""

    method: str
    path: str
    dialect: str
    status: int
    unsafe: bool
    when: tuple[Condition, ...]
    tags: tuple[str, ...]
    deprecated: bool


@dataclass(frozen=True, slots=True)
class Bind:
    """`@bind` of a variable, or what stands for it when there is none."""

    source: Source = Source.AUTO
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """One `@status` of a field; `when` is NULL, EMPTY or the name of an object type."""

    when: str
    code: int

    @property
    def of_type(self) -> bool:
        """Whether it depends on the type of the object."""
        return self.when not in {NULL, EMPTY}


@dataclass(frozen=True, slots=True)
class Marks:
    """What the directives say of one selected field."""

    unwrap: bool = False
    spread: bool = False
    key: str | None = None
    omit: str | None = None
    header: str | None = None
    statuses: tuple[Status, ...] = ()

    def __bool__(self) -> bool:
        return self != UNMARKED


UNMARKED = Marks()


class Vocabulary:
    """The directives for a set of dialects: extends a schema by them and reads them off AST nodes."""

    def __init__(self, dialects: Iterable[str]) -> None:
        enum = "enum RestDialect { " + " ".join(dialects) + " }"
        ours = build_ast_schema(parse(SDL + enum), assume_valid=True).directives
        self._directives = {each.name: each for each in ours if each.name in _NAMES}

    def extend(self, schema: GraphQLSchema) -> GraphQLSchema:
        """The schema with these directives and no others: a document that skips or defers has no one shape."""
        parts: dict[str, Any] = {**schema.to_kwargs(), "directives": tuple(self._directives.values())}
        return GraphQLSchema(**parts)

    def rests(self, operation: OperationDefinitionNode) -> list[tuple[Rest, DirectiveNode]]:
        """Every `@rest`, with its node for messages."""
        return [(_rest(values), node) for values, node in self._read("rest", operation)]

    def wire(self, operation: OperationDefinitionNode) -> Representation | None:
        """What `@wire` says, if anything."""
        found = (Representation(Wire(values["as"]), values.get("filename")) for values, _ in self._read("wire", operation))
        return next(found, None)

    def bind(self, variable: VariableDefinitionNode) -> Bind:
        """What `@bind` says, or its default."""
        for values, _ in self._read("bind", variable):
            return Bind(Source(values["from"]), values.get("name"))
        return Bind()

    def constraint(self, variable: VariableDefinitionNode) -> Constraint | None:
        """What `@constraint` says, if anything."""
        for values, _ in self._read("constraint", variable):
            return Constraint(**{_PYTHON_NAMES.get(name, name): value for name, value in values.items()})
        return None

    def marks(self, field: FieldNode) -> Marks:
        """Everything that the directives say of a field."""
        if not field.directives:
            return UNMARKED
        values = {node.name.value: values for values, node in self._read(None, field)}
        return Marks(
            unwrap="unwrap" in values,
            spread="spread" in values,
            key=values.get("key", {}).get("name"),
            omit=values.get("omit", {}).get("when"),
            header=values.get("header", {}).get("name"),
            statuses=tuple(Status(each["when"], each["code"]) for each, _ in self._read("status", field)),
        )

    def _read(
        self, name: str | None, node: OperationDefinitionNode | VariableDefinitionNode | FieldNode
    ) -> Iterator[tuple[dict[str, Any], DirectiveNode]]:
        for directive in node.directives or ():
            if name in {None, directive.name.value}:
                yield get_argument_values(self._directives[directive.name.value], directive), directive


_NAMES = frozenset(["rest", "bind", "constraint", "unwrap", "spread", "key", "omit", "header", "status", "wire"])
_PYTHON_NAMES = {"minLength": "min_length", "maxLength": "max_length", "oneOf": "one_of"}


def _rest(values: dict[str, Any]) -> Rest:
    return Rest(
        method=values["method"],
        path=values["path"],
        dialect=values["dialect"],
        status=values["status"],
        unsafe=values["unsafe"],
        when=tuple(Condition.parse(text) for text in values.get("when") or ()),
        tags=tuple(values.get("tags") or ()),
        deprecated=values["deprecated"],
    )
