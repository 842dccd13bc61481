"""What only the store in Elasticsearch has to do: survive the server, check every result, keep to its own indexes."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from sqlalchemy import delete

from core.errors import InvalidInput, NotFound, Unavailable
from core.lookups.items import Change, Equal, Query, Sort
from storage.lookups.elasticsearch import ElasticsearchLookupStore
from storage.lookups.elasticsearch_documents import alias_of, index_of
from storage.lookups.elasticsearch_server import Action, Failed, Gone, Result, Server
from storage.sql.tables import lookups
from tests.elasticsearch import own_indexes, own_server
from tests.smtp import server_context
from tests.storage.lookups.conftest import Stores, ids

pytestmark = pytest.mark.slow

FIELDS = {"a": {}, "b": {}}


@pytest.fixture
def database_kind() -> str:
    return "sqlite"


@pytest.fixture
async def server():
    async with own_indexes() as (server, prefix):
        yield server, prefix


@pytest.fixture
async def stores(database, server):
    stores = Stores(database)
    stores.store = ElasticsearchLookupStore(server[0], database, lambda: stores.now, server[1])
    return stores


async def indexes(server) -> list[str]:
    return sorted(await server[0].notes(f"{server[1]}*"))


# --- a server that is not there ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mortal():
    with own_server() as own:
        yield own


async def refused(stores, lookup) -> float:
    """Everything is; how long the longest took."""
    longest = 0.0
    for ask in (
        lambda: stores.store.get(lookup, ["x"]),
        lambda: stores.store.find(lookup, [("x",)]),
        lambda: stores.store.page(lookup, limit=5),
        lambda: stores.store.count(lookup),
        lambda: stores.store.stats(lookup),
        lambda: stores.store.write(lookup, [Change("y", ("y",))]),
        lambda: stores.store.update(lookup, "x", Change("x")),
        lambda: stores.store.delete(lookup, "x"),
        lambda: stores.store.clear(lookup),
        stores.store.purge,
        lambda: anext(aiter(stores.store.walk(lookup))),
    ):
        begun = time.monotonic()
        with pytest.raises(Unavailable) as error:
            await ask()
        assert error.value.detail == "the lookup store does not answer"
        longest = max(longest, time.monotonic() - begun)
    return longest


async def test_a_server_that_dies_and_comes_back(database, mortal):
    stores, server = Stores(database), Server(mortal.url)
    stores.store = ElasticsearchLookupStore(server, database, lambda: stores.now)
    lookup = await stores.declare(fields=FIELDS)
    await stores.put(lookup, "x", fields={"a": "1"})
    await asyncio.to_thread(mortal.do, "kill9")
    assert await refused(stores, lookup) < 2
    other = await stores.declare({"name": "others"})
    changed = await stores.change(lookup, fields={"b": {}})
    await asyncio.to_thread(mortal.do, "start")
    assert ids(await stores.store.page(changed, limit=5)) == ["x"]
    await stores.store.purge()
    assert [await stores.store.count(changed, Query(text)) for text in ("x", "1")] == [1, 0]
    assert await stores.store.page(other, limit=5) == []
    await stores.put(other, "first")
    assert ids(await stores.store.page(other, limit=5)) == ["first"]
    await server.close()


async def test_a_lookup_that_is_deleted_meanwhile(database, mortal):
    stores, server = Stores(database), Server(mortal.url)
    stores.store = ElasticsearchLookupStore(server, database, lambda: stores.now, "other-")
    lookup = await stores.declare({"name": "short"})
    await stores.put(lookup, "x")
    await asyncio.to_thread(mortal.do, "kill9")
    await stores.remove(lookup)
    await asyncio.to_thread(mortal.do, "start")
    again = await stores.declare({"name": "short"})
    assert await stores.store.count(again) == 0
    assert await stores.store.purge() == 1
    assert [name for name in await server.notes("other-*") if lookup.key.hex in name] == []
    await server.close()


async def test_a_server_that_hangs(database, mortal, monkeypatch):
    monkeypatch.setattr("storage.lookups.elasticsearch_server.ANSWER", 0.5)
    monkeypatch.setattr("storage.lookups.elasticsearch_server.LONG_ANSWER", 0.5)
    stores, server = Stores(database), Server(mortal.url)
    stores.store = ElasticsearchLookupStore(Server(mortal.url), database, lambda: stores.now)
    patient = ElasticsearchLookupStore(server, database, lambda: stores.now)
    lookup = await stores.declare({"name": "frozen"})
    await asyncio.to_thread(mortal.do, "freeze")
    try:
        assert await refused(stores, lookup) < 3
    finally:
        await asyncio.to_thread(mortal.do, "thaw")
    await asyncio.sleep(1)
    assert await patient.count(lookup) in {0, 1}, "the write that nobody waited for may have been done"
    await stores.store._server.close()
    await server.close()


# --- results of a bulk request -----------------------------------------------------------------------------------------


async def test_one_document_that_is_refused_is_an_error(stores, server):
    lookup = await stores.declare(fields={"n": {"type": "ui8"}})
    (index,) = await indexes(server)
    good = {"_item_id": "good", "_keys": ["good"], "_c": 0, "_m": 0, "_v": 1}
    with pytest.raises(Failed, match="400"):
        await server[0].bulk(index, [Action("good", good), Action("bad", good | {"n~0": "no number"})])
    assert [item and item.id for item in await stores.store.get(lookup, ["good", "bad"])] == ["good", None]


async def test_what_others_changed_meanwhile_is_told_for_each(stores, server):
    lookup = await stores.declare(fields=FIELDS)
    await stores.put(lookup, "x", fields={"a": "1"})
    (index,) = await indexes(server)
    results = await server[0].bulk(
        index, [Action("x", {"_item_id": "x"}), Action("x", None, (999, 1)), Action("y", None, (0, 1))]
    )
    assert [result.conflict for result in results] == [True, True, True]


async def test_a_bulk_request_makes_no_index(stores, server):
    lookup = await stores.declare()
    with pytest.raises(Gone):
        await server[0].bulk(index_of(server[1], lookup, 12345), [Action("x", {"_item_id": "x"})])


async def test_an_index_that_somebody_removed_is_made_again(stores, server):
    lookup = await stores.declare(fields=FIELDS)
    await stores.put(lookup, "x")
    (index,) = await indexes(server)
    await server[0].remove(index)
    assert (await stores.store.page(lookup, limit=5), await stores.store.count(lookup)) == ([], 0)
    assert [batch async for batch in stores.store.walk(lookup)] == []
    await stores.put(lookup, "y", fields={"a": "found"})
    assert ids(await stores.store.page(lookup, Query("found", (Equal("a", "found"),)), limit=5)) == ["y"]


async def test_writers_on_two_servers_lose_nothing(stores, server, database):
    lookup = await stores.declare(fields={f"f{at}": {} for at in range(12)})
    other = ElasticsearchLookupStore(server[0], database, lambda: stores.now, server[1])
    names = [f"{at}" for at in range(20)]

    async def upload(store, field: str) -> None:
        await store.write(lookup, [Change(name, (name,), {field: name}) for name in names])

    await asyncio.gather(*(upload((stores.store, other)[at % 2], f"f{at}") for at in range(12)))
    found = await stores.store.get(lookup, names)
    assert [(item.fields, item.version) for item in found] == [({f"f{at}": n for at in range(12)}, 12) for n in names]


class Fake(ThreadingHTTPServer):
    """Has too much to do for the first requests that write; keeps what clients say of themselves."""

    def __init__(self, refusals: int = 0) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.refusals = refusals
        self.credentials: list[str | None] = []

    @classmethod
    @contextmanager
    def running(cls, refusals: int = 0, secured: ssl.SSLContext | None = None) -> Iterator[Fake]:
        with cls(refusals) as fake:
            if secured is not None:
                fake.socket = secured.wrap_socket(fake.socket, server_side=True)
            threading.Thread(target=fake.serve_forever, daemon=True).start()
            yield fake
            fake.shutdown()


class _Answer(BaseHTTPRequestHandler):
    server: Fake

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.credentials.append(self.headers["Authorization"])
        self.server.refusals -= 1
        refused = self.server.refusals >= 0
        body = b'{"error": {"type": "circuit_breaking_exception"}, "status": 429}' if refused else WRITTEN
        self.send_response(429 if refused else 200)
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Type", "application/vnd.elasticsearch+json;compatible-with=9")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@asynccontextmanager
async def client(address: str) -> AsyncIterator[Server]:
    server = Server(address)
    try:
        yield server
    finally:
        await server.close()


WRITTEN = b'{"items": [{"create": {"status": 201, "_seq_no": 3, "_primary_term": 1}}]}'


@pytest.mark.parametrize("refusals", [0, 4, 5])
async def test_a_server_that_has_too_much_to_do_is_given_time(monkeypatch, refusals):
    monkeypatch.setattr("storage.lookups.elasticsearch_server.WAITS", (0.01,) * 4)
    with Fake.running(refusals) as fake:
        async with client(f"http://127.0.0.1:{fake.server_port}") as server:
            if refusals > 4:
                with pytest.raises(Unavailable, match="the lookup store does not answer"):
                    await server.bulk("x", [Action("x", {})])
            else:
                assert await server.bulk("x", [Action("x", {})]) == [Result(conflict=False, at=(3, 1))]


async def test_credentials_of_the_address_over_tls(monkeypatch, tmp_path):
    with Fake.running(secured=server_context(tmp_path)) as fake:
        address = f"https://elastic:se%3Acret%40@127.0.0.1:{fake.server_port}"
        async with client(address) as stranger:
            with pytest.raises(Unavailable, match="the lookup store does not answer") as refused:
                await stranger.bulk("x", [Action("x", {})])
        assert "se" + "cret" not in str(refused.value)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "mail.pem"))
        async with client(address) as server:
            assert await server.bulk("x", [Action("x", {})]) == [Result(conflict=False, at=(3, 1))]
        assert fake.credentials == [f"Basic {b64encode(b'elastic:se:cret@').decode()}"]


# --- many rows ---------------------------------------------------------------------------------------------------------


async def test_more_rows_than_one_answer_has(stores):
    lookup, rows = await stores.declare(fields={"n": {"type": "ui32"}}), 12_345
    for begin in range(0, rows, 2_000):
        some = range(begin, min(begin + 2_000, rows))
        await stores.store.write(lookup, [Change(f"{at:05}", (f"{at:05}",), {"n": rows - at}) for at in some])
    everything = [f"{at:05}" for at in range(rows)]
    by_number = Query(sorts=(Sort("n"),))
    assert await stores.store.count(lookup) == rows
    assert [item.id async for batch in stores.store.walk(lookup) for item in batch] == everything
    assert ids(await stores.store.page(lookup, limit=20, offset=9_990)) == everything[9_990:10_010]
    assert ids(await stores.store.page(lookup, limit=20, offset=12_340)) == everything[12_340:]
    assert ids(await stores.store.page(lookup, by_number, limit=5, offset=11_000)) == everything[::-1][11_000:11_005]
    assert ids(await stores.store.page(lookup, limit=20_000)) == everything
    assert await stores.store.page(lookup, limit=5, offset=10**30) == []
    page = await stores.store.page(lookup, by_number, limit=11_000, place=(3, everything[rows - 3]))
    assert ids(page) == everything[::-1][3:11_003]


async def test_a_walk_does_not_see_what_comes_later(stores):
    lookup = await stores.declare()
    await stores.store.write(lookup, [Change(f"{at}", (f"{at}",)) for at in range(5)])
    walk = stores.store.walk(lookup, batch=2)
    first = ids(await anext(walk))
    await stores.put(lookup, "9")
    assert first + [item.id async for batch in walk for item in batch] == ["0", "1", "2", "3", "4"]


async def test_a_walk_goes_on_when_its_point_in_time_is_forgotten(stores, server):
    lookup = await stores.declare()
    await stores.store.write(lookup, [Change(f"{at}", (f"{at}",)) for at in range(5)])
    walk = stores.store.walk(lookup, batch=2)
    first = ids(await anext(walk))
    await server[0]._client.close_point_in_time(id=walk.ag_frame.f_locals["batches"].ag_frame.f_locals["moment"])
    assert first + [item.id async for batch in walk for item in batch] == ["0", "1", "2", "3", "4"]


# --- texts -------------------------------------------------------------------------------------------------------------


async def test_long_texts_are_found_and_compared_whole(stores):
    lookup = await stores.declare(fields={"a": {}})
    long = "".join(f"{at:06} č" for at in range(3_000))
    await stores.put_all(lookup, ("one", {"a": long + "1"}), ("two", {"a": long + "2"}), ("ten", {"a": "z"}))
    assert [(await stores.store.get(lookup, ["one"]))[0].fields["a"]] == [long + "1"]
    assert ids(await stores.store.page(lookup, Query(equals=(Equal("a", long + "2"),)), limit=5)) == ["two"]
    for begin in range(0, len(long) - 1_000, 997):
        assert await stores.store.count(lookup, Query(long[begin : begin + 1_000].strip())) == 2
    assert await stores.store.count(lookup, Query(long[-900:] + "1")) == 1
    with pytest.raises(InvalidInput, match="at most 1000 characters"):
        await stores.store.count(lookup, Query(long))


# --- names -------------------------------------------------------------------------------------------------------------

HOSTILE = ["*", "_all", "..", "-x", "a,b", "a/b", "<x-{now/d}>", "A", "a#b", "ü" * 200, "x" * 255, "a~~b", "a~2fb", "", "a b?*"]


def test_every_id_has_an_index_of_its_own():
    names = [alias_of("", each) for each in HOSTILE]
    assert len(set(names)) == len(HOSTILE)
    for name in names:
        assert name.endswith(".lkp")
        assert len(name) < 200
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-~")
        assert name[0] not in "-_."


def test_the_documented_name():
    assert alias_of("", "countries.standard") == "countries.standard.lkp"


async def test_hostile_tenants_stay_in_their_lookup(stores, server):
    made = [await stores.declare(tenant=tenant) for tenant in HOSTILE[:-2]]
    for at, lookup in enumerate(made):
        await stores.put(lookup, f"{at}")
    assert [ids(await stores.store.page(each, limit=5)) for each in made] == [[f"{at}"] for at in range(len(made))]
    assert len(await indexes(server)) == len(made)


async def test_names_of_fields_are_only_names(stores):
    names = ["a.b", "a", "..", "x ", "*", "_id"[1:], "properties", "ü", "A", "gte", "n" * 127]
    lookup = await stores.declare(fields={name: {"type": "str"} for name in names})
    await stores.put(lookup, "x", fields={name: f"of {name}" for name in names})
    (found,) = await stores.store.get(lookup, ["x"])
    assert found.fields == {name: f"of {name}" for name in names}
    for name in names:
        assert ids(await stores.store.page(lookup, Query(equals=(Equal(name, f"of {name}"),)), limit=5)) == ["x"]


async def test_the_documented_name_leads_to_the_index_of_now(stores, server):
    lookup = await stores.declare()
    await stores.put(lookup, "before")
    await stores.store.clear(lookup)
    await stores.put(lookup, "after")
    found = await server[0].search(alias_of(server[1], lookup.id), {"size": 5, "_source": False})
    assert [hit["_id"] for hit in found["hits"]["hits"]] == ["after"]
    assert len(await indexes(server)) == 1


async def test_only_what_was_ours_is_removed(stores, server, database):
    lookup = await stores.declare()
    await stores.put(lookup, "x")
    await server[0].make(f"{server[1]}foreign~~1.lkp", {})
    others = ElasticsearchLookupStore(server[0], database, lambda: stores.now, f"{server[1]}other-")
    await others.create(lookup)
    async with database.transaction() as transaction:
        await transaction.execute(delete(lookups))
    before = await indexes(server)
    assert await stores.store.purge() == 1
    assert sorted(set(before) - set(await indexes(server))) == [index_of(server[1], lookup, 1)]
    with pytest.raises(NotFound):
        await stores.store.write(lookup, [Change("x", ("x",))])
