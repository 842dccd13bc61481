"""One application for all contract tests; each test finds it empty, with an admin and a user."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from tests.contract.support import Api, TickingClock, World, running
from tests.postgres import BOTH, cloned

HERE = Path(__file__).parent

fixture = partial(pytest_asyncio.fixture, loop_scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The application lives as long as the session, and so does its event loop."""
    for item in items:
        if item.path.is_relative_to(HERE) and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.fixture(scope="session", params=BOTH)
def database_settings(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """Of an empty database: in the data folder, or on a server."""
    if request.param == "sqlite":
        yield {}
        return
    with cloned() as url:
        yield {"SWITCHYARD_DATABASE_URL": url}


@fixture(scope="session")
async def application_under_test(
    tmp_path_factory: pytest.TempPathFactory, database_settings: dict[str, str]
) -> AsyncIterator[World]:
    async with running(tmp_path_factory.mktemp("contract"), **database_settings) as world:
        yield world


@fixture
async def world(application_under_test: World) -> AsyncIterator[World]:
    yield application_under_test
    await application_under_test.clear()


@pytest.fixture
def clock(world: World) -> TickingClock:
    return world.clock


@fixture
async def admin(world: World) -> Api:
    return await world.person("ada@example.org", "admin")


@fixture
async def user(world: World) -> Api:
    return await world.person("bob@example.org")


@pytest.fixture
def anonymous(world: World) -> Api:
    return world.anonymous()
