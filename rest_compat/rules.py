"""What a valid GraphQL document can still get wrong as a REST endpoint. Each rule yields what it finds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator

from graphql import (
    OperationType,
    get_named_type,
    get_nullable_type,
    is_input_object_type,
    is_list_type,
    is_non_null_type,
)

from engine.constraints import Constraint
from rest_compat.binder import DIRECTION, FIELD, OFFSET, SIZE
from rest_compat.declaration import Declaration
from rest_compat.directives import NULL, ZERO, Source, Wire
from rest_compat.mistakes import Mistake
from rest_compat.parameters import Parameter
from rest_compat.selection import Selected, Selection

_BODY_SOURCES = frozenset({Source.FIELD, Source.BODY, Source.FORM, Source.FILE})
_WHOLE_BODIES = frozenset({Source.BODY, Source.FILE})
_TEXTS = frozenset({"String", "ID"})
_NUMBERS = frozenset({"Int", "Long", "Float"})


def path_and_variables(declared: Declaration) -> Iterator[Mistake]:
    """Path parameters and variables bound to the path are the same names."""
    names = set(declared.template.parameters)
    bound = {parameter.wire for parameter in declared.parameters if parameter.source is Source.PATH}
    for name in sorted(names - bound):
        yield Mistake.at(declared.rest_node, f"Path parameter {name!r} has no variable.")
    for parameter in _from(declared, Source.PATH):
        if parameter.wire not in names:
            yield Mistake.at(
                parameter.node, f"'${parameter.variable}' is bound to the path, which has no {{{parameter.wire}}}."
            )
        elif not is_non_null_type(parameter.type):
            yield Mistake.at(
                parameter.node, f"'${parameter.variable}' comes from the path and is never null: write its type with !."
            )


def method(declared: Declaration) -> Iterator[Mistake]:
    """What changes something is not a GET unless it says so; a GET has no body."""
    if declared.rest.method != "GET":
        return
    if declared.kind is OperationType.MUTATION and not declared.rest.unsafe:
        yield Mistake.at(declared.rest_node, "A mutation on GET has to say `unsafe: true`.")
    for parameter in _from(declared, *_BODY_SOURCES):
        yield Mistake.at(parameter.node, f"'${parameter.variable}' comes from the body, which a GET does not have.")


def sources(declared: Declaration) -> Iterator[Mistake]:
    """One body is read in one way, and a name on the wire means one thing."""
    bodies = [parameter for parameter in declared.parameters if parameter.source in _BODY_SOURCES]
    for parameter in bodies[1:]:
        if parameter.source in _WHOLE_BODIES or parameter.source is not bodies[0].source:
            message = f"'${parameter.variable}' ({parameter.source}) and '${bodies[0].variable}' ({bodies[0].source}) cannot share the body."
            yield Mistake.at(parameter.node, message)
    seen = Counter((parameter.source, parameter.wire) for parameter in declared.parameters)
    for parameter in declared.parameters:
        if seen[parameter.source, parameter.wire] > 1:
            yield Mistake.at(parameter.node, f"Several variables are {parameter.wire!r} of {parameter.source}.")
    for parameter in _from(declared, Source.PATH, Source.QUERY, Source.FORM):
        if is_input_object_type(get_named_type(parameter.type)):
            yield Mistake.at(parameter.node, f"'${parameter.variable}' is an input object, which only a JSON body can hold.")


def parameters_of_dialects(declared: Declaration) -> Iterator[Mistake]:
    """What a dialect makes of parameters has one shape, and so have the variables that take it."""
    for parameter in _from(declared, Source.PAGE):
        if declared.dialect.pages is None:
            yield Mistake.at(parameter.node, f"The dialect {declared.dialect.name!r} has no pages by number.")
        elif parameter.wire not in {OFFSET, SIZE} or get_named_type(parameter.type).name != "Int":
            yield Mistake.at(parameter.node, f"'${parameter.variable}' of a PAGE is an Int, and named {OFFSET!r} or {SIZE!r}.")
    for parameter in _from(declared, Source.PREFIX):
        term = get_named_type(parameter.type)
        if not (is_input_object_type(term) and set(term.fields) == {FIELD, DIRECTION}) or not _is_list(parameter):
            message = f"'${parameter.variable}' of a PREFIX is a list of terms with {FIELD!r} and {DIRECTION!r}."
            yield Mistake.at(parameter.node, message)
    for parameter in _from(declared, Source.FILE):
        if get_named_type(parameter.type).name != "Upload" or _is_list(parameter):
            yield Mistake.at(parameter.node, f"'${parameter.variable}' is a file: its type is Upload.")


def _is_list(parameter: Parameter) -> bool:
    return is_list_type(get_nullable_type(parameter.type))


def unused_variables(declared: Declaration) -> Iterator[Mistake]:
    """A variable is used, or at least checked."""
    for parameter in declared.parameters:
        if not parameter.usages and parameter.constraint is None:
            yield Mistake.at(parameter.node, f"'${parameter.variable}' is never used and has no @constraint to check.")


def constraints(declared: Declaration) -> Iterator[Mistake]:
    """A constraint can be met, and fits its type."""
    for parameter in declared.parameters:
        own = any(directive.name.value == "constraint" for directive in parameter.node.directives or ())
        if own and parameter.constraint is not None:
            for message in _constraint(parameter, parameter.constraint):
                yield Mistake.at(parameter.node, f"@constraint of '${parameter.variable}': {message}.")


def _constraint(parameter: Parameter, constraint: Constraint) -> Iterator[str]:
    name = get_named_type(parameter.type).name
    bounds = (constraint.min, constraint.max)
    lengths = (constraint.min_length, constraint.max_length)
    for low, high in (bounds, lengths):
        if low is not None and high is not None and low > high:
            yield f"{low} is above {high}"
    if bounds != (None, None) and name not in _NUMBERS:
        yield f"min and max are for numbers, not {name}"
    if (lengths, constraint.pattern, constraint.one_of) != ((None, None), None, None) and name not in _TEXTS:
        yield f"lengths, pattern and oneOf are for text, not {name}"
    if _is_list(parameter):
        yield "it is about one value, not about a list"
    if constraint.nullable is not None and is_non_null_type(parameter.type):
        yield "nullable is for nullable types"
    try:
        re.compile(constraint.pattern or "")
    except re.error as error:
        yield f"the pattern does not compile: {error}"


def statuses(declared: Declaration) -> Iterator[Mistake]:
    """Statuses are statuses of a reply; 204 has no body."""
    for code in (declared.rest.status, *(each.code for field in _fields(declared) for each in field.marks.statuses)):
        if not 200 <= code <= 599:
            yield Mistake.at(declared.rest_node, f"{code} is no status of a reply.")
    if declared.rest.status == 204 and declared.wire is not Wire.EMPTY:
        yield Mistake.at(declared.rest_node, "A 204 has no body: leave out @wire.")


def alternates(declared: Declaration) -> Iterator[Mistake]:
    """Every `when` names a parameter."""
    for condition in declared.rest.when:
        if not re.fullmatch(r"[\w.-]+", condition.parameter):
            yield Mistake.at(
                declared.rest_node, f'`when` names parameters, as in "skip" or "shape=array": not {condition.parameter!r}.'
            )


def stream(declared: Declaration) -> Iterator[Mistake]:
    """A subscription is served as a JSON array: one root field, a list, unwrapped; or as CSV: a text."""
    if declared.wire is Wire.CSV:
        yield from _csv(declared)
        return
    if declared.filename is not None:
        yield Mistake.at(declared.rest_node, "Only CSV has a file name.")
    if declared.kind is not OperationType.SUBSCRIPTION:
        return
    (root,) = declared.selection.fields
    if declared.wire is not Wire.JSON or declared.rest.method != "GET":
        yield Mistake.at(declared.rest_node, "A subscription is served by GET as a JSON array.")
    if not (root.marks.unwrap and root.many):
        yield Mistake.at(root.node, "A subscription is a JSON array of the rows of its root field: a list with @unwrap.")


def _csv(declared: Declaration) -> Iterator[Mistake]:
    fields = declared.selection.fields
    if declared.kind is not OperationType.SUBSCRIPTION or declared.rest.method != "GET":
        yield Mistake.at(declared.rest_node, "CSV is what a subscription yields, and served by GET.")
    elif len(fields) != 1 or not fields[0].marks.unwrap or fields[0].many or fields[0].type_name != "String":
        yield Mistake.at(fields[0].node, "CSV is the text of its root field: a String with @unwrap.")
    for name in re.findall(r"\{(.*?)\}", declared.filename or ""):
        if name not in declared.template.parameters:
            yield Mistake.at(declared.rest_node, f"The file name needs {name!r}, which the path does not have.")


def acknowledged(declared: Declaration) -> Iterator[Mistake]:
    """Members can stand beside an acknowledgement if the body has any."""
    if declared.wire is Wire.ACKNOWLEDGED and not declared.dialect.acknowledgement:
        yield Mistake.at(declared.rest_node, f"An acknowledgement of the dialect {declared.dialect.name!r} has no members.")


def shape(declared: Declaration) -> Iterator[Mistake]:
    """The directives of the selection fit together."""
    yield from _shape(declared.selection, single=declared.kind is not OperationType.SUBSCRIPTION)


def _shape(selection: Selection, *, single: bool) -> Iterator[Mistake]:
    yield from _unwraps(selection)
    yield from _collisions(selection)
    for field in selection.fields:
        yield from _field(field, single=single)
        if field.below is not None:
            yield from _shape(field.below, single=single and not field.many)


def _unwraps(selection: Selection) -> Iterator[Mistake]:
    first = selection.unwrapped
    for field in selection.fields if first else ():
        if field is not first and field.marks.unwrap:
            yield Mistake.at(field.node, "A second @unwrap at one level.")
        elif field is not first and field.marks.header is None:
            yield Mistake.at(field.node, f"{field.key!r} would be lost beside @unwrap: give it a @header or leave it out.")


def _collisions(selection: Selection) -> Iterator[Mistake]:
    for fields in selection.variants.values():
        seen: set[str] = set()
        for field in fields:
            for key in _keys(field):
                if key in seen:
                    yield Mistake.at(field.node, f"The key {key!r} is there twice.")
                seen.add(key)


def _keys(field: Selected) -> Iterator[str]:
    """The keys that a field puts into its object."""
    if field.marks.spread and field.below is not None:
        for inner in field.below.fields:
            yield from _keys(inner)
    elif field.marks.header is None and not field.marks.spread:
        yield field.key


def _field(field: Selected, *, single: bool) -> Iterator[Mistake]:
    marks = field.marks
    if [marks.unwrap, marks.spread, marks.header is not None, marks.omit is not None].count(True) > 1:
        yield Mistake.at(field.node, "Of @unwrap, @spread, @header and @omit a field has one.")
    if marks.spread and not _has_keys(field):
        yield Mistake.at(field.node, "@spread needs an object that is never null.")
    if marks.header is not None and (field.below is not None or field.many):
        yield Mistake.at(field.node, "@header needs a leaf.")
    if (marks.header is not None or marks.statuses) and not single:
        yield Mistake.at(field.node, "@header and @status speak about one value, not about each of a list.")
    if marks.omit == ZERO and field.type_name not in _NUMBERS:
        yield Mistake.at(field.node, f"{field.key!r} is no number, so it is never 0.")
    if marks.omit == NULL and not field.nullable:
        yield Mistake.at(field.node, f"{field.key!r} is never null, so @omit never applies.")
    for status in marks.statuses:
        if status.of_type and status.when not in (field.below.variants if field.below else ()):
            yield Mistake.at(field.node, f"@status: {field.key!r} is never of type {status.when!r}.")


def _has_keys(field: Selected) -> bool:
    """Whether it is an object, of a type or of JSON that is made, not stored as text."""
    if field.many or field.nullable:
        return False
    return field.type_name == "JSON" and field.computed if field.below is None else field.below.unwrapped is None


def _from(declared: Declaration, *wanted: Source) -> Iterator[Parameter]:
    return (parameter for parameter in declared.parameters if parameter.source in wanted)


def _fields(declared: Declaration) -> Iterator[Selected]:
    return (field for selection in declared.selection.walk() for field in selection.fields)


RULES: tuple[Callable[[Declaration], Iterator[Mistake]], ...] = (
    path_and_variables,
    method,
    sources,
    parameters_of_dialects,
    unused_variables,
    constraints,
    statuses,
    alternates,
    stream,
    acknowledged,
    shape,
)
