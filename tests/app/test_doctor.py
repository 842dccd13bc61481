"""The doctor: one line for each thing that is looked at, and for each a way to make it ill."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from app import cli, doctor
from app.doctor import Finding, Level, examine, filesystem
from app.settings import Settings, documented, secret_names
from core.clock import utc_now
from core.errors import Unavailable
from core.vocabulary import RunState
from storage.sql.migrate import newest_revision
from storage.sql.opening import open_database
from storage.sql.tables import runs, users
from tests.postgres import BOTH, cloned, empty

KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def folder(tmp_path: Path, migrated: Path, environment: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder that is well, and pages that are built."""
    data = tmp_path / "data"
    (data / "files").mkdir(parents=True)
    shutil.copy(migrated, data / "switchyard.db")
    (data / "secret-key").write_text(KEY)
    (data / "secret-key").chmod(0o600)
    built = tmp_path / "dist"
    built.mkdir()
    (built / "graphiql.html").write_text("")
    monkeypatch.setattr(doctor, "BUNDLE", built)
    return data


def settings(folder: Path, **given: Any) -> Settings:
    return Settings(_env_file=None, SWITCHYARD_DATA_DIR=folder, **given)


async def found(settings: Settings, host: str = "127.0.0.1", clock: Callable[[], Any] = utc_now) -> list[Finding]:
    return [finding async for finding in examine(settings, host, clock)]


async def ill(settings: Settings, *given: Any) -> list[tuple[str, str, str]]:
    """What is not well: how much, what, and in which words."""
    findings = [finding for finding in await found(settings, *given) if finding.level is not Level.OK]
    assert all(finding.advice for finding in findings)
    return [(finding.level, finding.about, finding.said) for finding in findings]


async def test_all_is_well(folder):
    findings = await found(settings(folder))
    assert [str(finding) for finding in findings if finding.level is not Level.OK] == []
    about = [
        "profile",
        "cookie",
        "secret key",
        "proxies",
        "data",
        "files",
        "disk",
        "database",
        "schema",
        "clock",
        "queue",
        "pages",
    ]
    assert [finding.about for finding in findings] == about


async def test_before_the_first_start(tmp_path, environment, folder):
    nothing = tmp_path / "nothing"
    assert await ill(settings(nothing)) == [
        ("warning", "secret key", "there is none yet"),
        ("warning", "data", f"{nothing} is not there yet"),
        ("warning", "files", f"{nothing}/files is not there"),
        ("warning", "database", f"{nothing}/switchyard.db is not there yet"),
    ]
    assert not nothing.exists(), "nothing was made"


# --- settings ----------------------------------------------------------------------------------------------------------


async def test_a_development_server_that_others_reach(folder):
    assert await ill(settings(folder), "0.0.0.0") == [
        ("problem", "profile", "development, on 0.0.0.0"),
        ("warning", "tls", "plain HTTP on 0.0.0.0"),
    ]


@pytest.mark.parametrize(
    ("given", "level"), [({}, "warning"), ({"SWITCHYARD_PROFILE": "production", "SECRET_KEY": KEY}, "problem")]
)
async def test_a_cookie_without_https(folder, given, level):
    assert await ill(settings(folder, COOKIE_SECURE=False, **given)) == [
        (level, "cookie", "the session cookie goes over plain HTTP")
    ]


async def test_origins_without_https(folder):
    given = {"SWITCHYARD_PROFILE": "production", "SECRET_KEY": KEY, "SWITCHYARD_CORS_ORIGINS": "http://a.org,https://b.org"}
    assert await ill(settings(folder, **given)) == [("warning", "origins", "pages without HTTPS may call: http://a.org")]


@pytest.mark.parametrize("proxies", ["*", "10.0.0.1, 0.0.0.0/0", "::/0"])
async def test_proxies_that_are_everybody(folder, proxies):
    assert await ill(settings(folder, SWITCHYARD_TRUSTED_PROXIES=proxies)) == [("problem", "proxies", "everybody is believed")]


async def test_passwords_that_anybody_would_try(folder):
    assert await ill(settings(folder, ADMIN_PASSWORD="Change-Me")) == [
        ("problem", "admin", "ADMIN_PASSWORD is one that anybody would try")
    ]
    url = "postgresql+asyncpg://switchyard:switchyard@127.0.0.1:9/none"
    problems = await ill(settings(folder, DATABASE_URL=url))
    assert problems[0] == ("problem", "database", "its password is one that anybody would try")


