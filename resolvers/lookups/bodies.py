"""Items as clients send them one by one: keys, fields, expiration (contract lmio-watcher §6.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from core.errors import InvalidInput
from core.lookups.declarations import Declaration
from core.lookups.ids import id_of
from core.lookups.items import ABSENT, Change
from core.lookups.values import Value, read_json
from core.vocabulary import ValueType
from resolvers.lookups.expiration import expiration
from resolvers.lookups.mistakes import malformed


class Given(NamedTuple):
    """What a body says, read by the declaration."""

    keys: tuple[Value, ...] | None
    fields: Mapping[str, Value | None]
    expires_at: Any
    """As in `Change`."""

    def change(self, item_id: str) -> Change:
        """Of the item with that id."""
        return Change(item_id, self.keys, self.fields, self.expires_at)


def new_item(declaration: Declaration, body: object) -> Change:
    """A body that names the key of its item."""
    given = read_body(declaration, body)
    if given.keys is None:
        raise _against("keys", "they are missing")
    return given.change(id_of(declaration, given.keys))


def read_body(declaration: Declaration, body: object) -> Given:
    """A body that may leave out everything."""
    if not isinstance(body, Mapping):
        raise malformed("data must be object")
    keys, fields = body.get("keys"), body.get("fields")
    return Given(
        None if keys is None else read_keys(declaration, keys),
        {} if fields is None else read_fields(declaration, fields),
        expiration(body["_exp"]) if "_exp" in body else ABSENT,
    )


def read_keys(declaration: Declaration, given: object) -> tuple[Value, ...]:
    """All parts in declared order: from entries with `name` and `value`, a bare list of values, or a map."""
    named = _named(given, "keys", declaration.key_types)
    for name in named:
        if name not in declaration.key_types:
            raise _against("keys", f"there is no key {name!r}")
    return tuple(key_part(kind, named.get(name), name) for name, kind in declaration.key_types.items())


def key_part(kind: ValueType, value: object, name: str) -> Value:
    """A part may not be missing, null or empty."""
    if value is None or value == "":
        raise InvalidInput(f"{name}: this part of the key is missing or empty", field=name)
    return read_json(kind, value, name)


def read_fields(declaration: Declaration, given: object) -> dict[str, Value | None]:
    """Those that are declared; null clears."""
    named, types = _named(given, "fields", declaration.field_types), declaration.field_types
    return {
        name: None if value is None else read_json(types[name], value, name) for name, value in named.items() if name in types
    }


def _named(given: object, attribute: str, declared: Mapping[str, ValueType]) -> Mapping[str, Any]:
    if isinstance(given, Mapping):
        return given
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise malformed(f"data.{attribute} must be array or object", attribute)
    if all(isinstance(entry, Mapping) and "name" in entry for entry in given):
        return _entries(given, attribute)
    if len(given) != len(declared):
        raise _against(attribute, f"{len(given)} values, and {len(declared)} are declared")
    return dict(zip(declared, given, strict=True))


def _entries(given: Sequence[Any], attribute: str) -> Mapping[str, Any]:
    named: dict[str, Any] = {}
    for entry in given:
        name = entry["name"]
        if not isinstance(name, str):
            raise malformed(f"data.{attribute}.name must be string", attribute)
        if name in named:
            raise _against(attribute, f"{name!r} is given twice")
        named[name] = entry.get("value")
    return named


def _against(field: str, detail: str) -> InvalidInput:
    return InvalidInput(f"{field}: {detail}", field=field)
