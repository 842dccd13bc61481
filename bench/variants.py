"""The requests that are measured, and everybody who answers them. All answers mean the same, or there is nothing to compare."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.types import ASGIApp

from app.server import application
from app.wiring import Parts
from bench import handwritten, peers
from bench.data import Filled
from bench.handwritten import Proof, Verify
from bench.measure import Call
from core.sql import Bound, Row

FILE = """id: localId persistent_id: persistentId persistent_id_type: persistentIdType instrument_id: instrumentId
  source_path: sourcePath filename size_bytes: size source_mtime: sourceModifiedAt xxhash: checksum sha256
  first_discovered_at: firstDiscoveredAt metadata_: metadata owner_id: ownerId"""
INSTRUMENT = """id: localId name description location pid cifs_host: cifsHost cifs_share: cifsShare
  cifs_base_path: cifsBasePath service_account_id: serviceAccountId transfer_adapter: transferAdapter
  transfer_config: transferConfig enabled last_harvested_at: lastHarvestedAt created_at: createdAt updated_at: updatedAt
  deleted_at: deletedAt"""
LIST = f"{{ files(first: 100) {{ totalCount nodes {{ {FILE} }} }} }}"
NESTED = """{ files(first: 100) { nodes { filename persistent_id: persistentId instrument { name }
  transfers(first: 3) { nodes { status checksum_verified: checksumVerified } } } } }"""

FILES, ONE, DEEP, GRANTED = (
    "100 files",
    "one instrument",
    "100 files with instrument and last 3 transfers",
    "100 files, for a user who sees half of them",
)
HAND, AGAIN, REMEMBERED = "hand-written", "hand-written again", "hand-written, signatures remembered"
REST, GRAPHQL = "Switchyard REST", "Switchyard GraphQL"
FASTAPI, STRAWBERRY = "FastAPI + ORM + pydantic", "Strawberry + ORM"

Requests = Mapping[str, Mapping[str, Call]]


@dataclass(frozen=True, slots=True)
class _Asker:
    """Somebody with a token."""

    headers: Mapping[str, str]

    def get(self, app: ASGIApp, target: str) -> Call:
        return Call(app, "GET", target, self.headers)

    def graphql(self, app: ASGIApp, query: str, target: str = "/graphql") -> Call:
        return Call(app, "POST", target, self.headers, orjson.dumps({"query": query}))


@asynccontextmanager
async def requests(parts: Parts, filled: Filled) -> AsyncIterator[Requests]:
    """What is asked → who answers → the call. The hand-written handler comes first."""

    def token(person: Any) -> _Asker:
        bearer = f"Bearer {parts.services.tokens.issue(person, 1)}"
        return _Asker({"authorization": bearer, "content-type": "application/json"})

    verify = handwritten.verify_with_pyjwt(parts.settings)
    engine = create_async_engine(parts.settings.url)  # the peers' own, as their documentation makes it
    ours, hand = application(parts), handwritten.application(parts.database, verify)
    remembering = handwritten.application(parts.database, _verify_as_we_do(parts))
    strawberry, fastapi = peers.strawberry_peer(engine, verify), peers.fastapi_peer(engine, verify)
    admin, user = token(filled.admin), token(filled.user)
    instrument = f"/instruments/{filled.instrument}"
    one = f'{{ instrument(localId: "{filled.instrument}") {{ {INSTRUMENT} }} }}'
    try:
        yield {
            FILES: {
                HAND: admin.get(hand, "/files?limit=100"),
                AGAIN: admin.get(hand, "/files?limit=100"),
                REMEMBERED: admin.get(remembering, "/files?limit=100"),
                REST: admin.get(ours, "/api/files?limit=100"),
                GRAPHQL: admin.graphql(ours, LIST),
                FASTAPI: admin.get(fastapi, "/files?limit=100"),
                STRAWBERRY: admin.graphql(strawberry, LIST),
            },
            ONE: {
                HAND: admin.get(hand, instrument),
                AGAIN: admin.get(hand, instrument),
                REMEMBERED: admin.get(remembering, instrument),
                REST: admin.get(ours, f"/api{instrument}"),
                GRAPHQL: admin.graphql(ours, one),
                FASTAPI: admin.get(fastapi, instrument),
                STRAWBERRY: admin.graphql(strawberry, one),
            },
            DEEP: {
                HAND: admin.graphql(hand, "", "/nested"),
                AGAIN: admin.graphql(hand, "", "/nested"),
                REMEMBERED: admin.graphql(remembering, "", "/nested"),
                GRAPHQL: admin.graphql(ours, NESTED),
                FASTAPI: admin.get(fastapi, "/nested"),
                STRAWBERRY: admin.graphql(strawberry, NESTED),
            },
            GRANTED: {
                HAND: user.get(hand, "/files?limit=100"),
                AGAIN: user.get(hand, "/files?limit=100"),
                REST: user.get(ours, "/api/files?limit=100"),
                GRAPHQL: user.graphql(ours, LIST),
            },
        }
    finally:
        await engine.dispose()


def _verify_as_we_do(parts: Parts) -> Verify:
    """A signature once; the claims come from memory afterwards."""
    tokens: Any = parts.services.tokens

    def verify(token: str) -> Proof:
        claims = tokens.parse(token)
        assert claims is not None
        return Proof(str(claims.subject), claims.credentials_version, claims.token_id)

    return verify


async def check_answers(title: str, calls: Mapping[str, Call]) -> None:
    """Raises `SystemExit` unless all of them mean the same; ours and the hand-written one in the same bytes."""
    answers = {name: await call() for name, call in calls.items()}
    for name, (status, body) in answers.items():
        if status != 200 or meaning(body) != meaning(answers[HAND][1]):
            raise SystemExit(f"{title}: {name} answers {status} {body[:300]!r}, not {answers[HAND][1][:300]!r}")
    exact = GRAPHQL if title == DEEP else REST
    if answers[exact][1] != answers[HAND][1]:
        raise SystemExit(f"{title}: {exact} answers {answers[exact][1][:300]!r}, not {answers[HAND][1][:300]!r}")


def meaning(body: bytes) -> Any:
    """An answer without its wrapping, in one spelling of names, times and numbers."""
    return _unwrapped(orjson.loads(body.replace(b"+00:00", b"Z").lower()))


def _unwrapped(value: Any) -> Any:
    if isinstance(value, list):
        return [_unwrapped(each) for each in value]
    if not isinstance(value, dict):
        return value
    for wrapper in ("data", "nodes", "files"):
        if wrapper in value:
            return _unwrapped(value[wrapper])
    if list(value) == ["instrument"]:
        return _unwrapped(value["instrument"])
    return {key: _unwrapped(each) for key, each in value.items()}


async def statements(parts: Parts, call: Call) -> int:
    """How many statements answer a call of ours, besides the one that finds the token's holder."""
    fetch_all, count = parts.database.fetch_all, 0

    async def counting(queries: Sequence[Bound]) -> list[list[Row]]:
        nonlocal count
        count += len(queries)
        return await fetch_all(queries)

    parts.database.fetch_all = counting  # type: ignore[method-assign]  # until the call has ended
    try:
        await call()
    finally:
        del parts.database.fetch_all
    return count - 1
