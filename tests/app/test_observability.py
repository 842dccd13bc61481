"""What operators see: the log's format and levels, request ids, and errors that are logged once."""

from __future__ import annotations

import io
import json
import logging
import re
import shutil
import sys
from uuid import UUID

import pytest
from graphql import GraphQLError, GraphQLSyntaxError, Source, parse
from sqlalchemy import delete, select, text

from app.observability import (
    Exchange,
    Reporter,
    RequestLog,
    configure_logging,
    exchange_of,
    printable,
    refusal,
    request_id_of,
    watch_changes,
)
from core.errors import NotSupported, TooExpensive, Unavailable
from core.watching import watching
from rest_compat.calls import StreamCut
from storage.sql.opening import open_database
from storage.sql.tables import runs


def test_one_line_on_standard_error(root_logger, capsys):
    root_logger.handlers.clear()
    configure_logging("info")
    logging.getLogger("switchyard").info("hello")
    logging.getLogger("switchyard").debug("not this")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO    switchyard hello\n", captured.err)


@pytest.mark.parametrize("name", ["aiosqlite", "sqlalchemy.engine.Engine"])
def test_statements_and_their_values_are_not_logged_even_when_debugging(root_logger, name):
    root_logger.handlers.clear()
    configure_logging("debug")
    assert not logging.getLogger(name).isEnabledFor(logging.INFO)
    assert logging.getLogger("switchyard").isEnabledFor(logging.DEBUG)


def test_what_cut_a_reply_is_not_logged_again(root_logger, caplog):
    configure_logging("info")
    root_logger.addHandler(caplog.handler)
    server = logging.getLogger("uvicorn.error")
    server.error("Exception in ASGI application\n", exc_info=StreamCut("see error 1"))
    server.error("Exception in ASGI application\n", exc_info=RuntimeError("new"))
    server.error("without a cause")
    assert [str(record.exc_info and record.exc_info[1]) for record in caplog.records] == ["new", "None"]


def test_a_report_is_found_under_its_id(caplog):
    error = RuntimeError("cause")
    one, other = Reporter("request")(error), Reporter("request")(error)
    assert one != other
    assert re.fullmatch("[0-9a-f]{12}", one)
    assert caplog.records[0].getMessage() == f"error {one} in request request"
    assert caplog.records[0].exc_info[1] is error


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([], "unanswered"),
        ([{"type": "http.response.start", "status": 200}], "200 cut off"),
        ([{"type": "http.response.start", "status": 200}, {"type": "http.response.body", "more_body": True}], "200 cut off"),
        ([{"type": "http.response.start", "status": 404}, {"type": "http.response.body"}], "404"),
    ],
)
def test_how_far_the_reply_got(messages, said):
    exchange = Exchange({"method": "GET", "path": "/x"})
    for message in messages:
        exchange.note(message)
    assert exchange.outcome == said


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/api/files", "/api/files"),
        ("/a b\n\x1b[31m", "/a%20b%0A%1B%5B31m"),
        ("/ä%", "/%C3%A4%25"),
        ("/\ud800", "/%3F"),
    ],
)
def test_printable_paths(path, shown):
    assert printable(path) == shown


async def test_only_requests_are_logged_and_numbered(caplog):
    caplog.set_level(logging.INFO)
    seen = []

    async def app(scope, receive, send):
        seen.append(request_id_of(scope))

    for kind in ("lifespan", "websocket"):
        await RequestLog(app)({"type": kind}, None, None)
    assert (seen, caplog.records) == (["-", "-"], [])


async def test_a_failure_passes_through_and_is_in_the_log_line(caplog):
    caplog.set_level(logging.INFO)

    async def app(scope, receive, send):
        raise StreamCut("see error 1")

    with pytest.raises(StreamCut):
        await RequestLog(app)({"type": "http", "method": "GET", "path": "/x"}, None, None)
    assert caplog.records[0].getMessage().startswith("GET /x unanswered ")


async def test_other_headers_stay(caplog):
    sent = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 204, "headers": [(b"a", b"1"), (b"a", b"2")]})
        await send({"type": "http.response.body"})

    async def send(message):
        sent.append(message)

    await RequestLog(app)(scope := {"type": "http", "method": "GET", "path": "/x"}, None, send)
    assert sent[0]["headers"] == [(b"a", b"1"), (b"a", b"2"), (b"x-request-id", request_id_of(scope).encode())]


# --- requests ----------------------------------------------------------------------------------------------------------


async def answered_with(headers: list[tuple[bytes, bytes]]) -> str:
    """The id under which a request with these headers is answered."""
    seen = []

    async def app(scope, receive, send):
        seen.append(request_id_of(scope))

    await RequestLog(app)({"type": "http", "method": "GET", "path": "/x", "headers": headers}, None, None)
    return seen[0]


@pytest.mark.parametrize("given", ["0123456789abcdef", "c2b1c1a4-2b0a-4a52-9d8b-1d3f0f0f8a51", "A.b_c~d-" * 8])
async def test_a_sane_request_id_is_kept(given):
    assert await answered_with([(b"x-request-id", given.encode())]) == given


@pytest.mark.parametrize(
    "given",
    ["", "mine", "a" * 65, "0123456789abcdef\n", "0123456789abcde f", "-123456789abcdef0", '"0123456789abcdef"', "ä" * 20],
)
async def test_any_other_is_not(given):
    assert re.fullmatch("[0-9a-f]{16}", await answered_with([(b"x-request-id", given.encode())]))


