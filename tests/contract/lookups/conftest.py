"""Fixtures of the lookups domain, whose tests run on an application of their own for each store of items."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from itertools import count

import pytest

from tests.contract.conftest import fixture
from tests.contract.lookups.declaring import ACCESS, EDIT, TENANT, declare
from tests.contract.support import Api, World, running
from tests.elasticsearch import own_indexes, remove_all
from tests.postgres import BOTH, cloned
from tests.servers import address


@pytest.fixture(scope="session", params=[*BOTH, pytest.param("elasticsearch", marks=pytest.mark.slow)])
def store_settings(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """Of a store without items."""
    if request.param == "postgresql":
        with cloned() as url:
            yield {"SWITCHYARD_DATABASE_URL": url}
    elif request.param == "elasticsearch":
        yield {"SWITCHYARD_ELASTICSEARCH_URL": address("elasticsearch")}
    else:
        yield {}


@fixture(scope="session")
async def application_under_test(
    tmp_path_factory: pytest.TempPathFactory, store_settings: dict[str, str]
) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        if "SWITCHYARD_ELASTICSEARCH_URL" in store_settings:
            server, prefix = await stack.enter_async_context(own_indexes())
            store_settings = store_settings | {"SWITCHYARD_ELASTICSEARCH_PREFIX": prefix}
        world = await stack.enter_async_context(running(tmp_path_factory.mktemp("lookups"), **store_settings))
        if "SWITCHYARD_ELASTICSEARCH_URL" in store_settings:
            tests = count(1)

            async def empty() -> None:
                if next(tests) % 50 == 0:  # nobody finds them any more; one by one it takes as long as the tests
                    await remove_all(server, prefix)

            world.emptied.append(empty)
        yield world


@pytest.fixture
def editor(world: World) -> Api:
    return world.vouched({TENANT: [ACCESS, EDIT]})


@pytest.fixture
def reader(world: World) -> Api:
    return world.vouched({TENANT: [ACCESS]})


@fixture
async def countries(editor: Api) -> str:
    return await declare(editor)
