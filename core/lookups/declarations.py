"""What a lookup is declared to be: its names, the parts of its keys, its fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from uuid import UUID

from core.vocabulary import ValueType

IP_RANGES, MAC_RANGES = "lookup/ipaddressrange", "lookup/macaddressrange"


@dataclass(frozen=True, slots=True)
class Key:
    """One part of the key."""

    name: str
    type: ValueType = ValueType.STR


@dataclass(frozen=True, slots=True)
class Field:
    """A value attached to the key. `more` is kept for clients: labels, defaults that enrichers show."""

    name: str
    type: ValueType = ValueType.STR
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Declaration:
    """Immutable: a changed one is another."""

    name: str
    label: str
    type: str
    keys: tuple[Key, ...]
    fields: tuple[Field, ...] = ()
    group: str | None = None
    is_global: bool = False
    description_title: str | None = None
    description_content: str | None = None
    default_expiration: int | None = None
    """Seconds; none for null and 0."""
    feed_path: str | None = None

    @cached_property
    def key_types(self) -> Mapping[str, ValueType]:
        """By name, in the declared order."""
        return {key.name: key.type for key in self.keys}

    @cached_property
    def field_types(self) -> Mapping[str, ValueType]:
        """By name, in the declared order."""
        return {each.name: each.type for each in self.fields}

    @property
    def is_compound(self) -> bool:
        """Whether a key has several parts, so that ids are hashes."""
        return len(self.keys) > 1

    @property
    def has_ranges(self) -> bool:
        """Whether an item stands for all addresses from its first part to its second."""
        return self.type in {IP_RANGES, MAC_RANGES}


@dataclass(frozen=True)
class Lookup:
    """A declaration that is stored. `key` is another one for a lookup that is created again under the same id."""

    key: UUID
    id: str
    """The documented lookup_id: `{name}.{tenant}`, or `{name}` when it is global."""
    tenant: str | None
    declaration: Declaration
    version: int = 1
    slots: tuple[int, ...] = ()
    """Where the relational store keeps each field. A field that is dropped and declared again has another."""


def lookup_id(declaration: Declaration, tenant: str) -> str:
    """How the lookup is called everywhere, when it is declared in that tenant's path."""
    return declaration.name if declaration.is_global else f"{declaration.name}.{tenant}"


def belongs(lookup_id: str, tenant: str) -> bool:
    """Whether that tenant's path reaches the lookup. Names have no dots, tenants may: the first one counts."""
    _, dot, owner = lookup_id.partition(".")
    return not dot or owner == tenant
