"""What only SQLite has: a file, its modes and locks."""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from core.errors import Unavailable
from storage.sql.migrate import migrate
from storage.sql.opening import open_database
from storage.sql.tables import groups
from tests.postgres import only_sqlite
from tests.storage.sql.conftest import group, names, url_of, write


@only_sqlite
async def test_a_transaction_takes_the_write_lock_at_its_beginning(database, path):
    async with database.transaction() as tx:
        await tx.first(select(groups))
        outside = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                outside.execute("BEGIN IMMEDIATE")
        finally:
            outside.close()


@only_sqlite
async def test_foreign_keys_are_kept(database):
    with pytest.raises(IntegrityError):
        async with database.transaction() as tx:
            await tx.execute(text("INSERT INTO group_members VALUES ('x', 'y', 'z')"))


@only_sqlite
async def test_a_commit_survives_a_power_cut(database):
    async with database.transaction() as tx:
        assert await tx.scalar(text("PRAGMA synchronous")) == 2
        assert await tx.scalar(text("PRAGMA journal_mode")) == "wal"


async def test_a_file_that_is_no_database(tmp_path):
    (tmp_path / "x.db").write_bytes(b"this is not a database" * 100)
    with pytest.raises(Unavailable, match=r"x\.db cannot be opened"):
        await open_database(url_of(tmp_path / "x.db"))


async def test_a_folder_is_made(tmp_path):
    database = await open_database(url_of(tmp_path / "a" / "b" / "x.db"))
    await database.close()
    assert (tmp_path / "a" / "b" / "x.db").exists()


@only_sqlite
async def test_a_lock_that_is_not_released(database, path, monkeypatch):
    """Waits for it, for a while; then the store is unavailable, and nothing was written."""
    async with database.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.exec_driver_sql("PRAGMA busy_timeout = 50")
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(Unavailable, match="the database cannot be written"):
            async with database.transaction() as tx:
                await tx.insert(groups, **group("a"))
        assert await names(database) == []
    finally:
        holder.close()
    async with database.transaction() as tx:
        await tx.insert(groups, **group("b"))
    assert await names(database) == ["b"]


@only_sqlite
async def test_a_store_that_becomes_read_only(database, path):
    async with database.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.exec_driver_sql("PRAGMA query_only = ON")
    with pytest.raises(Unavailable, match="the database cannot be written"):
        async with database.transaction() as tx:
            await tx.insert(groups, **group("a"))
    assert await names(database) == []


@only_sqlite
async def test_a_damaged_store(database, path):
    await write(database, *[group(f"name {number}") for number in range(500)])
    ((page,),) = await database.fetch("SELECT rootpage FROM sqlite_master WHERE name = 'groups'", [])
    await database.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    damaged = await open_database(url_of(path))
    try:
        with pytest.raises(Unavailable):
            await damaged.fetch("SELECT * FROM groups", [])
        with pytest.raises(Unavailable):
            await damaged.all(select(groups))
        with pytest.raises(Unavailable):
            await write(damaged, group("a"))
    finally:
        await damaged.close()


async def test_nobody_else_on_the_machine_reads_a_new_file(tmp_path):
    """It holds password hashes; the companions are made when something is written."""
    database = await open_database(url_of(tmp_path / "new" / "switchyard.db"))
    await migrate(database)
    try:
        assert {path.stat().st_mode & 0o777 for path in (tmp_path / "new").iterdir()} == {0o600}
        assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    finally:
        await database.close()
