"""Webhooks [EXT] of contract §7, against a real server."""

from __future__ import annotations

import logging
import socket
import time
from ipaddress import ip_network
from uuid import UUID

import pytest

from core.vocabulary import GranteeType, HookTrigger
from jobs.hooks.access import WebhookAccess
from jobs.hooks.asking import PROCEED, Action, HookError, Result, Subject, Wish
from jobs.hooks.calling import LARGEST_REPLY, Caller
from jobs.hooks.webhook import webhook
from tests.jobs.hooks.conftest import reply
from tests.jobs.hooks.subjects import COPIED, FILE, INSTRUMENT, RUN, TRANSFER, subject

HOOK = UUID("7d4bb140-a51f-4ca1-95a0-769b417c9b05")
LOCAL = (ip_network("127.0.0.0/8"),)


@pytest.fixture
def caller():
    caller = Caller(WebhookAccess(networks=LOCAL, timeout=0.5))
    yield caller
    caller.close()


def ask(url: str | None, caller: Caller, file: Subject | None = None, config=None) -> Result:
    asked = webhook(url, caller, trigger=HookTrigger.PRE_TRANSFER, hook_id=HOOK, config=config)
    return asked(file or subject())


def refusal(url, caller) -> str:
    with pytest.raises(HookError) as caught:
        ask(url, caller)
    return str(caught.value)


# What it is told


def test_it_is_told_what_is_known_before_the_copy(server, caller):
    ask(server.url, caller, subject(sample="A"), {"team": "NMR"})
    (heard,) = server.heard
    assert (heard.path, heard.headers["Content-Type"], heard.headers["Host"]) == (
        "/hook",
        "application/json",
        f"127.0.0.1:{server.port}",
    )
    assert heard.body == {
        "trigger": "pre_transfer",
        "hook_id": str(HOOK),
        "config": {"team": "NMR"},
        "flow_run_id": str(RUN),
        "instrument_id": str(INSTRUMENT),
        "instrument_name": "NMR 400",
        "source_path": "20260115_sampleA/run_001.csv",
        "filename": "run_001.csv",
        "size_bytes": 14,
        "source_mtime": "2026-11-21T00:28:06.249000Z",
        "metadata": {"sample": "A"},
    }


def test_it_is_told_of_the_copy_after_it(server, caller):
    known = {name: getattr(subject(), name) for name in ("run_id", "instrument_id", "instrument_name", "source_path")}
    ask(server.url, caller, Subject(**known, size_bytes=14, source_mtime=None, copied=COPIED))
    (heard,) = server.heard
    assert {name: heard.body[name] for name in list(heard.body)[-6:]} == {
        "metadata": {},
        "file_id": str(FILE),
        "transfer_id": str(TRANSFER),
        "destination_path": "/archive/NMR 400/a",
        "bytes_transferred": 14,
        "xxhash": "d6a06c8f22ac88e4",
    }
    assert heard.body["source_mtime"] is None


def test_path_query_and_user_of_its_address(server, caller):
    address = f"http://svc:p%40ss@127.0.0.1:{server.port}/a b/c?token=x&é=1#fragment"
    ask(address, caller)
    (heard,) = server.heard
    assert heard.path == "/a%20b/c?token=x&%C3%A9=1"
    assert heard.headers["Authorization"] == "Basic c3ZjOnBAc3M="


def test_connections_are_kept(server, caller):
    for _ in range(5):
        ask(server.url, caller)
    assert (len(server.heard), len(server.connections)) == (5, 1)


def test_a_connection_that_was_closed_meanwhile_is_made_anew(server, caller):
    def once(handler, _):
        reply(handler, {})
        handler.close_connection = True

    server.answer = once
    for _ in range(3):
        ask(server.url, caller)
        time.sleep(0.05)
    assert len(server.connections) == 3


# What it may say