async def test_who_is_told_of_an_exchange(caplog):
    told = []

    async def app(scope, receive, send):
        exchange_of(scope).serves("instruments", "/api/files/{file_id}", "files_get", "query")
        with watching.get().statement("Query.file", "SELECT 1"):
            pass
        watching.get().cost(2)
        watching.get().cost(3)
        await send({"type": "http.response.start", "status": 404})
        await send({"type": "http.response.body"})

    async def send(message):
        pass

    await RequestLog(app, told.append)({"type": "http", "method": "GET", "path": "/api/files/1"}, None, send)
    (exchange,) = told
    assert exchange.fields() == {
        "method": "GET",
        "path": "/api/files/1",
        "endpoint": "/api/files/{file_id}",
        "status": 404,
        "complete": True,
        "ms": exchange.fields()["ms"],
        "dialect": "instruments",
        "statements": 1,
        "cost": 5,
    }
    assert exchange.seconds > 0
    assert watching.get() is None, "nobody is told of what comes after a request"


def test_an_operation_without_end_is_named_in_part():
    exchange = Exchange({"method": "POST", "path": "/graphql"})
    definition = parse(f"query {'a' * 5000} {{ a }}").definitions[0]
    with exchange.executes(definition, known=False):
        assert (exchange.operation, exchange.kind, exchange.known) == ("a" * 100, "query", False)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (GraphQLError("", original_error=TooExpensive("much", bound="depth")), "depth"),
        (GraphQLError("", original_error=NotSupported("no")), "not_supported"),
        (GraphQLError("", extensions={"code": "DOCUMENT_NOT_TRUSTED"}), "document_not_trusted"),
        (GraphQLSyntaxError(Source("{"), 0, "no"), "syntax"),
        (GraphQLError("no such field"), "validation"),
    ],
)
def test_why_a_document_is_refused(error, said):
    assert refusal([error]) == said


async def test_the_statements_of_use_cases_are_told_and_their_transactions_are_not(migrated, tmp_path):
    """Of several in one transaction each is one; what fails ends, too."""
    texts: list[str] = []
    ended: list[type[BaseException] | None] = []

    class Watched:
        def statement(self, name, text):
            texts.append(text.split()[0])

            class Running:
                def __enter__(self):
                    pass

                def __exit__(self, kind, *_):
                    ended.append(kind)

            return Running()

        def cost(self, nodes):
            pass

    shutil.copy(migrated, tmp_path / "switchyard.db")
    database = await open_database(f"sqlite+aiosqlite:///{tmp_path}/switchyard.db")
    watch_changes(database.engine)
    before = watching.set(Watched())
    try:
        async with database.transaction() as transaction:
            await transaction.scalar(select(1))
            await transaction.execute(delete(runs))
        with pytest.raises(Unavailable):
            await database.all(text("SELECT nothing"))
    finally:
        watching.reset(before)
        await database.close()
    assert texts == ["SELECT", "DELETE", "SELECT"]
    assert ended[:2] == [None, None]
    assert issubclass(ended[2], Exception)


# --- lines of JSON -----------------------------------------------------------------------------------------------------


@pytest.fixture
def json_lines(root_logger, monkeypatch):
    """Begins to log; gives what was logged, line by line."""

    def begin():
        stream = io.StringIO()
        monkeypatch.setattr(sys, "stderr", stream)
        root_logger.handlers.clear()
        configure_logging("info", "json")
        monkeypatch.setattr(logging.getLogger("httpx"), "disabled", True)  # the caller's, who is here, too
        return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]

    return begin


def test_an_object_per_line(json_lines):
    lines = json_lines()
    logging.getLogger("jobs").warning("two\nlines of %s \ud800", "text")
    (line,) = lines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", line.pop("time"))
    assert line == {"level": "warning", "logger": "jobs", "message": "two\nlines of text ?"}


async def test_the_line_of_a_request(json_lines):
    lines = json_lines()

    async def app(scope, receive, send):
        exchange = exchange_of(scope)
        exchange.serves("instruments", "/api/files", "files_list", "subscription")
        exchange.subject = UUID(int=7)
        logging.getLogger("somewhere").info("meanwhile")
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})

    async def send(message):
        pass

    scope = {"type": "http", "method": "GET", "path": "/api/files", "query_string": b"token=hunter2"}
    await RequestLog(app)(scope, None, send)
    meanwhile, line = lines()
    assert (meanwhile["request_id"], meanwhile["operation"]) == (request_id_of(scope), "files_list")
    assert "status" not in meanwhile
    for varying in ("time", "ms", "message"):
        assert line.pop(varying)
    assert line == {
        "level": "info",
        "logger": "switchyard",
        "request_id": request_id_of(scope),
        "operation": "files_list",
        "method": "GET",
        "path": "/api/files",
        "endpoint": "/api/files",
        "status": 200,
        "complete": True,
        "dialect": "instruments",
        "subject": str(UUID(int=7)),
        "statements": 0,
    }


def test_an_error_has_its_id_and_its_traceback(json_lines):
    lines = json_lines()
    error_id = Reporter("request")(RuntimeError("cause"))
    (line,) = lines()
    assert (line["error_id"], line["level"]) == (error_id, "error")
    assert line["traceback"].endswith("RuntimeError: cause")


async def test_everything_an_operator_asks_of_the_log_of_a_server(world, json_lines):
    """The operation of a GraphQL request by its own name, the person by the id, and nothing of what they sent."""
    logged = json_lines()
    query = "query Mine { me { email } }"
    await world.user.request("POST", "/graphql?secret=hunter2", json={"query": query, "variables": {"password": "hunter2"}})
    lines = logged()
    line = lines[-1]
    assert (line["operation"], line["endpoint"], line["dialect"], line["subject"]) == (
        "Mine",
        "/graphql",
        "graphql",
        str(world.user.id),
    )
    assert line["statements"] == 2
    assert "hunter2" not in json.dumps(lines)
    assert world.user.email not in json.dumps(lines)
