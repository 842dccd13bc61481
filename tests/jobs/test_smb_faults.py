"""A Samba that is stopped, killed and frozen while it is read: no operation waits without end, no thread is left."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from jobs.sources import Source
from tests import smb

pytestmark = pytest.mark.slow

LARGE = b"0123456789abcdef" * 4 * 65_536  # four chunks
CHUNK = 1024 * 1024


@pytest.fixture
def samba() -> Iterator[smb.Samba]:
    with smb.own() as samba:
        samba.put("a", LARGE)
        samba.put("b", b"b")
        samba.put("run/c", b"c")
        yield samba


@pytest.fixture
def source(samba) -> Iterator[Source]:
    source = samba.source(connecting=3, answer=2)
    yield source
    samba.do("thaw") if samba.running() else None
    source.close()


def lost(ask: Callable[[], object]) -> tuple[str, float]:
    """What the failure says, and how long it took. It leaves no thread."""
    began = time.monotonic()
    with pytest.raises(OSError) as caught:  # noqa: PT011  # the words are compared
        ask()
    took = time.monotonic() - began
    assert smb.threads() == []
    return caught.value.strerror, took


def test_killed_in_mid_read(samba, source):
    stream = source.open("a")
    assert stream.read(CHUNK) == LARGE[:CHUNK]
    samba.do("kill9")
    words, took = lost(lambda: stream.read(CHUNK))
    assert words == f"the connection to the SMB server {samba.address} broke"
    assert took < 2
    stream.close()

    assert source.lost() is None
    words, took = lost(lambda: source.state("b"))
    assert words == f"the SMB server {samba.address} does not answer: Connection refused"
    assert (source.lost(), took < 2) == (words, True)

    samba.do("start")
    with source.open("a") as stream:
        assert stream.read() == LARGE
    assert source.lost() is None


def test_frozen_in_mid_read(samba, source):
    stream = source.open("a")
    assert stream.read(CHUNK) == LARGE[:CHUNK]
    samba.do("freeze")
    words, took = lost(lambda: stream.read(CHUNK))
    assert words == f"the SMB server {samba.address} does not answer within 2 s"
    assert 1.9 < took < 8
    stream.close()

    words, took = lost(lambda: source.state("b"))
    assert words == f"the SMB server {samba.address} does not answer within 3 s"
    assert (source.lost(), took < 8) == (words, True)

    samba.do("thaw")
    with source.open("a") as stream:
        assert stream.read() == LARGE
    assert source.lost() is None


def test_frozen_in_mid_listing(samba, source):
    files = source.discover(pytest.fail)
    assert [next(files).path, next(files).path] == ["a", "b"]
    samba.do("freeze")
    words, took = lost(lambda: next(files))
    assert words == f"the SMB server {samba.address} does not answer within 2 s"
    assert took < 8

    samba.do("thaw")
    assert [file.path for file in source.discover(pytest.fail)] == ["a", "b", "run/c"]


def test_killed_in_mid_listing(samba, source):
    files = source.discover(pytest.fail)
    next(files)
    samba.do("kill9")
    assert lost(lambda: list(files))[0] in {
        f"the connection to the SMB server {samba.address} broke",
        f"the SMB server {samba.address} does not answer: Connection refused",
    }


def test_frozen_at_the_end_of_a_file(samba, source):
    """What was read is read, though the file cannot be closed in order."""
    stream = source.open("b")
    assert stream.read(CHUNK) == b"b"
    samba.do("freeze")
    began = time.monotonic()
    stream.close()
    assert time.monotonic() - began < 8
    assert smb.threads() == []


def test_frozen_before_the_farewell(samba, source):
    assert source.state("b").size == 1
    samba.do("freeze")
    began = time.monotonic()
    source.close()
    assert time.monotonic() - began < 8
    assert smb.threads() == []


def test_a_connection_that_ended_while_nothing_was_asked_is_made_anew(samba, source):
    assert source.state("b").size == 1
    main = samba.running()
    for child in subprocess.run(["pgrep", "-P", str(main)], capture_output=True, text=True, check=True).stdout.split():
        os.kill(int(child), signal.SIGTERM)
    until(lambda: smb.threads() == [])
    assert source.state("b").size == 1
    assert source.lost() is None


def test_a_server_that_breaks_at_every_file_is_given_up(samba, source):
    for _ in range(3):
        assert source.lost() is None
        stream = source.open("a")
        samba.do("freeze")
        assert lost(lambda: stream.read(CHUNK))[0] == f"the SMB server {samba.address} does not answer within 2 s"  # noqa: B023
        samba.do("thaw")
    assert source.lost() == f"the connection to the SMB server {samba.address} was lost 3 times in a row"


def test_a_whole_file_in_between_is_a_good_sign(samba, source):
    for _ in range(4):
        stream = source.open("a")
        samba.do("freeze")
        lost(lambda: stream.read(CHUNK))  # noqa: B023
        samba.do("thaw")
        assert source.open("b").read() == b"b"
    assert source.lost() is None


def test_who_waits_can_be_interrupted(samba):
    source = samba.source(answer=60)
    stream = source.open("a")
    samba.do("freeze")
    timer = threading.Timer(0.3, source.interrupt)
    timer.start()
    words, took = lost(lambda: stream.read(CHUNK))
    timer.join()
    samba.do("thaw")
    assert words == f"the connection to the SMB server {samba.address} broke"
    assert took < 3
    source.interrupt()
    source.close()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
