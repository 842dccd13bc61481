"""The walk through a new resource leads where it says: a copy of the program gets the resource and serves it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.sql.migrate import newest_revision
from tests.docs.support import ROOT, Block, blocks, demo_server, follow

WALK = ROOT / "docs/adding-a-resource.md"
COPIED = ("app", "core", "demo", "engine", "jobs", "resolvers", "rest_compat", "schema", "storage")

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The program with the resource."""
    folder = tmp_path_factory.mktemp("walk") / "checkout"
    unwanted = shutil.ignore_patterns("__pycache__", "node_modules", "dist")
    for package in COPIED:
        shutil.copytree(ROOT / package, folder / package, ignore=unwanted)
    (folder / "tests/resolvers/instruments").mkdir(parents=True)
    for needed in (
        "tests/conftest.py",
        "tests/effort.py",
        "tests/postgres.py",
        "tests/servers.py",
        "tests/sharing.py",
        "tests/resolvers/conftest.py",
    ):
        shutil.copy(ROOT / needed, folder / needed)
    shutil.copy(ROOT / "pyproject.toml", folder)
    for block in blocks(WALK):
        if block.file is not None:
            _apply(block, folder / block.file)
    return folder


def test_the_new_files_pass_the_checks(copy):
    written = [str(copy / block.file) for block in blocks(WALK) if block.file and block.file.endswith(".py")]
    _run(copy, "-m", "ruff", "check", "--quiet", *written)
    _run(copy, "-m", "ruff", "format", "--check", "--quiet", *written)
    assert "routes" in _run(copy, "-m", "app.cli", "check")


def test_the_migration_makes_the_table_that_is_declared(copy):
    assert _run(copy, "-c", _COMPARE).strip() == "[]"


def test_its_tests_pass(copy):
    assert "3 passed" in _run(copy, "-m", "pytest", "-q", "-m", "not slow", "tests/resolvers/instruments/test_notes.py")


def test_the_calls_answer_what_the_walk_says(copy):
    with demo_server(copy, source=copy) as address:
        assert follow(WALK, copy, address, source=copy) > 8


_COMPARE = """
import asyncio
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from storage.sql.opening import open_database
from storage.sql.migrate import migrate
from storage.sql.tables import metadata
from storage.sql.tables.lookups import is_declared

options = {"include_name": is_declared}

async def main():
    database = await open_database("sqlite+aiosqlite:///compared.db")
    await migrate(database)
    async with database.engine.connect() as connection:
        print(await connection.run_sync(lambda sync: compare_metadata(MigrationContext.configure(sync, opts=options), metadata)))
    await database.close()

asyncio.run(main())
"""


def _run(folder: Path, *arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{arguments} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def _apply(block: Block, file: Path) -> None:
    if block.language == "diff":
        text = file.read_text()
        for hunk in re.split(r"^@@\n", block.text, flags=re.MULTILINE):
            text = _changed(text, hunk, block)
        file.write_text(text)
        return
    assert not file.exists(), f"{block.place}: {block.file} is there already"
    file.parent.mkdir(parents=True, exist_ok=True)
    # The walk counts on from the newest revision of its day; the project goes on.
    text = block.text.replace('\nrevision = "0007"', '\nrevision = "notes"')
    file.write_text(text.replace('down_revision = "0006"', f'down_revision = "{newest_revision()}"'))


def _changed(text: str, hunk: str, block: Block) -> str:
    before, after = "".join(_lines(hunk, " -")), "".join(_lines(hunk, " +"))
    assert text.count(before) == 1, f"{block.place}: {block.file} does not have this once:\n{before}"
    return text.replace(before, after)


def _lines(hunk: str, signs: str) -> Iterator[str]:
    return (line[1:] for line in hunk.splitlines(keepends=True) if line[0] in signs)
