"""Metrics: what is counted, under which names, what is read at the moment of asking, and who may ask."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any, ClassVar
from uuid import uuid4

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event
from sqlalchemy import text as sql

from app.metrics import Metrics, QueueGauges
from app.observability import Exchange
from core.clock import utc_now
from core.errors import Unavailable
from core.vocabulary import RunState
from storage.sql.tables import runs

pytestmark = pytest.mark.slow  # an application of its own for each

Sample = dict[tuple[str, tuple[tuple[str, str], ...]], float]
HERE = ("127.0.0.1", 50000)


class Nothing:
    """Neither caches nor connections."""

    caches: ClassVar[dict[str, Any]] = {}

    def in_use(self):
        return {}


def read(text: str) -> Sample:
    """Name and labels → value, of what is ours."""
    families = list(text_string_to_metric_families(text))
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
        if sample.name.startswith("switchyard_") and not sample.name.endswith("_bucket")
    }


async def scraped(world, **options: Any) -> Sample:
    reply = await asked(world, **options)
    assert reply.status_code == 200, reply.text
    return read(reply.text)


async def asked(world, client: tuple[str, int] = HERE, **headers: str | bytes) -> httpx.Response:
    transport = httpx.ASGITransport(world.app, client=client)
    async with httpx.AsyncClient(transport=transport, base_url="http://switchyard.test") as caller:
        return await caller.get("/metrics", headers=headers)


def of(name: str, **labels: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return name, tuple(sorted(labels.items()))


# --- what is counted ---------------------------------------------------------------------------------------------------


async def test_requests_by_operation_and_endpoint(assembled):
    async with assembled() as world:
        for _ in range(3):
            await world.admin.request("GET", "/api/files?limit=5")
        await world.anonymous.request("GET", f"/api/files/{uuid4()}")
        await world.anonymous.request("GET", "/openapi/instruments.json")
        await world.anonymous.request("POST", "/health")
        found = await scraped(world)
    files = {"dialect": "instruments", "endpoint": "/api/files", "operation": "files_slice"}
    one = {"dialect": "instruments", "endpoint": "/api/files/{file_id}", "operation": "files_get"}
    assert found[of("switchyard_request_seconds_count", **files, status="2xx")] == 3
    assert found[of("switchyard_request_seconds_count", **one, status="4xx")] == 1
    assert found[of("switchyard_request_seconds_count", dialect="", endpoint="/openapi", operation="", status="2xx")] == 1
    assert found[of("switchyard_request_seconds_count", dialect="", endpoint="/health", operation="", status="4xx")] == 1
    assert found[of("switchyard_request_statements_count", **files)] == 3
    assert found[of("switchyard_request_statements_sum", **files)] == 9, "authentication, rows, count"
    assert found[of("switchyard_operation_nodes_sum", **files)] == 3 * 6
    assert found[of("switchyard_request_statements_sum", **one)] == 0, "who may not ask costs no statement"


async def test_changes_are_counted_statement_by_statement(assembled):
    async with assembled() as world:
        texts: list[str] = []
        event.listen(world.parts.database.engine.sync_engine, "before_cursor_execute", lambda *given: texts.append(given[2]))
        await world.admin.request("POST", "/auth/jwt/logout")
        found = await scraped(world)
    sent = [text for text in texts if not text.startswith("BEGIN") and "FROM runs" not in text]
    logout = of(
        "switchyard_request_statements_sum", dialect="instruments", endpoint="/auth/jwt/logout", operation="auth_jwt_logout"
    )
    assert found[logout] == len(sent) + 1, "the one of authentication goes another way"


async def test_what_clients_call_things_is_no_label(assembled):
    async with assembled() as world:
        for number in range(20):
            await world.user.request("GET", f"/nothing/{number}")
            await world.user.request("GET", f"/static/{number}.js")
            await world.user.request(f"BREW{number}", "/health")
            await world.user.ask(f"query Q{number} {{ me {{ email }} }}")
        found = await scraped(world)
    counted = {labels: value for (name, labels), value in found.items() if name == "switchyard_request_seconds_count"}
    assert {(dict(labels)["endpoint"], dict(labels)["operation"]): value for labels, value in counted.items()} == {
        ("other", ""): 20,
        ("/static", ""): 20,
        ("/health", ""): 20,
        ("/graphql", "ad hoc"): 20,
    }


async def test_a_trusted_document_has_its_name(assembled, tmp_path):
    (tmp_path / "documents.json").write_text(json.dumps({"me": "query Mine { me { email } }"}))
    async with assembled(SWITCHYARD_TRUSTED_DOCUMENTS=tmp_path / "documents.json") as world:
        for body in ({"documentId": "me"}, {"query": "query Mine { me { email } }"}):
            await world.user.request("POST", "/graphql", json=body)
        found = await scraped(world)
    for operation in ("Mine", "ad hoc"):
        labels = {"dialect": "graphql", "endpoint": "/graphql", "operation": operation}
        assert found[of("switchyard_request_seconds_count", **labels, status="2xx")] == 1
        assert found[of("switchyard_request_statements_sum", **labels)] == 2


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("{", "syntax"),
        ("{ nothing }", "validation"),
        ("{ a: __typename " + "b: __typename " * 70 + "}", "aliases"),
        ("{" + "a " * 12_000 + "}", "tokens"),
        ("{ __typename }" + " " * 100_000, "characters"),
        ("{ instruments(first: 500) { nodes { files(first: 500) { nodes { id } } } } }", "nodes"),
    ],
)
async def test_documents_that_are_refused(world, query, reason):
    name = of("switchyard_documents_refused_total", reason=reason)
    before = (await scraped(world)).get(name, 0)
    for _ in range(2):
        await world.admin.request("POST", "/graphql", json={"query": query})
    assert (await scraped(world))[name] == before + 2


async def test_caches(world):
    query = "query Cached { me { id email } }"
    before = await scraped(world)
    for _ in range(3):
        await world.user.ask(query)
    after = await scraped(world)
    for cache in ("documents", "operations"):
        for result, more in (("hit", 2), ("miss", 1)):
            name = of("switchyard_cache_requests_total", cache=cache, result=result)
            assert after[name] - before[name] == more
        assert after[of("switchyard_cache_entries", cache=cache)] > 0


def test_an_unanswered_request():
    metrics = Metrics(Nothing(), Nothing())
    metrics.ended(Exchange({"method": "GET", "path": "/x"}))
    labels = {"dialect": "", "endpoint": "other", "operation": "ad hoc", "status": "none"}
    assert metrics.registry.get_sample_value("switchyard_request_seconds_count", labels) == 1


async def test_the_event_loops_lag(monkeypatch):
    monkeypatch.setattr("app.metrics.LOOK_EVERY", 0.01)
    metrics = Metrics(Nothing(), Nothing())
    async with metrics.running():
        await asyncio.sleep(0.05)
        end = asyncio.get_running_loop().time() + 0.2
        while asyncio.get_running_loop().time() < end:
            pass  # nobody else gets a turn
        await asyncio.sleep(0.05)
    assert metrics.registry.get_sample_value("switchyard_event_loop_lag_seconds_sum") > 0.15
    assert metrics.registry.get_sample_value("switchyard_event_loop_lag_seconds_count") > 2


async def test_a_busy_server_still_tells(assembled, monkeypatch):
    gate, arrived = asyncio.Event(), asyncio.Event()
    async with assembled(SWITCHYARD_REQUESTS=1) as world:
        admit = type(world.parts.contexts).__call__

        async def held(contexts: Any, connection: Any) -> Any:
            arrived.set()
            await gate.wait()
            return await admit(contexts, connection)

        monkeypatch.setattr("app.wiring.Contexts.__call__", held)
        waiting = asyncio.create_task(world.user.request("GET", "/api/files?limit=1"))
        await arrived.wait()
        refused = await world.user.request("GET", "/api/files?limit=1")
        assert (refused.status_code, refused.headers["retry-after"], refused.json()) == (
            503,
            "1",
            {"detail": "The server is busy: try again in a moment"},
        )
        page = await world.user.request("GET", "/docs")
        assert (page.status_code, page.headers["content-type"]) == (503, "application/problem+json")
        assert (await world.user.request("GET", "/health/ready")).status_code == 200
        assert (await scraped(world))[of("switchyard_requests_under_way")] == 1
        gate.set()
        assert (await waiting).status_code == 200


# --- what the database says --------------------------------------------------------------------------------------------


async def add(database, state: RunState, **values: Any) -> None:
    now = utc_now()
    given = {"kind": "harvest", "parameters": {}, "attempt": 1, "created_at": now - timedelta(seconds=90), **values}
    async with database.transaction() as transaction:
        await transaction.insert(runs, id=uuid4(), state=state, **given)


async def test_the_queue(database):
    now = utc_now()
    for age in (300, 20):
        await add(database, RunState.QUEUED, created_at=now - timedelta(seconds=age))
    for worker, lease in (("a", 30), ("a", 30), ("b", 30), ("c", -1)):
        await add(database, RunState.RUNNING, worker=worker, lease_expires_at=now + timedelta(seconds=lease))
    for state, age in ((RunState.FAILED, 1), (RunState.FAILED, 2), (RunState.SUCCEEDED, 1), (RunState.FAILED, 61)):
        await add(database, state, finished_at=now - timedelta(minutes=age))
    gauges = QueueGauges(database, lambda: now)
    await gauges.refresh()
    told = gauges.told
    assert dict(told.runs) == {RunState.QUEUED: 2, RunState.RUNNING: 4}
    assert (told.oldest, told.workers, told.lost) == (300.0, 2, 1)
    assert dict(told.finished) == {RunState.FAILED: 2, RunState.SUCCEEDED: 1}


async def test_an_empty_queue(database):
    gauges = QueueGauges(database)
    await gauges.refresh()
    told = gauges.told
    assert (dict(told.runs), told.oldest, told.workers, told.lost, dict(told.finished)) == (
        {RunState.QUEUED: 0, RunState.RUNNING: 0},
        0.0,
        0,
        0,
        {},
    )


async def test_connections_in_use(database):
    slow = (
        "SELECT pg_sleep(0.5)"
        if database.dialect.name == "postgresql"
        else "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000) SELECT count(*) FROM n"
    )
    assert dict(database.in_use()) == {"plans": 0, "changes": 0}
    reading = [asyncio.create_task(database.fetch(slow, ())) for _ in range(2)]
    async with database.transaction() as transaction:
        await transaction.scalar(sql("SELECT 1"))
        await asyncio.sleep(0.1)
        assert dict(database.in_use()) == {"plans": 2, "changes": 1}
    await asyncio.gather(*reading)
    assert dict(database.in_use()) == {"plans": 0, "changes": 0}


async def test_the_database_is_asked_once_a_second(assembled, monkeypatch):
    async with assembled() as world:
        asked_for = []
        every = type(world.parts.database).all

        async def counted(database: Any, statement: Any) -> Any:
            asked_for.append(None)
            return await every(database, statement)

        monkeypatch.setattr(type(world.parts.database), "all", counted)
        found = await asyncio.gather(*(scraped(world) for _ in range(20)))
    assert len(asked_for) == 2
    assert {sample[of("switchyard_store_up", store="database")] for sample in found} == {1}
    assert found[0][of("switchyard_runs", state="queued")] == 0


async def test_a_database_that_does_not_answer_says_nothing_old(assembled, monkeypatch):
    async with assembled() as world:
        assert of("switchyard_workers_busy") in await scraped(world)

        async def down(*_: Any) -> Any:
            raise Unavailable("the database does not answer")

        monkeypatch.setattr(type(world.parts.database), "all", down)
        monkeypatch.setattr("app.metrics.KEPT", 0.0)
        found = await scraped(world)
    assert found[of("switchyard_store_up", store="database")] == 0
    assert [name for name, _ in found if name.startswith(("switchyard_runs", "switchyard_workers", "switchyard_store_s"))] == []


# --- who may ask -------------------------------------------------------------------------------------------------------

TOKEN = "0123456789abcdef0123456789abcdef"


async def test_this_machine_may_ask_while_one_develops(world):
    for host in ("127.0.0.1", "::1", "127.8.0.1"):
        assert (await asked(world, (host, 1))).status_code == 200


@pytest.mark.parametrize("host", ["192.0.2.7", "2001:db8::1", "testclient"])
async def test_nobody_else_may(world, host):
    reply = await asked(world, (host, 1))
    assert (reply.status_code, reply.headers["content-type"]) == (403, "application/problem+json")
    assert reply.json()["detail"] == "Metrics need a token: the setting SWITCHYARD_METRICS_TOKEN"


@pytest.mark.parametrize("header", ["Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP"])
async def test_what_was_passed_on_is_not_of_this_machine(world, header):
    assert (await asked(world, **{header: "127.0.0.1"})).status_code == 403


async def test_in_production_nobody_may_without_a_token(assembled):
    async with assembled(SWITCHYARD_PROFILE="production") as world:
        assert (await asked(world)).status_code == 403


@pytest.mark.parametrize("profile", ["development", "production"])
async def test_with_a_token_whoever_has_it_may(assembled, profile):
    async with assembled(SWITCHYARD_PROFILE=profile, SWITCHYARD_METRICS_TOKEN=TOKEN) as world:
        for given in (f"Bearer {TOKEN}", f"bearer  {TOKEN} "):
            assert (await asked(world, ("192.0.2.7", 1), authorization=given)).status_code == 200
        for wrong in ({}, {"authorization": f"Bearer {TOKEN}0"}, {"authorization": TOKEN}, {"authorization": b"Bearer \xff"}):
            reply = await asked(world, **wrong)
            assert (reply.status_code, reply.headers["www-authenticate"]) == (401, "Bearer")
            assert TOKEN not in reply.text


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("", "text/plain; version=0.0.4"),
        ("*/*", "text/plain; version=0.0.4"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text; version=1.0.0"),
        ("text/plain; version=nonsense", "text/plain; version=0.0.4"),
        ("application/openmetrics-text; version=1.0.0; escaping=nonsense", "application/openmetrics-text; version=1.0.0"),
    ],
)
async def test_the_form_that_the_scraper_prefers(world, accept, media):
    reply = await asked(world, accept=accept)
    assert (reply.status_code, reply.headers["cache-control"]) == (200, "no-store")
    assert reply.headers["content-type"].startswith(media)
    assert "switchyard_build_info" in reply.text
