"""Declarations as rows of `lookups`. Changes are part of the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import delete, exists, insert, select, update

from core.errors import Conflict, NotFound
from core.lookups.declarations import Declaration, Field, Key, Lookup, lookup_id
from core.lookups.folding import BETWEEN, fold
from core.vocabulary import ValueType
from storage.sql.database import Database, Transaction
from storage.sql.tables import lookup_items, lookup_spaces, lookups


async def find(database: Database, identifier: str) -> Lookup | None:
    """By its lookup_id."""
    row = await database.first(select(lookups).where(lookups.c.lookup_id == identifier))
    return None if row is None else lookup_of(row)


_UNREACHED = ~exists().where(lookups.c.space == lookup_spaces.c.number)


async def unreached(database: Database) -> Sequence[Mapping[Any, Any]]:
    """Spaces of no lookup, which a clear or a deletion has left."""
    return await database.all(select(lookup_spaces).where(_UNREACHED))


async def forget(database: Database, space: int) -> None:
    """An unreached space, unless items of the database are left in it."""
    left = exists().where(lookup_items.c.space == lookup_spaces.c.number)
    async with database.transaction() as transaction:
        await transaction.execute(delete(lookup_spaces).where(lookup_spaces.c.number == space, _UNREACHED, ~left))


async def held(transaction: Transaction, key: UUID) -> Lookup:
    """That nobody else changes, nor its items, until the transaction ends. `NotFound` when it is gone."""
    return lookup_of(await held_row(transaction, key))


async def held_row(transaction: Transaction, key: UUID) -> Mapping[str, Any]:
    """As `held`, the row itself."""
    row = await transaction.get(lookups, key)
    if row is None:
        raise NotFound("the lookup does not exist")
    return row  # type: ignore[return-value]  # a mapping whose keys are declared as any object


async def add(transaction: Transaction, declaration: Declaration, tenant: str, at: datetime) -> Lookup:
    """A new one without items. `Conflict` when there is one with that id."""
    identifier = lookup_id(declaration, tenant)
    await transaction.lock(f"lookup {identifier}")
    if await transaction.scalar(select(lookups.c.id).where(lookups.c.lookup_id == identifier)) is not None:
        raise Conflict(f"the lookup {identifier} exists already", field="name")
    owner = None if declaration.is_global else tenant
    lookup = Lookup(uuid4(), identifier, owner, declaration, slots=tuple(range(len(declaration.fields))))
    await transaction.insert(
        lookups,
        id=lookup.key,
        lookup_id=identifier,
        tenant=owner,
        space=await new_space(transaction, at),
        behind=False,
        version=1,
        created_at=at,
        updated_at=at,
        **_columns(declaration, identifier, lookup.slots),
    )
    return lookup


async def change(transaction: Transaction, lookup: Lookup, declaration: Declaration, at: datetime) -> Lookup:
    """Replace the declaration of a lookup that is held. Tell the store afterwards: `redeclare`."""
    old = {(field.name, field.type): slot for field, slot in zip(lookup.declaration.fields, lookup.slots, strict=True)}
    row = await held_row(transaction, lookup.key)
    free = iter(range(row["slots"]["next"], row["slots"]["next"] + len(declaration.fields)))
    slots = tuple(
        old.pop((field.name, field.type)) if (field.name, field.type) in old else next(free) for field in declaration.fields
    )
    changed = Lookup(lookup.key, lookup.id, lookup.tenant, declaration, lookup.version + 1, slots)
    await transaction.update(
        lookups,
        lookup.key,
        behind=bool(row["behind"] or old),
        version=changed.version,
        updated_at=at,
        **_columns(declaration, lookup.id, slots, row["slots"]["next"]),
    )
    return changed


async def remove(transaction: Transaction, lookup: Lookup) -> None:
    """Its items can no longer be reached. Tell the store afterwards: `drop`."""
    await transaction.execute(delete(lookups).where(lookups.c.id == lookup.key))


async def new_space(transaction: Transaction, at: datetime) -> int:
    """Where no items are."""
    number = await transaction.scalar(insert(lookup_spaces).values(created_at=at).returning(lookup_spaces.c.number))
    return int(number)


async def refill(transaction: Transaction, key: UUID, at: datetime) -> None:
    """Leave all items of the lookup behind."""
    space = await new_space(transaction, at)
    await transaction.execute(update(lookups).where(lookups.c.id == key).values(space=space, behind=False))


def lookup_of(row: Mapping[Any, Any]) -> Lookup:
    """From a row of the table."""
    declaration = Declaration(
        name=row["name"],
        label=row["label"],
        type=row["type"],
        keys=tuple(Key(each["name"], ValueType(each["type"])) for each in row["keys"]),
        fields=tuple(_field(name, shown) for name, shown in row["fields"].items()),
        group=row["group_name"],
        is_global=row["is_global"],
        description_title=row["description_title"],
        description_content=row["description_content"],
        default_expiration=row["default_expiration"],
        feed_path=row["feed_path"],
    )
    return Lookup(row["id"], row["lookup_id"], row["tenant"], declaration, row["version"], tuple(row["slots"]["taken"]))


def _field(name: str, shown: Mapping[str, Any]) -> Field:
    return Field(name, ValueType(shown["type"]), {key: value for key, value in shown.items() if key != "type"})


def _columns(declaration: Declaration, identifier: str, slots: tuple[int, ...], first_free: int = 0) -> dict[str, Any]:
    searched = (
        identifier,
        declaration.label,
        declaration.name,
        declaration.group,
        declaration.description_title,
        declaration.description_content,
        declaration.default_expiration,
    )
    return {
        "name": declaration.name,
        "label": declaration.label,
        "group_name": declaration.group,
        "type": declaration.type,
        "is_global": declaration.is_global,
        "keys": [{"name": each.name, "type": each.type} for each in declaration.keys],
        "fields": {each.name: {"type": each.type, **each.more} for each in declaration.fields},
        "description_title": declaration.description_title,
        "description_content": declaration.description_content,
        "default_expiration": declaration.default_expiration,
        "feed_path": declaration.feed_path,
        "slots": {"taken": list(slots), "next": max([first_free, *(slot + 1 for slot in slots)])},
        "search_text": BETWEEN.join(fold(str(each)) for each in searched if each is not None),
    }