async def test_secrets_that_others_can_read(folder, tmp_path):
    (tmp_path / ".env").write_text("ADMIN_PASSWORD=something\n")
    (tmp_path / ".env").chmod(0o644)
    assert await ill(settings(folder)) == [("problem", "secrets", f"others can read {tmp_path}/.env")]
    (tmp_path / ".env").chmod(0o600)
    assert await ill(settings(folder)) == []
    (tmp_path / ".env").write_text("SWITCHYARD_LOG_LEVEL=debug\n")
    (tmp_path / ".env").chmod(0o644)
    assert await ill(settings(folder)) == []


def test_what_is_secret():
    assert {"SWITCHYARD_SECRET_KEY", "SECRET_KEY", "ADMIN_PASSWORD", "DATABASE_URL", "SWITCHYARD_METRICS_TOKEN"} <= set(
        secret_names()
    )
    assert set(secret_names()) < {name for setting in documented() for name in setting.names}
    assert "SWITCHYARD_LOG_LEVEL" not in secret_names()


async def test_secret_keys(folder):
    file = folder / "secret-key"
    assert await ill(settings(folder, SECRET_KEY="short but not published")) == [
        ("warning", "secret key", "shorter than 32 characters")
    ]
    assert await ill(settings(folder, SWITCHYARD_PROFILE="production")) == [("warning", "secret key", "in the data folder")]
    file.chmod(0o640)
    assert await ill(settings(folder)) == [("problem", "secret key", f"others can read {file}")]
    file.chmod(0o600)
    file.write_text("\n")
    assert await ill(settings(folder)) == [("problem", "secret key", f"{file} holds none")]


async def test_a_secret_key_that_cannot_be_read(folder, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "secret-key")
    assert await ill(settings(folder)) == [("problem", "secret key", f"{folder}/secret-key cannot be read")]


async def test_a_secret_key_that_is_gone(folder):
    (folder / "secret-key").unlink()
    assert await ill(settings(folder)) == [("warning", "secret key", "there is none yet")]
    database = await open_database(settings(folder).url)
    async with database.transaction() as transaction:
        at = utc_now()
        await transaction.insert(
            users,
            id=uuid4(),
            email="a@example.org",
            email_folded="a@example.org",
            password_hash="none",
            credentials_version=1,
            is_active=True,
            is_superuser=False,
            is_verified=True,
            created_at=at,
            updated_at=at,
        )
    await database.close()
    said = f"{folder}/secret-key is gone, and the database was used with one"
    assert ("problem", "secret key", said) in await ill(settings(folder))


async def test_traces_without_their_library(folder, monkeypatch):
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    given = settings(folder, SWITCHYARD_TRACES="http://127.0.0.1:4318")
    assert await ill(given) == [("problem", "traces", "OpenTelemetry is not installed")]


async def test_trusted_documents_that_are_not_there(folder, tmp_path):
    place = tmp_path / "documents"
    assert await ill(settings(folder, SWITCHYARD_TRUSTED_DOCUMENTS=place)) == [
        ("problem", "documents", f"{place} is not there")
    ]


async def test_pages_that_were_not_built(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "BUNDLE", tmp_path)
    assert await ill(settings(folder)) == [("warning", "pages", "plain ones: the explorer and references were not built")]


# --- folders -----------------------------------------------------------------------------------------------------------


async def test_a_data_folder_that_cannot_be_written(folder, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != folder)
    assert await ill(settings(folder)) == [("problem", "data", f"{folder} cannot be written")]


async def test_sqlite_on_a_network_file_system(folder, tmp_path, monkeypatch):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda1 / ext4 rw 0 0\nserver:/export {folder} nfs4 rw 0 0\n")
    monkeypatch.setattr(doctor, "_MOUNTS", mounts)
    assert (filesystem(folder / "files"), filesystem(tmp_path)) == ("nfs4", "ext4")
    assert await ill(settings(folder)) == [("problem", "data", f"{folder} is on a network file system")]