@pytest.mark.parametrize(
    ("said", "result"),
    [
        (b"", PROCEED),
        ({}, PROCEED),
        ({"action": "proceed", "unknown": 1}, PROCEED),
        (dict.fromkeys(("action", "message", "redirect_path", "metadata_updates", "access_grants")), PROCEED),
        ({"action": "skip"}, Result(Action.SKIP)),
        ({"action": "skip", "message": "embargo"}, Result(Action.SKIP, "embargo")),
        ({"action": "redirect", "redirect_path": "/x"}, Result(Action.REDIRECT, redirect_path="/x")),
        ({"metadata_updates": {"a": [1, {"b": None}], "ü": "測"}}, Result(metadata={"a": [1, {"b": None}], "ü": "測"})),
        (
            {"access_grants": [{"grantee_type": "group", "grantee_id": str(HOOK)}]},
            Result(wishes=(Wish(GranteeType.GROUP, HOOK),)),
        ),
    ],
    ids=str,
)
def test_replies(server, caller, said, result):
    server.says(said)
    assert ask(server.url, caller) == result


def test_no_content(server, caller):
    server.answer = lambda handler, _: reply(handler, b"", 204)
    assert ask(server.url, caller) == PROCEED


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"<html>", "gave a reply that is no JSON"),
        (b'{"a": NaN}', "gave a reply that is no JSON"),
        (b"\xff", "gave a reply that is no JSON"),
        (b"[" * 2000, "gave a reply that is no JSON"),
        (b'{"metadata_updates": ' + b'{"a":' * 400 + b"1" + b"}" * 401, "gave a reply that is no JSON"),
        ([], "gave a reply that cannot be used: Input should be an object"),
        ({"action": "delete"}, "gave a reply that cannot be used: action: Input should be 'proceed', 'skip' or 'redirect'"),
        ({"action": "redirect"}, "gave a reply that cannot be used: redirect_path: Field required"),
        ({"message": "x" * 1001}, "gave a reply that cannot be used: message: String should have at most 1000 characters"),
        ({"message": "a\0b"}, "gave a reply that cannot be used: text cannot contain NUL characters"),
        ({"metadata_updates": []}, "gave a reply that cannot be used: metadata_updates: Input should be an object"),
        (
            {"access_grants": [{"grantee_type": "user", "grantee_id": "ada"}]},
            "gave a reply that cannot be used: access_grants.0.grantee_id: Input should be a valid UUID",
        ),
        (b'{"message": "' + b"x" * LARGEST_REPLY + b'"}', "answered with more than 64 KB"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_replies_that_cannot_be_used(server, caller, said, words):
    server.says(said)
    assert refusal(server.url, caller).startswith(f"127.0.0.1 {words}")


@pytest.mark.parametrize("status", [199 + 201, 401, 404, 500, 503])
def test_an_error_is_no_answer(server, caller, status):
    server.answer = lambda handler, _: reply(handler, {"action": "skip"}, status)
    assert refusal(server.url, caller) == f"127.0.0.1 answered {status}"


def test_redirects_are_not_followed(server, caller):
    server.answer = lambda handler, _: reply(handler, b"", 307, Location=server.url)
    assert refusal(server.url, caller) == "127.0.0.1 answered 307"
    assert len(server.heard) == 1


# Servers that do not behave


def _late(handler, _):
    time.sleep(1)


def _drop_by_drop(handler, _):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(100):
        handler.wfile.write(b" ")
        time.sleep(0.05)


def _endless_head(handler, _):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(100):
        handler.wfile.write(b"X-%d: x\r\n" % number)
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("answer", [_late, _drop_by_drop, _endless_head])
def test_who_is_slow_is_left(server, caller, answer):
    server.answer = answer
    began = time.monotonic()
    assert refusal(server.url, caller) == "127.0.0.1 does not answer within 0.5 s"
    assert time.monotonic() - began < 1.5
    server.says({"action": "skip"})
    assert ask(server.url, caller) == Result(Action.SKIP)


def _endless(handler, _):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(100_000):
        handler.wfile.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")


def test_a_reply_without_end_is_not_read(server, caller):
    server.answer = _endless
    assert refusal(server.url, caller) == "127.0.0.1 answered with more than 64 KB"


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 2", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"])
def test_who_breaks_off_is_told(server, caller, raw):
    def broken(handler, _):
        handler.wfile.write(raw)
        handler.close_connection = True

    server.answer = broken
    assert refusal(server.url, caller) == "127.0.0.1 cannot be called: it broke the connection"


