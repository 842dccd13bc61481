"""One demo server for the tests of clients, and the token of its admin."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.docs.support import ADMIN, demo_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with demo_server(tmp_path_factory.mktemp("demo")) as address:
        yield address


@pytest.fixture(scope="session")
def token(server: str) -> str:
    return str(httpx.post(f"{server}/auth/jwt/login", data=ADMIN).raise_for_status().json()["access_token"])
