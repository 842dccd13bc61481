"""What the relational store does in its own way: indexes, spaces that nobody has any more, trigrams in step with items."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from sqlalchemy import func, make_url, select, text

from core.errors import Unavailable
from core.lookups.items import Change, Equal, Query
from storage.lookups.finding import by_address, by_id, by_key
from storage.lookups.sql import AT_A_TIME, SqlLookupStore
from storage.lookups.statements import asked
from storage.sql.migrate import migrate
from storage.sql.opening import open_database
from storage.sql.tables import lookup_items, lookup_spaces
from storage.sql.tables.lookups import SEARCH_INDEX
from tests.postgres import empty
from tests.sharing import copied
from tests.storage.lookups.conftest import NOON, Stores, ids

only_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
only_postgresql = pytest.mark.parametrize("kind", [pytest.param("postgresql", marks=pytest.mark.slow)], indirect=True)


@pytest.fixture
def kind(request) -> str:
    return str(request.param)


async def explained(stores, lookup, query: Query) -> str:
    question = asked(lookup, query, NOON)
    statement = stores.store._statements.of(question.shape)
    values = statement.values(question.values | {"limit": 10, "offset": 0})
    plan = "EXPLAIN QUERY PLAN " if stores.database.dialect.name == "sqlite" else "EXPLAIN "
    return "\n".join(str(row[-1]) for row in await stores.database.fetch(plan + statement.text, values))


TEXTS = {"fields": {"a": {"type": "str"}, "mac": {"type": "mac"}}}


@only_sqlite
@pytest.mark.parametrize(
    "query",
    [
        Query("abc"),
        Query("some longer text"),
        Query("aa:bb:cc"),
        Query(equals=(Equal("a", "some text"),)),
        Query(equals=(Equal("mac", "aa:bb:cc:dd:ee:ff"),)),
    ],
)
async def test_text_is_found_by_its_trigrams(stores, query):
    plan = await explained(stores, await stores.declare(TEXTS), query)
    assert "lookup_search VIRTUAL TABLE INDEX" in plan
    assert "SEARCH lookup_items USING INTEGER PRIMARY KEY" in plan


@only_sqlite
@pytest.mark.parametrize("query", [Query("ab"), Query("a:b"), Query("a"), Query(equals=(Equal("a", "ab"),)), Query()])
async def test_short_text_is_found_by_reading_the_lookup(stores, query):
    plan = await explained(stores, await stores.declare(TEXTS), query)
    assert "VIRTUAL" not in plan
    assert "SCAN lookup_items" not in plan


@only_sqlite
@pytest.mark.parametrize("query", [Query(equals=(Equal("key", "x"),)), Query(equals=(Equal("_id", "x"),))])
async def test_keys_are_found_by_their_index(stores, query):
    plan = await explained(stores, await stores.declare(TEXTS), query)
    assert "(space=? AND item_id=?)" in plan
    assert "SCAN lookup_items" not in plan


@only_sqlite
async def test_many_keys_and_addresses_are_found_by_their_indexes(stores):
    plans = []
    for composed in (by_id, by_key, by_address):
        statement = stores.store._statements.finding(composed)
        values = statement.values({"lookup": None, "now": 0, "wanted": "[]"})
        rows = await stores.database.fetch("EXPLAIN QUERY PLAN " + statement.text, values)
        plans.append("\n".join(row[-1] for row in rows))
    assert "(space=? AND item_id=?)" in plans[0]
    assert "(space=? AND key_id=?)" in plans[1]
    assert "(space=? AND range_node=?)" in plans[2]
    assert not any("SCAN lookup_items" in plan for plan in plans)


@only_postgresql
async def test_postgresql_finds_text_by_its_trigrams(stores):
    lookup = await stores.declare(TEXTS)
    for begin in range(0, 20_000, 2_000):
        rows = [Change(f"{at}", (f"{at}",), {"a": f"text number {at}"}) for at in range(begin, begin + 2_000)]
        await stores.store.write(lookup, rows)
    async with stores.database.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("VACUUM ANALYZE lookup_items"))  # the server does so by itself, some time
    assert SEARCH_INDEX in await explained(stores, lookup, Query("number 12345"))
    assert ids(await stores.store.page(lookup, Query("number 12345"), limit=5)) == ["12345"]


async def _migrated(url: str) -> tuple[list, int]:
    """Whether there is the index, and how many items a filter finds."""
    database = await open_database(url)
    try:
        await migrate(database)
        stores = Stores(database)
        stores.store = SqlLookupStore(database, lambda: NOON)
        lookup = await stores.declare()
        await stores.put(lookup, "some text")
        found = await database.fetch("SELECT indexname FROM pg_indexes WHERE indexname = $1", [SEARCH_INDEX])
        return found, await stores.store.count(lookup, Query("me TE"))
    finally:
        await database.close()


@pytest.mark.slow
def test_a_database_that_may_not_have_the_extension_goes_without_the_index():
    """Whoever owns only the tables cannot create extensions."""
    with empty() as url:
        server, name = make_url(url), "narrow_" + make_url(url).database
        owner = server.set(username=name, password="narrow").render_as_string(hide_password=False)

        async def administer(*statements: str) -> None:
            connection = await asyncpg.connect(server.set(drivername="postgresql").render_as_string(hide_password=False))
            try:
                for statement in statements:
                    await connection.execute(statement)
            finally:
                await connection.close()

        asyncio.run(
            administer(f"CREATE ROLE {name} LOGIN PASSWORD 'narrow'", f"GRANT CREATE, USAGE ON SCHEMA public TO {name}")
        )
        try:
            assert asyncio.run(_migrated(owner)) == ([], 1)
        finally:
            asyncio.run(administer(f"DROP OWNED BY {name}", f"DROP ROLE {name}"))


# --- what is left behind -----------------------------------------------------------------------------------------------


async def rows_left(stores) -> tuple[int, int]:
    items = await stores.database.first(select(func.count().label("n")).select_from(lookup_items))
    spaces = await stores.database.first(select(func.count().label("n")).select_from(lookup_spaces))
    return items["n"], spaces["n"]


@only_sqlite
async def test_what_was_cleared_or_dropped_is_removed_in_the_background(stores):
    stays, cleared, dropped = [await stores.declare(tenant=name) for name in ("stays", "cleared", "dropped")]
    for lookup in (stays, cleared, dropped):
        await stores.store.write(lookup, [Change(f"{at}", (f"{at}",)) for at in range(AT_A_TIME + 200)])
    await stores.store.clear(cleared)
    await stores.remove(dropped)
    assert await rows_left(stores) == (3 * (AT_A_TIME + 200), 4)
    assert await stores.store.purge() == 2 * (AT_A_TIME + 200)
    assert await rows_left(stores) == (AT_A_TIME + 200, 2)
    assert await stores.store.count(stays) == AT_A_TIME + 200


@only_sqlite
async def test_a_dropped_field_is_forgotten_although_the_process_died(stores):
    lookup = await stores.declare(fields={"a": {}, "b": {}})
    await stores.put_all(lookup, *((f"{at}", {"a": "alpha", "b": "beta"}) for at in range(3)))
    redeclare, stores.store.redeclare = stores.store.redeclare, _nothing
    lookup = await stores.change(lookup, fields={"b": {}})
    stores.store.redeclare = redeclare
    assert await stores.store.count(lookup, Query("alpha")) == 3, "nobody was told yet that it is done"
    await stores.store.purge()
    assert [await stores.store.count(lookup, Query(each)) for each in ("alpha", "beta")] == [0, 3]


async def _nothing(_lookup) -> None:
    pass


@only_sqlite
async def test_trigrams_are_in_step_with_items(stores):
    lookup = await stores.declare(fields={"a": {}}, default_expiration=5)
    await stores.put_all(lookup, *((f"{at:03}", {"a": f"text {at}"}) for at in range(40)))
    await stores.put_all(lookup, *((f"{at:03}", {"a": f"other {at}"}) for at in range(10, 30)))
    await stores.store.update(lookup, "000", stores.change_of(lookup, "zzz", keys=["zzz"]))
    await stores.store.delete(lookup, "001")
    stores.now += 3
    await stores.put_all(lookup, *((f"late {at}", {}) for at in range(3)))
    stores.now += 3
    await stores.put_all(lookup, ("002", {"a": "again"}))
    await stores.store.purge()
    async with stores.database.transaction() as transaction:
        await transaction.execute(text("INSERT INTO lookup_search(lookup_search, rank) VALUES ('integrity-check', 1)"))
    assert ids(await stores.store.page(lookup, Query("again"), limit=9)) == ["002"]


@only_sqlite
async def test_a_write_that_fails_leaves_nothing(stores):
    lookup = await stores.declare(fields={"a": {"type": "ui8"}})
    with pytest.raises((OverflowError, Unavailable)):  # of the driver, at the second row
        await stores.store.write(lookup, [Change("x", ("x",)), Change("y", ("y",), expires_at=1e300)])
    assert await stores.store.count(lookup) == 0
    assert await rows_left(stores) == (0, 1)


@only_postgresql
@pytest.mark.parametrize(("rows", "known"), [(40, False), (120, True)])
async def test_a_large_upload_leaves_postgresql_with_statistics(stores, monkeypatch, rows, known):
    monkeypatch.setattr("storage.lookups.sql.MANY", 100)
    lookup = await stores.declare()

    async def chunks():
        for begin in range(0, rows, 40):
            yield [Change(f"{at}", (f"{at}",)) for at in range(begin, begin + 40)]

    await stores.store.upload(lookup, chunks())
    found = await stores.database.fetch("SELECT count(*) FROM pg_stats WHERE tablename = 'lookup_items'", [])
    assert (found[0][0] > 0) is known


async def test_a_store_that_is_down(migrated, tmp_path):
    async with copied(migrated, tmp_path) as database:
        stores = Stores(database)
        store = SqlLookupStore(database, lambda: NOON)
        stores.store = store
        lookup = await stores.declare()
    for call in (store.page(lookup, limit=5), store.count(lookup), store.get(lookup, ["x"])):
        with pytest.raises(Unavailable):
            await call


@pytest.mark.slow
@only_sqlite
async def test_statements_of_many_shapes_are_forgotten(stores):
    lookup = await stores.declare(fields={f"f{at}": {} for at in range(300)})
    for at in range(300):
        await stores.store.count(lookup, Query(equals=(Equal(f"f{at}", "x"),)))
    assert stores.store._statements.of.cache_info().currsize == 256
