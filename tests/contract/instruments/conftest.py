"""Fixtures of the instruments domain."""

from __future__ import annotations

import pytest

from core.errors import Unavailable
from tests.contract.instruments.resources import RESOURCES, Resource


@pytest.fixture(params=RESOURCES, ids=str)
def resource(request: pytest.FixtureRequest) -> Resource:
    """Each of the managed resources."""
    chosen: Resource = request.param
    return chosen


@pytest.fixture
def engine_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be started."""

    async def fail(*_: object) -> None:
        raise Unavailable("connection refused")

    monkeypatch.setattr("jobs.local.LocalRunner.start", fail)
