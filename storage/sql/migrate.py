"""Brings a database to the newest schema, from inside the process: no configuration file, no second connection."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from storage.sql.database import Database, Transaction

_FOLDER = Path(__file__).parent / "migrations"


def _config(connection: Connection | None = None) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_FOLDER))
    config.set_main_option("path_separator", "os")
    return config


async def migrate(database: Database) -> str:
    """Apply what is missing, in one transaction; the revision reached. Of several at once, one does it and the others wait."""
    async with database.engine.begin() as connection:
        await Transaction(connection).lock("migrate")
        await connection.run_sync(lambda sync: command.upgrade(_config(sync), "head"))
    return newest_revision()


async def current_revision(database: Database) -> str | None:
    """The revision the database is at; None for an empty one."""
    async with database.engine.connect() as connection:
        return await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())


def newest_revision() -> str:
    """The revision that this program needs."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None
    return revision


def knows(revision: str) -> bool:
    """Whether this program can bring a database at that revision to the newest."""
    return revision in {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
