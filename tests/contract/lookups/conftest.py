"""Fixtures of the lookups domain."""

from __future__ import annotations

import pytest

from tests.contract.conftest import fixture
from tests.contract.lookups.declaring import ACCESS, EDIT, TENANT, declare
from tests.contract.support import Api, World


@pytest.fixture
def editor(world: World) -> Api:
    return world.vouched({TENANT: [ACCESS, EDIT]})


@pytest.fixture
def reader(world: World) -> Api:
    return world.vouched({TENANT: [ACCESS]})


@fixture
async def countries(editor: Api) -> str:
    return await declare(editor)
