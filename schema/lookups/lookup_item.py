"""LookupItem: one row of a lookup (contract lmio-watcher §6.1)."""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from typing import Any

import strawberry

from core.lookups import geopoint
from core.lookups.declarations import Lookup
from core.lookups.items import Item
from core.lookups.values import Value
from core.vocabulary import ValueType
from engine.scalars import JSON, Long
from resolvers.lookups.expiration import shown


@strawberry.enum(description="How places are written.")
class GeopointForm(enum.Enum):
    """Of the same value."""

    PACKED = strawberry.enum_value("packed", description="One integer of 64 bits: longitude above latitude.")
    DMS = strawberry.enum_value("dms", description="Degrees, minutes and seconds: `50°03'51.5091\"N, 14°26'38.1769\"E`.")
    DEGREES = strawberry.enum_value("degrees", description='`{"lat": 50.0643081, "lon": 14.443938}`.')


@strawberry.type(description="A row of a lookup: a key, and the values that are attached to it.")
class LookupItem:
    """Its values are of the types that the lookup declares."""

    local_id: str = strawberry.field(description="Its id within the lookup: the key's text, or a digest of several parts.")
    keys: JSON = strawberry.field(description="Array of the parts of its key, in the declared order.")
    values: JSON = strawberry.field(description="Object of the fields that are set, in the declared order.")
    expires_at: datetime | None = strawberry.field(description="From when on it is gone; null if it stays.")
    expires_at_seconds: JSON | None = strawberry.field(
        description="The same in seconds since 1970, an integer when it is whole."
    )
    created_at: datetime = strawberry.field(description="When it was made.")
    created_seconds: Long = strawberry.field(description="The same in seconds since 1970.")
    modified_at: datetime = strawberry.field(description="When it was last changed.")
    modified_seconds: Long = strawberry.field(description="The same in seconds since 1970.")
    version: Long = strawberry.field(description="Grows with each change.")


class ShownItem:
    """An item, with the names of `LookupItem`. What is not selected costs nothing."""

    __slots__ = ("_form", "_item", "_lookup")

    def __init__(self, item: Item, lookup: Lookup, form: GeopointForm) -> None:
        self._item, self._lookup, self._form = item, lookup, form

    @property
    def item(self) -> Item:
        """For cursors."""
        return self._item

    @property
    def local_id(self) -> str:
        return self._item.id

    @property
    def keys(self) -> list[Any]:
        parts = self._item.keys
        if self._form is GeopointForm.PACKED or not parts:
            return list(parts)
        return [_shown(value, key.type, self._form) for value, key in zip(parts, self._lookup.declaration.keys, strict=True)]

    @property
    def values(self) -> dict[str, Any]:
        fields = self._item.fields
        if self._form is GeopointForm.PACKED:
            return dict(fields)
        types = self._lookup.declaration.field_types
        return {name: _shown(value, types[name], self._form) for name, value in fields.items()}

    @property
    def expires_at(self) -> datetime | None:
        return None if self._item.expires_at is None else datetime.fromtimestamp(self._item.expires_at, UTC)

    @property
    def expires_at_seconds(self) -> int | float | None:
        return None if self._item.expires_at is None else shown(self._item.expires_at)

    @property
    def created_at(self) -> datetime:
        return datetime.fromtimestamp(self._item.created_at, UTC)

    @property
    def created_seconds(self) -> int:
        return self._item.created_at

    @property
    def modified_at(self) -> datetime:
        return datetime.fromtimestamp(self._item.modified_at, UTC)

    @property
    def modified_seconds(self) -> int:
        return self._item.modified_at

    @property
    def version(self) -> int:
        return self._item.version


def _shown(value: Value, kind: ValueType, form: GeopointForm) -> Any:
    if kind is not ValueType.GEOPOINT:
        return value
    if form is GeopointForm.DMS:
        return geopoint.as_dms(int(value))
    place = geopoint.unpack(int(value))
    return {"lat": place.latitude, "lon": place.longitude}
