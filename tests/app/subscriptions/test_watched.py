"""What operators see of operations on sockets and streams: metrics, a line of the log for each, and spans."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

import pytest

from app.observability import JsonLines
from tests.app.subscriptions.support import CHANGES, PROGRESS, Live, comes_true, events, socket
from tests.app.test_tracing import Spans

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

ME = "query Mine { me { email } }"
FILES = "{ files(first: 1) { totalCount } }"


def counted(live: Live, name: str = "switchyard_operation_seconds_count", **labels: str) -> float:
    return live.world.parts.metrics.registry.get_sample_value(name, labels) or 0.0


def ended(live: Live, kind: str, outcome: str, endpoint: str = "/graphql as messages", operation: str = "ad hoc") -> float:
    return counted(live, endpoint=endpoint, operation=operation, kind=kind, outcome=outcome)


def statements(live: Live, endpoint: str = "/graphql as messages") -> float:
    return counted(live, "switchyard_request_statements_sum", dialect="graphql", endpoint=endpoint, operation="ad hoc")


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """What the log says in its JSON form, as it says it."""
    found: list[dict[str, Any]] = []
    form = JsonLines()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(json.loads(form.format(record)))

    caplog.set_level(logging.INFO, "switchyard")
    logger, handler = logging.getLogger("switchyard"), Handler()
    logger.addHandler(handler)
    yield found
    logger.removeHandler(handler)


async def told(lines: list[dict[str, Any]], message: str) -> dict[str, Any]:
    """The line that says that."""
    await comes_true(lambda: any(re.fullmatch(message, line["message"]) for line in lines))
    return next(line for line in lines if re.fullmatch(message, line["message"]))


async def test_a_query(serving, lines):
    async with serving() as live, socket(live.address, live.user) as client:
        await client.subscribe(ME)
        assert [(await client.receive())["type"] for _ in range(2)] == ["next", "complete"]
        line = await told(lines, r"WS /graphql query completed \d+\.\d ms [0-9a-f]{16}")
        assert ended(live, "query", "completed") == 1
        assert statements(live) == line["statements"] == 2  # authentication, and the person
        assert (
            counted(
                live, "switchyard_operation_nodes_sum", dialect="graphql", endpoint="/graphql as messages", operation="ad hoc"
            )
            == 1
        )
        requests = live.world.parts.metrics.registry.get_sample_value
        assert (
            requests(
                "switchyard_request_seconds_count",
                {"dialect": "graphql", "endpoint": "/graphql as messages", "operation": "ad hoc", "status": "none"},
            )
            is None
        )
    expected = {"operation": "Mine", "method": "WS", "path": "/graphql", "endpoint": "/graphql as messages", "complete": False}
    expected |= {
        "dialect": "graphql",
        "subject": str(live.world.user.id),
        "statements": 2,
        "cost": 1,
        "outcome": "completed",
        "events": 1,
    }
    assert {name: line[name] for name in expected} == expected


async def test_the_end_of_a_socket_has_the_id_of_its_operations(serving, lines):
    async with serving() as live:
        async with socket(live.address, live.user) as client:
            await client.subscribe(ME)
            await client.receive()
        line = await told(lines, r"WS /graphql \d{4} \d+\.\d s 1 operations [0-9a-f]{16}")
        operation = await told(lines, r"WS /graphql query \S+ \d+\.\d ms [0-9a-f]{16}")
        assert operation["request_id"] == line["message"].rpartition(" ")[2]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("{", "syntax"),
        ("{ nothing }", "validation"),
        ("query ($id: UUID!) { instrument(localId: $id) { name } }", "validation"),
        ("{ instruments(first: 500) { nodes { files(first: 500) { nodes { id } } } } }", "nodes"),
    ],
)
async def test_what_is_refused(live: Live, query: str, reason: str):
    def refused() -> float:
        return sum(ended(live, kind, "refused") for kind in ("", "query"))

    def reasons() -> float:
        return counted(live, "switchyard_documents_refused_total", reason=reason)

    before = refused(), reasons()
    async with socket(live.address, live.admin) as client:
        await client.subscribe(query)
        assert (await client.receive())["type"] == "error"
        await comes_true(lambda: (refused(), reasons()) == (before[0] + 1, before[1] + 1))


async def test_too_many_operations(serving, lines):
    async with serving(SWITCHYARD_SOCKET_OPERATIONS=1) as live, socket(live.address, live.admin) as client:
        run = await live.run()
        await client.subscribe(PROGRESS, run=run.id)
        await client.next("runProgress")
        await client.subscribe(ME)
        assert (await client.receive())["type"] == "error"
        line = await told(lines, r"WS /graphql refused \d+\.\d ms [0-9a-f]{16}")
        assert (line["outcome"], line["refused"], ended(live, "", "refused")) == ("refused", "rate_limited", 1)


async def test_what_fails(live: Live, lines, monkeypatch):
    before = ended(live, "subscription", "failed")
    async with socket(live.address, live.admin) as client:
        run = await live.run()
        monkeypatch.setattr("app.subscriptions.sharing.payload_of", lambda *_: 1 / 0)
        await client.subscribe(PROGRESS, run=run.id)
        assert (await client.receive())["type"] == "error"
    line = await told(lines, r"WS /graphql subscription failed \d+\.\d ms [0-9a-f]{16}")
    assert (line["outcome"], ended(live, "subscription", "failed")) == ("failed", before + 1)


async def test_a_client_that_leaves(live: Live, lines):
    """It completes the one, and is gone amid the other."""
    run = await live.run()
    before = ended(live, "subscription", "left")
    async with socket(live.address, live.admin) as client:
        for _ in range(2):
            await client.subscribe(PROGRESS, run=run.id)
            await client.next("runProgress")
        await client.send(id="1", type="complete")
        await comes_true(lambda: ended(live, "subscription", "left") == before + 1)
        client.connection.transport.abort()
        await comes_true(lambda: ended(live, "subscription", "left") == before + 2)
    assert not [line for line in lines if line["level"] != "info"]


async def test_a_session_that_is_over(live: Live, lines):
    run = await live.run()
    person = await live.world.person("carl@example.org", "admin")
    async with socket(live.address, person.headers["Authorization"].removeprefix("Bearer ")) as client:
        await client.subscribe(PROGRESS, run=run.id)
        await client.next("runProgress")
        await person.request("POST", "/auth/jwt/logout")
        assert (await client.closed())[0] == 4401
    line = await told(lines, r"WS /graphql subscription (left|session over) \d+\.\d ms [0-9a-f]{16}")
    assert line["subject"] == str(person.id)


async def test_looks_are_counted_once_for_all(serving):
    """Two clients follow the same; what each is told later on is written past their tasks, and counted all the same."""
    async with serving() as live:
        run = await live.run()
        async with socket(live.address, live.admin) as one, socket(live.address, live.admin) as two:
            for client in (one, two):
                await client.subscribe(PROGRESS, run=run.id)
                await client.next("runProgress")
            before, asked = ended(live, "subscription", "completed", "/graphql look"), statements(live, "/graphql look")
            await run.progress(found=1)
            for client in (one, two):
                await client.next("runProgress")
            assert ended(live, "subscription", "completed", "/graphql look") == before + 1
            assert statements(live, "/graphql look") == asked + 2  # whether it is seen, and the run
            await run.finish()
            for client in (one, two):
                await client.next("runProgress")
                assert (await client.receive())["type"] == "complete"
        await comes_true(lambda: ended(live, "subscription", "completed") == 2)
        assert statements(live) == 2  # authentication: by themselves they asked nothing else


async def test_events_are_counted_however_they_are_written(serving, lines):
    async with serving() as live:
        run = await live.run()
        async with socket(live.address, live.admin) as client:
            await client.subscribe(PROGRESS, run=run.id)
            await client.next("runProgress")
            for found in range(5):
                await run.progress(found=found)
                await client.next("runProgress")
            await run.finish()
            await client.next("runProgress")
        assert (await told(lines, r"WS /graphql subscription completed .*"))["events"] == 7


async def test_a_stream_of_events(serving, lines):
    async with serving() as live:
        run = await live.run()
        async with events(live.address, live.admin, PROGRESS.replace("subscription", "subscription Far"), run=run.id) as stream:
            await stream.receive()
            await run.finish()
            await stream.receive()
            assert (await stream.receive())[0] == "complete"
        line = await told(lines, r"POST /graphql 200 \d+\.\d ms [0-9a-f]{16}")
        assert ended(live, "subscription", "completed", "/graphql as events") == 1
        labels = {"dialect": "graphql", "endpoint": "/graphql as events", "operation": "ad hoc", "status": "2xx"}
        assert counted(live, "switchyard_request_seconds_count", **labels) == 1
    expected = {"operation": "Far", "outcome": "completed", "events": 2, "subject": str(live.world.admin.id), "cost": 2}
    assert {name: line.get(name) for name in expected} == expected


async def test_a_stream_that_its_client_leaves(serving):
    async with serving() as live:
        run = await live.run()
        async with events(live.address, live.admin, PROGRESS, run=run.id) as stream:
            await stream.receive()
        await comes_true(lambda: ended(live, "subscription", "left", "/graphql as events") == 1)


async def test_a_trusted_document_has_its_name(serving, tmp_path):
    (tmp_path / "me.json").write_text(json.dumps({"me": ME}))
    async with (
        serving(SWITCHYARD_TRUSTED_DOCUMENTS=str(tmp_path / "me.json")) as live,
        socket(live.address, live.user) as client,
    ):
        await client.send(id="1", type="subscribe", payload={"documentId": "me"})
        await client.next("me")
        await comes_true(lambda: ended(live, "query", "completed", operation="Mine") == 1)


async def test_spans(serving, monkeypatch):
    spans = Spans()
    monkeypatch.setattr("app.wiring._tracing", lambda *_: spans.tracing)
    async with serving() as live:
        _, node = await live.instrument()
        spans.exporter.clear()
        async with socket(live.address, live.admin) as client:
            await client.subscribe(FILES)
            assert [(await client.receive())["type"] for _ in range(2)] == ["next", "complete"]
            await client.subscribe(CHANGES, id=node)
            await client.next("changes")
            await client.send(id="2", type="complete")
            await comes_true(lambda: ended(live, "subscription", "left") == 1)
    found = spans.tree()
    query = found.index("query ad hoc")
    assert found[query : query + 2] == ["query ad hoc", "  Query.files count"]
    look = next(at for at, name in enumerate(found) if name == "subscription ad hoc" and found[at + 1].startswith("  "))
    assert found[look + 1 :][:1] == ["  subscription"]  # whether the node is seen
    outcomes = {
        (span.name, span.attributes["switchyard.operation.outcome"], span.status.is_ok)
        for span in spans.all()
        if "switchyard.operation.outcome" in span.attributes
    }
    assert outcomes == {
        ("query ad hoc", "completed", True),
        ("subscription ad hoc", "completed", True),  # the look
        ("subscription ad hoc", "left", True),
    }
