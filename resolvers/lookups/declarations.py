"""Declarations as clients send them: attributes, their defaults, the rules (contract lmio-watcher §5.1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from core.errors import InvalidInput
from core.lookups.declarations import IP_RANGES, MAC_RANGES, Declaration, Field, Key
from core.lookups.values import storable
from core.vocabulary import ValueType
from resolvers.lookups.mistakes import malformed

MOST_KEYS, MOST_FIELDS = 16, 500
LONGEST_NAME, LONGEST_TEXT = 255, 10_000
LONGEST_EXPIRATION = 10**10
"""Three hundred years."""

STRING, NUMBER, COMPOUND = "lookup/string", "lookup/number", "lookup/compoundkey"

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,126}")
_TYPE = re.compile(r"lookup(/[a-z0-9_-]+)?")
_EXPIRATION = re.compile(r"([0-9]{1,12})([smhdw])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_RANGE_TYPES = {IP_RANGES: ValueType.IP, MAC_RANGES: ValueType.MAC}
_SINGLE_TYPES = {STRING: ValueType.STR, NUMBER: ValueType.UI64}


def declared(body: object) -> Declaration:
    """A new one. `InvalidInput` for a body that is not of its form, or against a rule."""
    given = _attributes(body)
    if "name" not in given:
        raise malformed("data must contain ['name'] properties", "name")
    name: str = given["name"]
    if not _NAME.fullmatch(name):
        raise _against("name", "a name has at most 127 of a-z, 0-9, - and _, and does not begin with - or _", name)
    kind: str = given.get("type") or _type_of(given.get("keys", ()))
    return _checked(
        Declaration(
            name=name,
            label=given.get("label", name),
            type=kind,
            keys=given["keys"] if "keys" in given else _default_keys(kind),
            fields=given.get("fields", ()),
            group=given.get("group"),
            is_global=given.get("is_global", False),
            description_title=given.get("description_title"),
            description_content=given.get("description_content"),
            default_expiration=given.get("default_expiration"),
            feed_path=given.get("feed_path"),
        )
    )


def changed(declaration: Declaration, body: object) -> Declaration:
    """With the attributes that the body has. `InvalidInput` as for a new one, and for another `name` or `global`."""
    given = _attributes(body)
    for attribute, shown in (("name", "name"), ("is_global", "global")):
        if given.pop(attribute, stored := getattr(declaration, attribute)) != stored:
            raise _against(shown, f"{shown} cannot be changed", None)
    return _checked(replace(declaration, **given))


def needs_no_items(old: Declaration, new: Declaration) -> str | None:
    """Why the change is possible only while there are no items; None if it is possible at any time."""
    if [key.type for key in old.keys] != [key.type for key in new.keys]:
        return "the number and the types of keys can be changed only while the lookup is empty"
    for name, kind in new.field_types.items():
        if old.field_types.get(name, kind) is not kind:
            return f"the type of the field {name} can be changed only while the lookup is empty"
    return None


def seconds_of(value: int | str | None) -> int | None:
    """A life time as clients write it: seconds, or a number with s, m, h, d or w. Raises `ValueError`."""
    if isinstance(value, str):
        found = _EXPIRATION.fullmatch(value.strip())
        if found is None:
            raise ValueError("an expiration is a number of seconds, or a number with s, m, h, d or w")
        value = int(found[1]) * _SECONDS[found[2]]
    if value is not None and not 0 <= value <= LONGEST_EXPIRATION:
        raise ValueError(f"an expiration is from 0 to {LONGEST_EXPIRATION} seconds")
    return value


# --- the form of a body ------------------------------------------------------------------------------------------------


def _attributes(body: object) -> dict[str, Any]:
    """What it has of what there is, under our names. The rest is ignored."""
    if not isinstance(body, Mapping):
        raise malformed("data must be object")
    return {ours: read(body[name], name) for name, (ours, read) in _ATTRIBUTES.items() if name in body}


def _text(value: object, attribute: str) -> str:
    if not isinstance(value, str):
        raise malformed(f"data.{attribute} must be string", attribute)
    if len(value) > LONGEST_TEXT:
        raise _against(attribute, f"it has more than {LONGEST_TEXT} characters", None)
    try:
        return storable(value)
    except ValueError as error:
        raise _against(attribute, str(error), value) from error


def _text_or_null(value: object, attribute: str) -> str | None:
    return None if value is None else _text(value, attribute)


def _bool(value: object, attribute: str) -> bool:
    if not isinstance(value, bool):
        raise malformed(f"data.{attribute} must be boolean", attribute)
    return value


def _expiration(value: object, attribute: str) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | str | None):
        raise malformed(f"data.{attribute} must be integer or string or null", attribute)
    try:
        return seconds_of(value)
    except ValueError as error:
        raise _against(attribute, str(error), value) from error


def _keys(value: object, attribute: str) -> tuple[Key, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise malformed(f"data.{attribute} must be array", attribute)
    return tuple(Key(*_name_and_type(each, f"{attribute}[{at}]")) for at, each in enumerate(value))


def _fields(value: object, attribute: str) -> tuple[Field, ...]:
    if isinstance(value, Mapping):
        named = [(f"{attribute}.{name}", _with_name(each, str(name), f"{attribute}.{name}")) for name, each in value.items()]
    elif isinstance(value, Sequence) and not isinstance(value, str):
        named = [(f"{attribute}[{at}]", each) for at, each in enumerate(value)]
    else:
        raise malformed(f"data.{attribute} must be object or array", attribute)
    return tuple(Field(*_name_and_type(each, where), _more(each)) for where, each in named)


def _with_name(value: object, name: str, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise malformed(f"data.{where} must be object", where)
    return {**value, "name": name}


def _name_and_type(value: object, where: str) -> tuple[str, ValueType]:
    if not isinstance(value, Mapping):
        raise malformed(f"data.{where} must be object", where)
    if "name" not in value:
        raise malformed(f"data.{where} must contain ['name'] properties", where)
    kind = _text(value.get("type", ValueType.STR), f"{where}.type")
    if kind not in set(ValueType):
        raise _against(f"{where}.type", f"there is no type {kind!r}; there are {', '.join(ValueType)}", kind)
    return _text(value["name"], f"{where}.name"), ValueType(kind)


def _more(value: object) -> Mapping[str, Any]:
    assert isinstance(value, Mapping), "its name was read"
    return {str(name): each for name, each in value.items() if name not in {"name", "type"}}


_ATTRIBUTES: Mapping[str, tuple[str, Callable[[Any, str], Any]]] = {
    "name": ("name", _text),
    "label": ("label", _text),
    "group": ("group", _text_or_null),
    "type": ("type", _text),
    "global": ("is_global", _bool),
    "keys": ("keys", _keys),
    "fields": ("fields", _fields),
    "description_title": ("description_title", _text_or_null),
    "descriptionTitle": ("description_title", _text_or_null),
    "description_content": ("description_content", _text_or_null),
    "descriptionContent": ("description_content", _text_or_null),
    "default_expiration": ("default_expiration", _expiration),
    "feedPath": ("feed_path", _text_or_null),
}
"""By their documented names; of two spellings the later one here wins."""


# --- the rules ---------------------------------------------------------------------------------------------------------


def _type_of(keys: Sequence[Key]) -> str:
    return COMPOUND if len(keys) > 1 else STRING


def _default_keys(kind: str) -> tuple[Key, ...]:
    if kind == COMPOUND:
        raise _against("keys", f"{COMPOUND} needs keys", None)
    if kind in _RANGE_TYPES:
        return (Key("range1", _RANGE_TYPES[kind]), Key("range2", _RANGE_TYPES[kind]))
    return (Key("key", _SINGLE_TYPES.get(kind, ValueType.STR)),)


def _checked(declaration: Declaration) -> Declaration:
    kind, keys = declaration.type, [key.type for key in declaration.keys]
    if not _TYPE.fullmatch(kind):
        raise _against("type", "a type is `lookup`, or `lookup/` and a name of a-z, 0-9, - and _", kind)
    if not 1 <= len(keys) <= MOST_KEYS:
        raise _against("keys", f"there are from 1 to {MOST_KEYS} keys", len(keys))
    if len(declaration.fields) > MOST_FIELDS:
        raise _against("fields", f"there are at most {MOST_FIELDS} fields", len(declaration.fields))
    if kind in _SINGLE_TYPES and keys != [_SINGLE_TYPES[kind]]:
        raise _against("keys", f"{kind} has exactly one key, of type {_SINGLE_TYPES[kind]}", None)
    if kind in _RANGE_TYPES and keys != [_RANGE_TYPES[kind]] * 2:
        raise _against("keys", f"{kind} has exactly two keys, of type {_RANGE_TYPES[kind]}", None)
    _check_names(declaration)
    return declaration


def _check_names(declaration: Declaration) -> None:
    taken: set[str] = set()
    for attribute, declared in (("keys", declaration.keys), ("fields", declaration.fields)):
        for name in (each.name for each in declared):
            if not name or len(name) > LONGEST_NAME:
                raise _against(attribute, f"a name has from 1 to {LONGEST_NAME} characters", name)
            if name.startswith("_") or _CONTROL.search(name):
                raise _against(attribute, f"{name!r}: a name has no control characters and does not begin with _", name)
            if name in taken:
                raise _against(attribute, f"{name!r} is declared twice", name)
            taken.add(name)


def _against(field: str, detail: str, value: object) -> InvalidInput:
    return InvalidInput(f"{field}: {detail}", field=field, value=value)