async def test_folders_of_harvests(folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    (tmp_path / "readable").mkdir()
    roots = f"{tmp_path}/file:{tmp_path}/gone:{tmp_path}/readable"
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "readable")
    assert await ill(settings(folder, SWITCHYARD_ALLOWED_ROOTS=roots)) == [
        ("problem", "files", f"{tmp_path}/file is no folder"),
        ("problem", "files", f"{tmp_path}/gone is not there"),
        ("warning", "files", f"{tmp_path}/readable cannot be written"),
    ]


@pytest.mark.parametrize(("free", "level"), [(100 * 2**20, "problem"), (1 * 2**30, "warning"), (40 * 2**30, "warning")])
async def test_disks(folder, monkeypatch, free, level):
    usage = SimpleNamespace(total=1000 * 2**30, free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    said = f"{free / 2**30:.1f} GiB of 1000.0 GiB free for {folder}"
    assert await ill(settings(folder)) == [(level, "disk", said)]


# --- the database ------------------------------------------------------------------------------------------------------


@pytest.fixture(params=BOTH)
def given(request, folder):
    """Settings with a database that is well."""
    if request.param == "sqlite":
        yield settings(folder)
    else:
        with cloned() as url:
            yield settings(folder, DATABASE_URL=url, ADMIN_PASSWORD=None)


async def change(given: Settings, statement: str) -> None:
    database = await open_database(given.url)
    async with database.transaction() as transaction:
        await transaction.execute(text(statement))
    await database.close()


async def add(given: Settings, state: RunState, **values: Any) -> None:
    database = await open_database(given.url)
    async with database.transaction() as transaction:
        rest = {"kind": "harvest", "parameters": {}, "attempt": 1, "created_at": utc_now(), **values}
        await transaction.insert(runs, id=uuid4(), state=state, **rest)
    await database.close()


async def complaints(given: Settings, *more: Any) -> list[tuple[str, str, str]]:
    """Without what is said of the test server's password."""
    return [each for each in await ill(given, *more) if each[2] != "its password is one that anybody would try"]


async def test_the_database_says_its_version(given):
    (said,) = [finding.said for finding in await found(given) if finding.about == "database" and finding.level is Level.OK]
    assert said.startswith("SQLite 3." if given.url.startswith("sqlite") else "PostgreSQL 1")
    assert await complaints(given) == []


async def test_a_file_that_is_no_database(folder):
    (folder / "switchyard.db").write_text("this is no database, but long enough to be looked at as if it were one")
    ((level, about, said),) = await ill(settings(folder))
    assert (level, about) == ("problem", "database")
    assert said.startswith(f"the database {folder}/switchyard.db cannot be opened")


async def test_a_server_that_is_down(folder):
    url = "postgresql+asyncpg://switchyard:a-password-of-its-own@127.0.0.1:9/none"
    ((level, about, said),) = await ill(settings(folder, DATABASE_URL=url))
    assert (level, about) == ("problem", "database")
    assert said.startswith("the database postgresql+asyncpg://switchyard:***@127.0.0.1:9/none does not answer")


async def test_a_database_that_stops_answering(folder, monkeypatch):
    async def down(*_: Any) -> Any:
        raise Unavailable("the database does not answer")

    monkeypatch.setattr("app.doctor.current_revision", down)
    assert await ill(settings(folder)) == [("problem", "database", "it does not answer: the database does not answer")]


@pytest.fixture
def nothing():
    with empty() as url:
        yield url


@pytest.mark.slow
async def test_an_empty_database(folder, nothing):
    assert await complaints(settings(folder, DATABASE_URL=nothing)) == [("warning", "schema", "the database is empty")]


@pytest.mark.parametrize(
    ("revision", "said"),
    [("9999", "revision 9999 is of a newer program"), ("0001", f"revision 0001, but {newest_revision()} is needed")],
)
async def test_another_schema(given, revision, said):
    await change(given, f"UPDATE alembic_version SET version_num = '{revision}'")
    assert await complaints(given) == [("problem", "schema", said)]


@pytest.mark.parametrize(
    ("seconds", "level", "said"),
    [(30, "problem", "30.0 s behind"), (-30, "problem", "30.0 s ahead"), (-4, "warning", "4.0 s ahead")],
)
async def test_clocks_that_differ(given, seconds, level, said):
    expected = [(level, "clock", f"the database's is {said}")]
    assert await complaints(given, "127.0.0.1", lambda: utc_now() + timedelta(seconds=seconds)) == expected


async def test_a_clock_that_was_set_back(given):
    await add(given, RunState.SUCCEEDED, created_at=utc_now() + timedelta(days=1), finished_at=utc_now())
    ((level, about, said),) = await complaints(given)
    assert (level, about) == ("problem", "clock")
    assert said.startswith("the last run was made later than now, at ")


async def test_a_queue_that_nobody_works_on(given):
    await add(given, RunState.QUEUED, created_at=utc_now() - timedelta(minutes=7))
    assert await complaints(given) == [("problem", "queue", "the first of 1 runs has waited 7 minutes")]
    await add(given, RunState.RUNNING, worker="a", lease_expires_at=utc_now() + timedelta(seconds=30))
    assert await complaints(given) == [], "a worker is busy"


async def test_runs_whose_worker_is_gone(given):
    await add(given, RunState.RUNNING, worker="a", lease_expires_at=utc_now() - timedelta(minutes=7))
    assert await complaints(given) == [("problem", "queue", "1 runs whose worker is gone")]


async def test_runs_that_failed(given):
    await add(given, RunState.FAILED, finished_at=utc_now() - timedelta(minutes=7))
    await add(given, RunState.FAILED, finished_at=utc_now() - timedelta(hours=2))
    assert await complaints(given) == [("warning", "runs", "1 failed within the last hour")]


async def test_a_queue_that_does_not_answer(given, monkeypatch):
    monkeypatch.setattr("app.metrics.PATIENCE", 0.0)
    assert await complaints(given) == [("problem", "database", "it does not answer: the database did not answer in time")]


# --- the command -------------------------------------------------------------------------------------------------------


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli.cli, ["doctor", *arguments], env={"COLUMNS": "200"})
    assert result.stderr == ""
    return result.exit_code, result.stdout


