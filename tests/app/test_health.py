"""Readiness: what each store says, for how long it is asked, and what nobody is told."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import time
from functools import partial

import httpx
import pytest
from sqlalchemy import text

import app.health as health
from app.health import Answer, Check, CheckError, Drain, Readiness, aside, checks_of, free_space
from app.settings import Settings
from core.errors import Unavailable
from tests.app.test_server import serving


@pytest.fixture
def settings(tmp_path) -> Settings:
    (tmp_path / "data" / "files").mkdir(parents=True, exist_ok=True)
    return Settings(_env_file=None, SWITCHYARD_DATA_DIR=tmp_path / "data")


def said(answer: Answer) -> tuple[int, str, dict[str, tuple[str, str | None]]]:
    """Status, word, and what each check found. Each has its time."""
    body = json.loads(answer.body)
    assert all(0 <= check["ms"] < 10_000 for check in body["checks"])
    return answer.status, body["status"], {each["name"]: (each["status"], each.get("detail")) for each in body["checks"]}


WELL = dict.fromkeys(("database", "schema", "files 1", "disk"), ("ok", None))


async def test_ready(settings, database):
    assert said(await Readiness(checks_of(settings, database)).answer()) == (200, "ready", WELL)


async def test_a_database_that_does_not_answer(settings, database, monkeypatch):
    async def down(*_):
        raise Unavailable("the database at 10.0.0.7 does not answer")

    monkeypatch.setattr(type(database), "fetch_all", down)
    found = {"database": ("failed", "does not answer"), "schema": ("failed", "cannot be read")}
    assert said(await Readiness(checks_of(settings, database)).answer()) == (503, "not ready", WELL | found)


async def test_a_schema_of_another_program(settings, database):
    async with database.transaction() as transaction:
        await transaction.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    found = {"schema": ("failed", "is not the one that this program needs")}
    assert said(await Readiness(checks_of(settings, database)).answer()) == (503, "not ready", WELL | found)


async def test_folders_and_disks_are_no_reason_to_ask_another_server(settings, database, tmp_path, monkeypatch):
    settings = settings.model_copy(update={"allowed_roots": f"{tmp_path}/data:{tmp_path}/gone"})
    monkeypatch.setattr(health, "LEAST_FREE", 2**70)
    status, word, found = said(await Readiness(checks_of(settings, database)).answer())
    assert (status, word) == (200, "ready")
    assert found["files 1"] == ("ok", None)
    assert found["files 2"] == ("warning", "is not there, or cannot be written")
    assert found["disk"] == ("warning", "is nearly full")


async def test_an_answer_is_kept_for_a_moment():
    asked = []

    async def look():
        asked.append(None)
        await asyncio.sleep(0.01)

    readiness = Readiness([Check("store", look)])
    answers = await asyncio.gather(*(readiness.answer() for _ in range(50)))
    assert len(asked) == 1
    assert len(set(answers)) == 1
    readiness._answer = (time.monotonic() - health.KEPT, answers[0])
    await readiness.answer()
    assert len(asked) == 2


async def test_a_store_that_hangs_is_asked_once_and_holds_up_nobody(monkeypatch):
    monkeypatch.setattr(health, "KEPT", 0.0)
    asked, gate = [], asyncio.Event()

    async def hang():
        asked.append(None)
        await gate.wait()

    async def well():
        pass

    readiness = Readiness([Check("store", hang), Check("share", hang, vital=False), Check("other", well)], patience=0.05)
    for _ in range(3):
        expected = {"store": ("failed", "does not answer"), "share": ("warning", "does not answer"), "other": ("ok", None)}
        assert said(await readiness.answer()) == (503, "not ready", expected)
    assert len(asked) == 2, "one of each"
    gate.set()
    await asyncio.sleep(0.01)
    assert (await readiness.answer()).status == 200
    readiness.close()


async def test_what_nobody_foresaw_is_for_the_log(caplog):
    async def broken():
        raise RuntimeError("the password is hunter2")

    async def wrong():
        raise CheckError("is wrong")

    answer = await Readiness([Check("store", broken), Check("other", wrong)]).answer()
    expected = {"store": ("failed", "the check failed: the log says why"), "other": ("failed", "is wrong")}
    assert said(answer) == (503, "not ready", expected)
    assert [str(record.exc_info[1]) for record in caplog.records] == ["the password is hunter2"]


async def test_draining():
    drain = Drain(5)
    readiness = Readiness([], drain)
    assert (await readiness.reply(None)).status_code == 200
    drain.begun = True
    reply = await readiness.reply(None)
    assert (reply.status_code, reply.headers["cache-control"]) == (503, "no-store")
    assert json.loads(reply.body) == {"status": "draining", "checks": []}


async def test_over_http(world):
    reply = await world.anonymous.request("GET", "/health/ready")
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")
    assert [check["name"] for check in reply.json()["checks"]] == list(WELL)
    assert str(world.parts.settings.data_dir) not in reply.text
    assert (await world.anonymous.request("POST", "/health/ready")).status_code == 405


async def test_a_thread_that_hangs_is_nobodys():
    """It neither holds up the loop nor the end of the process, and what it raises is raised where it is waited for."""
    gate = threading.Event()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(aside(gate.wait), 0.05)
    assert all(thread.daemon for thread in threading.enumerate() if thread.name.endswith("(run)"))
    gate.set()
    assert await aside(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await aside(partial(divmod, 1, 0))


def test_the_disk_of_a_folder_that_is_not_there_yet(tmp_path):
    assert free_space(tmp_path / "a" / "b") == pytest.approx(free_space(tmp_path), rel=0.1)


@pytest.mark.slow
def test_load_balancers_notice_before_the_server_ends(tmp_path):
    with serving(tmp_path, "--workers", "0", SWITCHYARD_DRAIN="2") as server:
        address = server.address
        assert httpx.get(f"{address}/health/ready").status_code == 200
        server.process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        server.wait_for("draining for 2 seconds")
        assert httpx.get(f"{address}/health/ready").status_code == 503
        assert httpx.get(f"{address}/health").json() == {"status": "ok"}
        assert httpx.post(f"{address}/graphql", json={"query": "{ __typename }"}).status_code == 200
        server.process.communicate(timeout=30)
        assert server.process.returncode == 0
        assert time.monotonic() - begun >= 2


@pytest.mark.slow
def test_who_cannot_wait_asks_twice(tmp_path):
    with serving(tmp_path, "--workers", "0", SWITCHYARD_DRAIN="300") as server:
        assert server.address
        server.process.send_signal(signal.SIGTERM)
        server.wait_for("draining for 300 seconds")
        server.process.send_signal(signal.SIGTERM)
        server.process.communicate(timeout=30)
        assert server.process.returncode == 0
