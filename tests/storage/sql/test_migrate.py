"""Migrations: from nothing, from the newest, from several processes at once; what they make is what the tables say."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import inspect

from storage.sql.migrate import _config, current_revision, migrate, newest_revision
from storage.sql.opening import open_database
from storage.sql.tables import metadata
from storage.sql.tables.lookups import is_declared
from tests.storage.sql.conftest import group, url_of


async def schema(database) -> dict[str, object]:
    """Every table with its columns, keys and indexes, as the database itself tells them."""

    def read(connection) -> dict[str, object]:
        found = inspect(connection)
        return {
            table: (
                sorted(map(_told, found.get_columns(table))),
                found.get_pk_constraint(table),
                sorted(map(_told, found.get_foreign_keys(table))),
                sorted(map(_told, found.get_unique_constraints(table))),
                sorted(map(_told, found.get_indexes(table))),
            )
            for table in found.get_table_names()
            if table != "alembic_version"
        }

    async with database.engine.connect() as connection:
        return await connection.run_sync(read)


def _told(described: Any) -> str:
    """Of a column, key or index; the condition of a partial index comes as an object."""
    options = {name: str(value) for name, value in described.get("dialect_options", {}).items()}
    return repr(described | {"dialect_options": options})


async def test_from_nothing(empty_url):
    database = await open_database(empty_url)
    try:
        assert await current_revision(database) is None
        assert await migrate(database) == newest_revision()
        assert await current_revision(database) == newest_revision()
        assert await database.fetch("SELECT count(*) FROM instruments", []) == [(0,)]
    finally:
        await database.close()


async def test_from_the_newest_nothing_changes(database):
    from storage.sql.tables import groups

    async with database.transaction() as tx:
        await tx.insert(groups, **group("a"))
    before = await schema(database)
    assert await migrate(database) == newest_revision()
    assert await schema(database) == before
    assert await database.fetch("SELECT name FROM groups", []) == [("a",)]


async def test_migrations_make_what_the_tables_say(database):
    def compare(connection):
        return compare_metadata(
            MigrationContext.configure(connection, opts={"compare_type": True, "include_name": is_declared}), metadata
        )

    async with database.engine.connect() as connection:
        assert await connection.run_sync(compare) == []


@pytest.mark.slow
async def test_migrations_make_exactly_what_the_tables_make(database, empty_url):
    """Types, nullability, uniqueness and indexes."""
    made = await open_database(empty_url)
    try:
        async with made.engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        assert await schema(database) == await schema(made)
    finally:
        await made.close()


def test_revisions_are_one_line():
    script = ScriptDirectory.from_config(_config())
    assert len(script.get_heads()) == 1
    assert len(script.get_bases()) == 1
    assert all(not revision.is_branch_point for revision in script.walk_revisions())


async def test_a_migration_that_fails_leaves_everything_as_it_was(tmp_path):
    path = tmp_path / "x.db"
    outside = sqlite3.connect(path)
    outside.execute("CREATE TABLE users (id TEXT)")  # in the way of a table of the first migration
    outside.commit()
    outside.close()
    database = await open_database(url_of(path))
    try:
        with pytest.raises(Exception, match="users already exists"):
            await migrate(database)
        assert await database.fetch("SELECT name FROM sqlite_master WHERE type = 'table'", []) == [("users",)]
    finally:
        await database.close()


async def test_a_store_of_a_newer_program(database):
    async with database.engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(CommandError, match="9999"):
        await migrate(database)


@pytest.mark.slow
async def test_several_at_once(empty_url):
    """Open and migrate one new database, in one process."""

    async def start() -> str:
        database = await open_database(empty_url)
        try:
            return await migrate(database)
        finally:
            await database.close()

    assert await asyncio.gather(*[start() for _ in range(6)]) == [newest_revision()] * 6


PROGRAM = """
import asyncio, sys
from pathlib import Path
from storage.sql.opening import open_database
from storage.sql.migrate import migrate

async def main(url):
    print("ready", flush=True)
    sys.stdin.readline()
    database = await open_database(url)
    print(await migrate(database))
    await database.close()

asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.slow
async def test_several_processes_at_once(empty_url):
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            PROGRAM,
            empty_url,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        for _ in range(4)
    ]
    for process in started:
        assert await process.stdout.readline() == b"ready\n"
    ends = await asyncio.gather(*[process.communicate(b"go\n") for process in started])
    assert ends == [(f"{newest_revision()}\n".encode(), b"")] * 4
