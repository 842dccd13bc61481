"""`make bench`: processor time per request against a hand-written handler and the usual frameworks, whole requests in-process."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import tempfile
from pathlib import Path

import orjson
import uvloop
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from starlette.types import ASGIApp

from app.bootstrap import FirstAdmin, create_first_admin
from app.server import application
from app.settings import Settings
from app.wiring import Parts, assemble
from bench import handwritten, peers
from bench.data import fill
from bench.measure import Call, Figure, compare
from core.secrets import Secret
from storage.sql.tables import users

LIST = """{ files(first: 100) { totalCount nodes { localId persistentId persistentIdType instrumentId sourcePath filename size
  sourceModifiedAt checksum sha256 firstDiscoveredAt metadata ownerId } } }"""
NESTED = """{ files(first: 100) { nodes { filename persistentId instrument { name }
  transfers(first: 3) { nodes { status checksumVerified } } } } }"""
STOCK_LIST = """{ files(first: 100) { localId persistentId persistentIdType instrumentId sourcePath filename size
  sourceModifiedAt checksum firstDiscoveredAt } }"""
STOCK_NESTED = (
    "{ files(first: 100) { filename persistentId instrument { name } transfers(first: 3) { status checksumVerified } } }"
)


async def main() -> None:
    """Print one table per request."""
    rounds = int(os.environ.get("BENCH_ROUNDS", "15"))
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as folder:
        parts = await assemble(Settings(_env_file=None, SWITCHYARD_DATA_DIR=Path(folder)))  # type: ignore[call-arg]
        engine = create_async_engine(parts.settings.url)  # the peers' own, as their documentation makes it
        try:
            for title, calls in (await _requests(parts, engine)).items():
                await _same_length(title, calls)
                _print(title, await compare(calls, rounds=rounds))
        finally:
            await engine.dispose()
            await parts.close()


async def _requests(parts: Parts, engine: AsyncEngine) -> dict[str, dict[str, Call]]:
    admin = FirstAdmin(email="bench@example.org", password=Secret("bench-password"))
    await create_first_admin(parts.database, parts.passwords, admin)
    instrument = await fill(parts.database, files=5000)
    person = await parts.database.first(users.select())
    assert person is not None
    headers = {"authorization": f"Bearer {parts.services.tokens.issue(person['id'], 1)}", "content-type": "application/json"}
    ours, hand = application(parts), handwritten.application(parts)
    stock, fastapi = peers.strawberry_peer(parts, engine), peers.fastapi_peer(parts, engine)

    def get(app: ASGIApp, target: str) -> Call:
        return Call(app, "GET", target, headers)

    def graphql(app: ASGIApp, query: str) -> Call:
        return Call(app, "POST", "/graphql", headers, orjson.dumps({"query": query}))

    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    return {
        "100 files": {
            "hand-written": get(hand, "/files?limit=100"),
            "hand-written again": get(hand, "/files?limit=100"),
            "Switchyard REST": get(ours, "/api/files?limit=100"),
            "Switchyard GraphQL": graphql(ours, LIST),
            "FastAPI + ORM + pydantic": get(fastapi, "/files?limit=100"),
            "Strawberry + ORM": graphql(stock, STOCK_LIST),
        },
        "one instrument": {
            "hand-written": get(hand, f"/instruments/{instrument}"),
            "Switchyard REST": get(ours, f"/api/instruments/{instrument}"),
            "Switchyard GraphQL": graphql(ours, f'{{ instrument(localId: "{instrument}") {{ localId name }} }}'),
            "FastAPI + ORM + pydantic": get(fastapi, f"/instruments/{instrument}"),
            "Strawberry + ORM": graphql(stock, f'{{ instrument(localId: "{instrument}") {{ localId name }} }}'),
        },
        "100 files with instrument and last 3 transfers": {
            "hand-written": get(hand, "/nested"),
            "Switchyard GraphQL": graphql(ours, NESTED),
            "FastAPI + ORM + pydantic": get(fastapi, "/nested"),
            "Strawberry + ORM": graphql(stock, STOCK_NESTED),
        },
    }


async def _same_length(title: str, calls: dict[str, Call]) -> None:
    """Every variant answers, and ours as the yardstick does."""
    for name, call in calls.items():
        status, body = await call()
        if status != 200 or b'"errors"' in body:
            raise SystemExit(f"{title}: {name} answers {status}: {body[:500]!r}")


def _print(title: str, figures: list[Figure]) -> None:
    print(f"\n{title}\n| variant | CPU ms | ÷ hand-written (quartiles) |\n|---|---|---|")
    for each in figures:
        print(f"| {each.name} | {each.milliseconds:.2f} | {each.ratio:.2f} ({each.spread[0]:.2f} to {each.spread[1]:.2f}) |")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
