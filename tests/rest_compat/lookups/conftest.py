import pytest

from core.uploads import Room
from rest_compat.bodies import Bounds
from tests.rest_compat.lookups.support import EDITOR, World, shim
from tests.rest_compat.support import client


@pytest.fixture
def world():
    return World()


@pytest.fixture
async def anonymous(world, tmp_path):
    async with client(shim(world, Bounds(body=10_000, room=Room(tmp_path, 1000, most=1)))) as http:
        yield http


@pytest.fixture
async def rest(anonymous):
    anonymous.headers.update(EDITOR)
    return anonymous
