"""Opens the relational store that a URL names, with the adapter for its database."""

from __future__ import annotations

from sqlalchemy import make_url

from storage.sql.database import Database


async def open_database(url: str) -> Database:
    """`sqlite+aiosqlite:///PATH` or `postgresql+asyncpg://USER:PASSWORD@HOST/NAME`. Raises `Unavailable` naming the store."""
    backend = make_url(url).get_backend_name()
    # An adapter that is not configured is not imported.
    if backend == "postgresql":
        from storage.sql.postgresql import PostgresqlDatabase

        return await PostgresqlDatabase.open(url)
    if backend == "sqlite":
        from storage.sql.sqlite import SqliteDatabase

        return await SqliteDatabase.open(url)
    raise ValueError(f"no adapter for {backend}: use sqlite+aiosqlite:///PATH or postgresql+asyncpg://USER:PASSWORD@HOST/NAME")
