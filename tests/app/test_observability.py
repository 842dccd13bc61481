"""What operators see: the log's format and levels, request ids, and errors that are logged once."""

from __future__ import annotations

import logging
import re

import pytest

from app.observability import Progress, Reporter, RequestLog, configure_logging, not_logged_yet, printable, request_id_of
from rest_compat.calls import StreamCut


@pytest.fixture
def root():
    """Leaves logging as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    quiet = {name: logging.getLogger(name).level for name in ("aiosqlite", "sqlalchemy.engine", "alembic", "uvicorn.access")}
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in quiet.items():
        logging.getLogger(name).setLevel(before)
    logging.getLogger("uvicorn.error").removeFilter(not_logged_yet)


def test_one_line_on_standard_error(root, capsys):
    root.handlers.clear()
    configure_logging("info")
    logging.getLogger("switchyard").info("hello")
    logging.getLogger("switchyard").debug("not this")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO    switchyard hello\n", captured.err)


@pytest.mark.parametrize("name", ["aiosqlite", "sqlalchemy.engine.Engine"])
def test_statements_and_their_values_are_not_logged_even_when_debugging(root, name):
    root.handlers.clear()
    configure_logging("debug")
    assert not logging.getLogger(name).isEnabledFor(logging.INFO)
    assert logging.getLogger("switchyard").isEnabledFor(logging.DEBUG)


def test_what_cut_a_reply_is_not_logged_again(root, caplog):
    configure_logging("info")
    root.addHandler(caplog.handler)
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
def test_progress(messages, said):
    progress = Progress()
    for message in messages:
        progress.note(message)
    assert str(progress) == said


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
