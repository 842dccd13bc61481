"""Requests made up from the OpenAPI document, thousands of them: every reply is a documented one, and none is a server error."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.docs.support import ADMIN, demo_server

pytestmark = pytest.mark.slow

ENDS_THE_SESSION = "^/(auth/(jwt|cookie)/logout|users/me)$"
BEYOND_A_SCHEMA = "positive_data_acceptance,negative_data_rejection"
"""Not asked: which ids exist is in no schema, and the contract takes the words `yes` and `0` for booleans."""
UNCOUNTED = dict.fromkeys(
    ("SWITCHYARD_RATE", "SWITCHYARD_RATE_PER_ADDRESS", "SWITCHYARD_LOGIN_ATTEMPTS_PER_ADDRESS"), "1000000"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("schemathesis")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with demo_server(folder, settings=UNCOUNTED) as address:
        yield address


@pytest.mark.parametrize(
    "which", [("--exclude-path-regex", ENDS_THE_SESSION), ("--include-path-regex", ENDS_THE_SESSION)], ids=str
)
def test_every_reply_is_documented(address, folder, which):
    token = httpx.post(f"{address}/auth/jwt/login", data=ADMIN).raise_for_status().json()["access_token"]
    options = ["--header", f"Authorization: Bearer {token}", "--exclude-checks", BEYOND_A_SCHEMA, "--max-examples", "25"]
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{address}/openapi.json", *options, *which, "--no-color"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    log = (folder / "log").read_text()
    assert "Traceback" not in log
    assert " ERROR " not in log
