"""From the data of an operation to the body, headers and status of a reply, compiled from the directives.

Objects without directives below them are passed on as they are: rows cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from core.errors import NotFound
from rest_compat.directives import EMPTY, NULL, ZERO, Status
from rest_compat.selection import TYPENAME, Selected, Selection

_NOTHING: tuple[object, ...] = (None, "", [], {})
_ABSENT: dict[str, tuple[object, ...]] = {NULL: (None,), EMPTY: _NOTHING, ZERO: (0,)}


@dataclass(slots=True)
class Projection:
    """What becomes of one result."""

    body: Any = None
    status: int | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)


Shape = Callable[[Any, Projection], Any]
"""Takes a value that is not null and returns what stands for it."""

_Action = Callable[[dict[str, Any], str, Any, Projection], None]
"""Puts one key of an object where it belongs."""


class Projector:
    """The shape of one endpoint's replies. `noun` names a type to people."""

    def __init__(self, selection: Selection, noun: Callable[[str], str]) -> None:
        self._shape = _object(selection)
        self._chain = chain(selection)
        self._noun = noun

    def project(self, data: dict[str, Any]) -> Projection:
        """Raises `NotFound` if what stands for the body is null."""
        self._must_exist(data)
        projection = Projection()
        projection.body = data if self._shape is None else self._shape(data, projection)
        return projection

    def _must_exist(self, data: dict[str, Any]) -> None:
        value: Any = data
        for link in self._chain:
            value = value[link.key]
            if value is None and not any(status.when == NULL for status in link.marks.statuses):
                raise NotFound(f"{self._noun(link.type_name)} not found")
            if value is None:
                return


def chain(selection: Selection) -> tuple[Selected, ...]:
    """The objects unwrapped from the root on, which have to exist; a leaf may well be null."""
    links = []
    link = selection.unwrapped
    while link is not None and link.below is not None and not link.many:
        links.append(link)
        link = link.below.unwrapped
    return tuple(links)


def _object(selection: Selection) -> Shape | None:
    """None if objects pass unchanged."""
    unwrapped = selection.unwrapped
    if unwrapped is not None:
        return _unwrap(unwrapped, _actions(selection))
    actions = _actions(selection)
    return _rebuild(actions) if actions else None


def _actions(selection: Selection) -> dict[str, _Action]:
    return {each.key: action for each in selection.fields if (action := _action(each)) is not None}


def _unwrap(unwrapped: Selected, actions: dict[str, _Action]) -> Shape:
    """Besides the one that stays there are only fields that act on the reply."""

    def shape(value: dict[str, Any], projection: Projection) -> Any:
        kept: dict[str, Any] = {}
        for key, action in actions.items():
            action(kept, key, value[key], projection)
        return kept[unwrapped.key] if unwrapped.key in kept else value[unwrapped.key]

    return shape


def _rebuild(actions: dict[str, _Action]) -> Shape:
    def shape(value: dict[str, Any], projection: Projection) -> Any:
        out: dict[str, Any] = {}
        for key, inner in value.items():
            action = actions.get(key)
            if action is None:
                out[key] = inner
            else:
                action(out, key, inner, projection)
        return out

    return shape


def _action(selected: Selected) -> _Action | None:
    """What has to be done for a field; None if it stays as it is."""
    act = _placed(selected)
    if not selected.marks.statuses:
        return act
    place = act or _keep
    statuses = selected.marks.statuses
    typed = any(status.of_type for status in statuses)

    def with_status(out: dict[str, Any], key: str, value: Any, projection: Projection) -> None:
        projection.status = next((each.code for each in statuses if _applies(each, value)), projection.status)
        place(out, key, _untyped(value) if typed and isinstance(value, dict) else value, projection)

    return with_status


def _placed(selected: Selected) -> _Action | None:
    marks = selected.marks
    below = _each(_object(selected.below)) if selected.below is not None else None
    if marks.header is not None:
        return _to_header(marks.header)
    if marks.spread:
        return _spread(below)
    if marks.omit is not None:
        return _omit(_ABSENT[marks.omit], below)
    return _keep_shaped(below) if below is not None else None


def _each(shape: Shape | None) -> Shape | None:
    """The shape for a value that may be null or a list of them."""
    if shape is None:
        return None

    def many(value: Any, projection: Projection) -> Any:
        if isinstance(value, list):
            return [many(item, projection) for item in value]
        return None if value is None else shape(value, projection)

    return many


def _keep(out: dict[str, Any], key: str, value: Any, _: Projection) -> None:
    out[key] = value


def _keep_shaped(below: Shape) -> _Action:
    def keep(out: dict[str, Any], key: str, value: Any, projection: Projection) -> None:
        out[key] = below(value, projection)

    return keep


def _to_header(name: str) -> _Action:
    def to_header(_: dict[str, Any], __: str, value: Any, projection: Projection) -> None:
        if value is not None:
            projection.headers.append((name, str(value)))

    return to_header


def _spread(below: Shape | None) -> _Action:
    def spread(out: dict[str, Any], _: str, value: Any, projection: Projection) -> None:
        out |= value if below is None else below(value, projection)

    return spread


def _omit(absent: tuple[object, ...], below: Shape | None) -> _Action:
    def omit(out: dict[str, Any], key: str, value: Any, projection: Projection) -> None:
        if value not in absent:
            out[key] = value if below is None else below(value, projection)

    return omit


def _applies(status: Status, value: Any) -> bool:
    if status.when == NULL:
        return value is None
    if status.when == EMPTY:
        return value in _NOTHING
    return isinstance(value, dict) and value[TYPENAME] == status.when


def _untyped(value: dict[str, Any]) -> dict[str, Any]:
    """Without the type that was only asked for to choose a status."""
    return {key: inner for key, inner in value.items() if key != TYPENAME}
