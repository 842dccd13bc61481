"""From a request to the variables of an operation, and from errors back to the request. Built once per endpoint.

Absent, null and empty are three things: what a request does not send is not among the variables.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from graphql import get_nullable_type, is_list_type, is_non_null_type
from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import FormData, ImmutableMultiDict

from core.errors import InvalidInput, Problem
from rest_compat.dialect import Dialect, Pages
from rest_compat.directives import Source
from rest_compat.faults import Fault, Unbindable
from rest_compat.models import Member, Models
from rest_compat.parameters import Parameter


class Absent:
    """The type of `ABSENT`: no body at all, which is not a body of `null`."""


ABSENT: Final = Absent()


@dataclass(frozen=True, slots=True)
class Received:
    """What a request sends. `body` is a JSON value, a form, or a file."""

    path: Mapping[str, str]
    query: ImmutableMultiDict[str, Any]
    body: Any = ABSENT


PATH, QUERY, BODY = "path", "query", "body"
EVERYTHING = (PATH, QUERY, BODY)
_PLACES = {Source.PATH: PATH, Source.QUERY: QUERY, Source.PAGE: QUERY, Source.PREFIX: QUERY}

OFFSET, SIZE = "offset", "size"
"""What of a page a variable can be."""
LARGEST_OFFSET = 2**31 - 1
"""A page further on has nothing either."""
LONGEST_NUMBER = 20
"""Digits, of what may still be a number of pages."""

FIELD, DIRECTION = "field", "direction"
"""Members of a term of an order."""

_WHOLE = re.compile(r"0*([1-9][0-9]*)")

_Part = Callable[[Received], dict[str, Any]]


class Binder:
    """Checks a request against the variables of one endpoint."""

    def __init__(self, name: str, parameters: Sequence[Parameter], models: Models, dialect: Dialect) -> None:
        self._parameters = parameters
        self._dialect, self._spell = dialect, dialect.spell
        self._used = frozenset(parameter.variable for parameter in parameters if parameter.usages)
        self._by_wire = {parameter.wire: parameter for parameter in parameters}
        self._by_usage = {path: parameter for parameter in parameters for path in parameter.usages}
        sources = {parameter.source for parameter in parameters}
        self.reads_body = not sources <= _PLACES.keys()
        self.reads_form = Source.FORM in sources
        self.reads_file = Source.FILE in sources
        self._parts = [(_place(source), self._part(name, source, models)) for source in Source if source in sources]

    def bind(self, received: Received, places: Collection[str] = EVERYTHING) -> dict[str, Any]:
        """The variables that come from those places, in GraphQL's spelling. Raises one `Unbindable` with every fault."""
        variables: dict[str, Any] = {}
        faults: list[Fault] = []
        for place, part in self._parts:
            if place in places:
                try:
                    variables |= part(received)
                except Unbindable as error:
                    faults += error.faults
        if faults:
            raise Unbindable(faults)
        return {name: value for name, value in variables.items() if name in self._used}

    def faults(self, error: InvalidInput) -> tuple[Fault, ...]:
        """Where on the wire an error from below has its causes. What may be secret is not sent back."""
        if isinstance(error, Unbindable):
            return tuple(fault.without_secrets() for fault in error.faults)
        problems = error.problems or (Problem((), error.detail),)
        return tuple(Fault(self._locate(each.path), each.kind, each.message, each.value).without_secrets() for each in problems)

    def _locate(self, path: tuple[str | int, ...]) -> tuple[str | int, ...]:
        """A problem names an argument path of the graph, or a field of a use case."""
        for length in range(len(path), 0, -1):
            used = self._by_usage.get(path[:length])  # type: ignore[arg-type]  # an index is in no usage
            if used is not None:
                return self._in(used, path[length:])
        rest = tuple(self._spell(each) if isinstance(each, str) else each for each in path)
        named = self._by_wire.get(str(rest[0])) if rest else None
        return (BODY, *rest) if named is None else self._in(named, rest[1:])

    def _in(self, parameter: Parameter, rest: Sequence[str | int]) -> tuple[str | int, ...]:
        inner = tuple(self._spell(each) if isinstance(each, str) else each for each in rest)
        own = () if parameter.source is Source.BODY else (parameter.wire,)
        return (_place(parameter.source), *own, *inner)

    def _part(self, name: str, source: Source, models: Models) -> _Part:
        parameters = [parameter for parameter in self._parameters if parameter.source is source]
        match source:
            case Source.BODY:
                return _whole_body(parameters[0], models)
            case Source.FILE:
                return lambda received: {parameters[0].variable: received.body}
            case Source.PAGE:
                assert self._dialect.pages is not None, "rules see to it"
                return _page(self._dialect.pages, parameters)
            case Source.PREFIX:
                return _order(self._dialect.ascending, parameters)
        model = models.model(f"{name}_{_place(source)}", [_member(each) for each in parameters])
        if source is Source.FIELD:
            required = any(parameter.required for parameter in parameters)
            return lambda received: {} if _nothing(received, required=required) else _check(model, received.body)
        lists = frozenset(each.wire for each in parameters if is_list_type(get_nullable_type(each.type)))
        names = [parameter.wire for parameter in parameters]
        return _named_values(_place(source), model, names, lists)


