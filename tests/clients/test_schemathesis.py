"""Requests made up from the OpenAPI document, thousands of them: every reply is a documented one, and none is a server error."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.lookup_tokens import issue
from tests.docs.support import ADMIN, demo_server

pytestmark = pytest.mark.slow

ENDS_THE_SESSION = r"^/(auth/(jwt|cookie)/logout|users/(me|\{id\}))$"
BEYOND_A_SCHEMA = "positive_data_acceptance,negative_data_rejection,unsupported_method,allow_header_conformance"
"""Not asked: which ids exist is in no schema, the contract takes the words `yes` and `0` for booleans, and `/api/hooks/builtins`
is a place for what can be done to a hook of that id, but for GET."""
UNCOUNTED = dict.fromkeys(
    ("SWITCHYARD_RATE", "SWITCHYARD_RATE_PER_ADDRESS", "SWITCHYARD_LOGIN_ATTEMPTS_PER_ADDRESS"), "1000000"
)


SECRET = "of the issuer of tokens for lookups"
THERE = {"tenant": ["standard"], "lookup_id": ["countries.standard"], "_id": ["CZ", "a/b", "nothing"]}
"""Which ids exist is in no schema."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("schemathesis")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with demo_server(folder, settings=UNCOUNTED | {"SWITCHYARD_LOOKUPS_JWT_SECRET": SECRET}) as address:
        yield address


@pytest.mark.parametrize(
    "which", [("--exclude-path-regex", ENDS_THE_SESSION), ("--include-path-regex", ENDS_THE_SESSION)], ids=str
)
def test_every_reply_is_documented(address, folder, which):
    token = httpx.post(f"{address}/auth/jwt/login", data=ADMIN).raise_for_status().json()["access_token"]
    _asked(folder, token, f"{address}/openapi.json", *which)


def test_every_reply_about_a_lookup_is_documented(address, folder):
    token = issue(SECRET, "user:42", {"*": ["authz:superuser"]}, 36_000)
    document = httpx.get(f"{address}/openapi/lookups.json").json()
    document["paths"]["/{tenant}/lookup-control/{lookup_id}"].pop("delete")
    for operation in (each for path in document["paths"].values() for each in path.values()):
        for parameter in operation["parameters"]:
            if parameter["in"] == "path":
                parameter["schema"] = {"enum": THERE[parameter["name"]]}
    (folder / "lookups.json").write_text(json.dumps(document))
    _asked(folder, token, "lookups.json", "--url", address)


def _asked(folder: Path, token: str, *more: str) -> None:
    options = ["--header", f"Authorization: Bearer {token}", "--exclude-checks", BEYOND_A_SCHEMA, "--max-examples", "25"]
    command = [sys.executable, "-m", "schemathesis.cli", "run", *more, *options, "--no-color"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    log = (folder / "log").read_text()
    assert "Traceback" not in log
    assert " ERROR " not in log