def test_nobody_listens(caller):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert refusal(f"http://127.0.0.1:{port}/", caller) == "127.0.0.1 cannot be called: Connection refused"


def test_plain_text_where_tls_is_meant(server, caller):
    assert refusal(server.url.replace("http:", "https:"), caller).startswith("127.0.0.1 cannot be called: ")


def test_a_name_that_nobody_has(caller):
    assert refusal("http://no-such-host.invalid/", caller) == "there is no host called no-such-host.invalid"


# Where it may lead


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "hook",
        "//127.0.0.1/x",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "http://",
        "http:///x",
        "http://a:b/",
        "http://[::1/",
    ],
)
def test_what_is_no_address(caller, url):
    words = "its webhook_url is no address: write it as https://host/path" if url else "it has no webhook_url"
    assert refusal(url, caller) == words


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "127.1", "2130706433", "0x7f.1"])
def test_this_machine_is_refused_unless_it_is_allowed(server, host):
    caller = Caller(WebhookAccess())
    url = server.url.replace("127.0.0.1", host)
    assert "which is in no network that webhooks may call" in refusal(url, caller)
    assert server.heard == []


@pytest.mark.parametrize(
    "host", ["10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254", "[fd00:ec2::254]", "[fe80::1]", "0.0.0.0"]
)
def test_private_addresses_are_refused(host, caller):
    bare = host.strip("[]")
    assert refusal(f"http://{host}/latest", caller) == f"{bare} is {bare}, which is in no network that webhooks may call"


def test_the_address_that_was_checked_is_the_one_that_is_called(server, caller, monkeypatch):
    """A name that leads elsewhere when it is looked up again leads nowhere."""
    answers = [["127.0.0.1"], ["10.9.9.9"]]
    asked = []

    def lookup(host, port, *_, **__):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answers[min(len(asked), 2) - 1]]

    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *a, **k: lookup(host, *a, **k) if host == "rebinding.test" else real(host, *a, **k)
    )
    server.answer = lambda handler, _: reply(handler, b"", 204)
    url = server.url.replace("127.0.0.1", "rebinding.test")
    assert ask(url, caller) == PROCEED
    assert (asked, server.heard[0].headers["Host"]) == (["rebinding.test"], f"rebinding.test:{server.port}")
    other = Caller(WebhookAccess(networks=LOCAL, timeout=0.5))
    assert refusal(url, other) == "rebinding.test is 10.9.9.9, which is in no network that webhooks may call"


def test_of_several_addresses_only_allowed_ones_are_called(server, caller, monkeypatch):
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, server.port))
        for address in ("10.9.9.9", "127.0.0.2", "127.0.0.1")
    ]
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *a, **k: found if host == "several.test" else real(host, *a, **k))
    assert ask(server.url.replace("127.0.0.1", "several.test"), caller) == PROCEED


# What is told of it


def test_nothing_secret_is_told_or_logged(server, caller, caplog):
    caplog.set_level(logging.DEBUG)
    server.answer = lambda handler, _: reply(handler, {"token": "sesame-reply"}, 500)
    address = f"http://sesame-user:sesame-password@127.0.0.1:{server.port}/sesame-path?sesame-query"
    with pytest.raises(HookError) as caught:
        ask(address, caller)
    assert "sesame" not in f"{caught.value!r} {caught.value.__cause__!r} {caplog.text}"


def test_proxies_of_the_environment_are_not_asked(server, caller, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert ask(server.url, caller) == PROCEED