def test_a_line_each(folder):
    code, printed = run()
    lines = printed.splitlines()
    assert (code, lines[0], lines[-1]) == (0, "ok       profile    development", "ok       pages      built")
    (folder / "secret-key").chmod(0o644)
    code, printed = run("--data-dir", str(folder))
    assert code == 1
    assert f"problem  secret key others can read {folder}/secret-key. chmod 600 {folder}/secret-key" in printed.splitlines()


def test_as_json(folder):
    code, printed = run("--json", "--host", "192.0.2.7")
    said = json.loads(printed)
    assert (code, said["ok"]) == (1, False)
    advice = "Set SWITCHYARD_PROFILE=production where others can reach the server"
    assert said["findings"][0] == {
        "level": "problem",
        "about": "profile",
        "said": "development, on 192.0.2.7",
        "advice": advice,
    }
    assert json.loads(run("--json")[1])["ok"]


def test_settings_that_are_not_right(folder, environment):
    environment.setenv("SECRET_KEY", "change-me")
    environment.setenv("SWITCHYARD_DRAIN", "-1")
    code, printed = run()
    assert code == 1
    assert printed.splitlines() == [
        "problem  settings   SWITCHYARD_SECRET_KEY or SECRET_KEY: this is a published example: choose a random one. Correct it",
        "problem  settings   SWITCHYARD_DRAIN: Input should be greater than or equal to 0. Correct it",
    ]
    assert "change-me" not in printed


def test_nothing_is_changed(folder, tmp_path):
    (folder / "secret-key").unlink()
    before = sorted(path for path in tmp_path.rglob("*") if not path.name.startswith("switchyard.db-"))
    assert run()[0] == 0
    assert sorted(path for path in tmp_path.rglob("*") if not path.name.startswith("switchyard.db-")) == before


@pytest.mark.slow
def test_while_somebody_writes(folder):
    """The server may be running."""

    async def examined() -> list[Finding]:
        database = await open_database(settings(folder).url)
        try:
            async with database.transaction() as transaction:
                await transaction.execute(text("DELETE FROM runs"))
                task = asyncio.create_task(found(settings(folder)))
                await asyncio.sleep(0.3)
            return await task
        finally:
            await database.close()

    assert {finding.level for finding in asyncio.run(examined())} == {Level.OK}
