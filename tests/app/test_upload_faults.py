"""A server that is killed while it stores an uploaded file: rows are whole or not there, and what was acknowledged stays.

Contract lmio-watcher §9.1. `FAULT_ROUNDS` and `FAULT_SEED` as in the faults of harvests.
"""

from __future__ import annotations

import csv
import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random, SystemRandom

import httpx
import pytest

from app.lookup_tokens import issue
from tests.app.test_server import Server, serving
from tests.postgres import cloned

pytestmark = pytest.mark.slow

SECRET = "of the issuer of tokens for lookups"
ROWS = 8_000
DECLARATION = {"name": "places", "keys": [{"name": "key", "type": "str"}], "fields": {"a": {}, "b": {}}}
Items = list[tuple[str, int]]
HEADERS = {"Authorization": f"Bearer {issue(SECRET, 'user:1', {'standard': ['lmio:lookup:access', 'lmio:lookup:edit']}, 3600)}"}


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request) -> Iterator[dict[str, str]]:
    given = {"SWITCHYARD_LOOKUPS_JWT_SECRET": SECRET}
    if request.param == "sqlite":
        yield given
        return
    with cloned() as url:
        yield given | {"SWITCHYARD_DATABASE_URL": url}


@pytest.fixture
def dice() -> Random:
    seed = int(os.environ.get("FAULT_SEED") or SystemRandom().randrange(2**32))
    print(f"FAULT_SEED={seed}")  # noqa: T201  # shown when a test fails
    return Random(seed)


def rows(generation: int) -> bytes:
    """A file whose rows say in both fields which file they came with."""
    lines = (f"{at:06};{generation};{generation}\r\n" for at in range(ROWS))
    return f"_id;a;b\r\n{''.join(lines)}".encode()


def calling(server: Server) -> httpx.Client:
    return httpx.Client(base_url=server.address, headers=HEADERS, timeout=60)


def stored(client: httpx.Client, path: str) -> Items:
    """The id of every item, and with which file it came. An item of two files would be half of each."""
    reply = client.get(f"{path}/export").raise_for_status()
    found = list(csv.DictReader(io.StringIO(reply.text), delimiter=";"))
    assert all(row["a"] == row["b"] for row in found)
    return [(row["_id"], int(row["a"])) for row in found]


def upload(client: httpx.Client, path: str, generation: int) -> bool:
    """Whether it was acknowledged."""
    try:
        reply = client.post(f"{path}/upload", files={"file": ("places.csv", rows(generation), "text/csv")})
    except httpx.TransportError:
        return False
    assert (reply.status_code, reply.json()["result"]) == (200, "OK"), reply.text
    return True


def test_a_server_that_is_killed_in_the_middle_of_uploads(settings: dict[str, str], dice: Random, tmp_path: Path) -> None:
    path, before, acknowledged = "", [], 0
    for generation in range(1, int(os.environ.get("FAULT_ROUNDS", "4")) + 1):
        with serving(tmp_path, "--workers", "0", **settings) as server, calling(server) as client:
            path = path or declared(client)
            before = checked(stored(client, path), before, generation - 1, acknowledged)
            killer = threading.Timer(dice.uniform(0.05, 1.2), server.process.kill)
            killer.start()
            acknowledged = generation if upload(client, path, generation) else acknowledged
            killer.join()
            server.process.wait()
    with serving(tmp_path, "--workers", "0", **settings) as server, calling(server) as client:
        checked(stored(client, path), before, generation, acknowledged)
        assert upload(client, path, 99)
        assert stored(client, path) == all_of(99)


def declared(client: httpx.Client) -> str:
    """The path of a new lookup's items."""
    reply = client.post("/standard/lookup-control", json=DECLARATION).raise_for_status()
    return f"/standard/lookup/{reply.json()['lookup_id']}"


def checked(after: Items, before: Items, generation: int, acknowledged: int) -> Items:
    """What is there after the server was killed while it stored that file."""
    assert len(after) == len({key for key, _ in after})
    assert {key for key, _ in before} <= {key for key, _ in after}, "nothing that was there is lost"
    assert {came for _, came in after} <= {came for _, came in before} | {generation}
    assert acknowledged < generation or after == all_of(generation) or generation == 0
    return after


def all_of(generation: int) -> Items:
    return [(f"{at:06}", generation) for at in range(ROWS)]
