"""Served worlds: of each kind of database, or with settings of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from storage.sql.opening import open_database
from tests.app.subscriptions.support import Live
from tests.app.test_limits import served
from tests.conftest import World, _assembled
from tests.postgres import BOTH, cloned


@pytest.fixture
def serving(assembled: Any) -> Callable[..., AbstractAsyncContextManager[Live]]:
    """`async with serving(SWITCHYARD_SOCKETS=3) as live:`."""
    return lambda **settings: _served(assembled(**settings), settings)


@asynccontextmanager
async def _served(assembled: AbstractAsyncContextManager[World], settings: dict[str, Any]) -> AsyncIterator[Live]:
    async with assembled as world, served(world.app, **settings) as port:
        other = await open_database(world.parts.settings.url)  # whatever else writes does so in another process
        try:
            yield Live(world, f"http://127.0.0.1:{port}", other)
        finally:
            await other.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def live(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Live]:
    """On SQLite, for the tests of a module that leave it as they found it."""
    async with _served(_assembled(tmp_path_factory.mktemp("live")), {}) as live:
        yield live


@pytest.fixture(scope="module", params=BOTH)
def database_settings(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    if request.param == "sqlite":
        yield {}
        return
    with cloned() as url:
        yield {"SWITCHYARD_DATABASE_URL": url}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def live_on_both(tmp_path_factory: pytest.TempPathFactory, database_settings: dict[str, str]) -> AsyncIterator[Live]:
    folder = tmp_path_factory.mktemp("live")
    async with _served(_assembled(folder, **database_settings), database_settings) as live:
        yield live