def _place(source: Source) -> str:
    return _PLACES.get(source, BODY)


def _member(parameter: Parameter) -> Member:
    return Member(parameter.wire, parameter.variable, parameter.type, parameter.constraint, parameter.required)


def _nothing(received: Received, *, required: bool) -> bool:
    """Whether there is no body; a fault if there has to be one."""
    if received.body is ABSENT and required:
        raise Unbindable([Fault((BODY,), "missing", "Field required")])
    return received.body is ABSENT


def _whole_body(parameter: Parameter, models: Models) -> _Part:
    adapter = TypeAdapter(models.annotation(parameter.type, parameter.constraint))

    def part(received: Received) -> dict[str, Any]:
        if _nothing(received, required=parameter.required):
            return {}
        try:
            value = adapter.validate_python(received.body, from_attributes=True)
        except ValidationError as error:
            raise Unbindable(_faults(error, BODY)) from error
        if value is None and is_non_null_type(parameter.type):  # any JSON would do
            raise Unbindable([Fault((BODY,), "missing", "Field required")])
        return {parameter.variable: adapter.dump_python(value, by_alias=True, exclude_unset=True)}

    return part


def _named_values(place: str, model: type[Any], names: Sequence[str], lists: frozenset[str]) -> _Part:
    """The path, the query or a form: texts by name. A missing one has no input to show."""

    def part(received: Received) -> dict[str, Any]:
        given: Any = received.path if place == PATH else received.query if place == QUERY else _form(received.body)
        values = {name: given.getlist(name) if name in lists else given[name] for name in names if name in given}
        return _check(model, values, place)

    return part


def _page(pages: Pages, parameters: Sequence[Parameter]) -> _Part:
    def part(received: Received) -> dict[str, Any]:
        faults: list[Fault] = []
        number = _counted(received, pages.number, 1, faults)
        size = min(_counted(received, pages.size, pages.largest, faults), pages.largest)
        if faults:
            raise Unbindable(faults)
        place = {OFFSET: min((number - 1) * size, LARGEST_OFFSET), SIZE: size}
        return {parameter.variable: place[parameter.wire] for parameter in parameters}

    return part


def _counted(received: Received, name: str, default: int, faults: list[Fault]) -> int:
    given = received.query.get(name)
    if given is None:
        return default
    found = _WHOLE.fullmatch(given)
    if found is None:
        faults.append(Fault((QUERY, name), "int_parsing", "Input should be a whole number from 1 on", given))
        return default
    return int(found[1]) if len(found[1]) <= LONGEST_NUMBER else 10**LONGEST_NUMBER


def _order(ascending: str, parameters: Sequence[Parameter]) -> _Part:
    def part(received: Received) -> dict[str, Any]:
        given = received.query.multi_items()
        return {
            parameter.variable: [
                {FIELD: name.removeprefix(parameter.wire), DIRECTION: "ASC" if value == ascending else "DESC"}
                for name, value in given
                if name.startswith(parameter.wire) and name != parameter.wire
            ]
            for parameter in parameters
        }

    return part


def _form(body: object) -> ImmutableMultiDict[str, Any]:
    """A form field that was left empty was not sent."""
    return FormData([(name, value) for name, value in body.multi_items() if value != ""] if isinstance(body, FormData) else [])


def _check(model: type[Any], values: object, place: str | None = None) -> dict[str, Any]:
    try:
        checked = model.__pydantic_validator__.validate_python(values, from_attributes=True)
    except ValidationError as error:
        raise Unbindable(_faults(error, place or BODY, hide_missing=place is not None)) from error
    members: dict[str, Any] = model.__pydantic_serializer__.to_python(checked, by_alias=True, exclude_unset=True)
    return members


def _faults(error: ValidationError, place: str, *, hide_missing: bool = False) -> list[Fault]:
    return [
        Fault(
            (place, *each["loc"]),
            each["type"],
            each["msg"],
            None if hide_missing and each["type"] == "missing" else each["input"],
            each.get("ctx"),
        )
        for each in error.errors(include_url=False)
    ]
