"""Opens the relational store that a URL names, with the adapter for its database."""

from __future__ import annotations

from sqlalchemy import make_url

from storage.sql.database import Database


async def open_database(url: str) -> Database:
    """`sqlite+aiosqlite:///path` for now; an adapter per database lives beside this module."""
    backend = make_url(url).get_backend_name()
    if backend != "sqlite":
        raise ValueError(f"no adapter for a {backend} database: use sqlite+aiosqlite:///PATH")
    from storage.sql.sqlite import SqliteDatabase  # an adapter that is not configured is not imported

    return await SqliteDatabase.open(url)
