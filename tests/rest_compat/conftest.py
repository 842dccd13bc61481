import pytest

from tests.rest_compat.support import World, client, shim


@pytest.fixture
def world():
    return World()


@pytest.fixture
async def rest(world):
    async with client(shim(world)) as http:
        yield http
