"""Every store of items, with declarations beside it. A store is added to `STORES` and has to pass the suite unchanged."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from core.lookups.declarations import Lookup
from core.lookups.items import Change, Item
from resolvers.lookups.bodies import new_item, read_body
from resolvers.lookups.declarations import changed, declared
from storage.lookups import registry
from storage.lookups.elasticsearch import ElasticsearchLookupStore
from storage.lookups.protocol import LookupStore
from storage.lookups.sql import SqlLookupStore
from storage.sql.database import Database
from tests.elasticsearch import own_indexes

NOON = 1_795_262_400.0
"""2026-11-21T12:00:00Z."""


@dataclass
class Stores:
    """A store of items, the database of declarations, and the time that both see."""

    database: Database
    now: float = NOON
    store: LookupStore = field(init=False)

    async def declare(self, body: dict[str, Any] | None = None, tenant: str = "standard", **more: Any) -> Lookup:
        """A new lookup."""
        async with self.database.transaction() as transaction:
            lookup = await registry.add(transaction, declared({"name": "things"} | (body or {}) | more), tenant, _at(self.now))
        await self.store.create(lookup)
        return lookup

    async def change(self, lookup: Lookup, **body: Any) -> Lookup:
        """The lookup with other attributes."""
        async with self.database.transaction() as transaction:
            held = await registry.held(transaction, lookup.key)
            lookup = await registry.change(transaction, held, changed(held.declaration, body), _at(self.now))
        await self.store.redeclare(lookup)
        return lookup

    async def remove(self, lookup: Lookup) -> None:
        async with self.database.transaction() as transaction:
            await registry.remove(transaction, lookup)
        await self.store.drop(lookup)

    async def put(self, lookup: Lookup, *keys: Any, **body: Any) -> str:
        """One item by its key, and what else it has; its id."""
        made = new_item(lookup.declaration, {"keys": list(keys)} | body)
        await self.store.write(lookup, [made])
        return made.id

    async def put_all(self, lookup: Lookup, *bodies: tuple[Any, dict[str, Any]]) -> None:
        """Items with one key each, and their fields."""
        await self.store.write(lookup, [new_item(lookup.declaration, {"keys": [key], "fields": more}) for key, more in bodies])

    def change_of(self, lookup: Lookup, item_id: str, **body: Any) -> Change:
        return read_body(lookup.declaration, body).change(item_id)


def _at(now: float) -> datetime:
    return datetime.fromtimestamp(now, UTC)


def shown(item: Item | None) -> dict[str, Any] | None:
    """What a client sees of it, without what the service adds."""
    return None if item is None else {"_id": item.id, "_keys": list(item.keys), **item.fields}


def ids(items: list[Item]) -> list[str]:
    return [item.id for item in items]


@asynccontextmanager
async def _relational(database: Database, now: Callable[[], float]) -> AsyncIterator[LookupStore]:
    yield SqlLookupStore(database, now)


Opened = Callable[[Database, Callable[[], float]], AbstractAsyncContextManager[LookupStore]]


@asynccontextmanager
async def _elasticsearch(database: Database, now: Callable[[], float]) -> AsyncIterator[LookupStore]:
    async with own_indexes() as (server, prefix):
        yield ElasticsearchLookupStore(server, database, now, prefix)


STORES: dict[str, Opened] = {"sqlite": _relational, "postgresql": _relational, "elasticsearch": _elasticsearch}
"""By name: from the database of declarations and a clock."""


@pytest.fixture(params=["sqlite", *(pytest.param(name, marks=pytest.mark.slow) for name in STORES if name != "sqlite")])
def kind(request) -> str:
    return str(request.param)


@pytest.fixture
def database_kind(kind) -> str:
    """Of the declarations."""
    return "postgresql" if kind == "postgresql" else "sqlite"


@pytest.fixture
async def stores(kind, database) -> AsyncIterator[Stores]:
    stores = Stores(database)
    async with STORES[kind](database, lambda: stores.now) as stores.store:
        yield stores
