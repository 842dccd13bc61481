"""Tokens of the lookups domain, which others issue: signed with a shared secret, or with keys of a JWKS (contract §3.1).

Nothing is configured by default, so that nobody is let in.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID, uuid5

import jwt
import orjson

from app.auth import Credentials
from app.tokens import NO_TOKEN
from core.clock import Clock, utc_now
from core.identity import LOOKUPS, Principal
from core.lookups.grants import role_and_grants
from core.sql import SqlStore
from engine.recent import Recent

log = logging.getLogger(__name__)

LEEWAY = 60
"""Seconds that clocks may differ."""

MOST_VERIFIED, ROOM = 4096, 2**22
"""Tokens whose signature is not checked again, and characters of them."""

LONGEST_TOKEN = 2**15

_SUBJECTS = UUID("6f2b3c1e-6d0c-5c55-9d6e-0d6a2f1f7a11")
"""Namespace of the ids that names of other issuers get here."""

_KEY_TYPES = {"RS256": "RSA", "ES256": "EC"}


class KeySet(Protocol):
    """Where public keys come from."""

    version: int
    """Another one after the keys have changed."""

    async def keys(self, identifier: str | None) -> Sequence[jwt.PyJWK]:
        """Those that may have signed a token that names this key, or none."""


class Jwks:
    """A set that is read again when a token names a key that is not in it, and once in a while."""

    EVERY, AGAIN = 600.0, 30.0
    """Seconds until it is read again, and until it is read again for the sake of an unknown key."""

    def __init__(self, read: Callable[[], Any], now: Callable[[], float] = time.monotonic) -> None:
        self.version = 0
        self._read, self._now = read, now
        self._known: list[jwt.PyJWK] = []
        self._read_at: float | None = None
        self._reading = asyncio.Lock()

    async def keys(self, identifier: str | None) -> Sequence[jwt.PyJWK]:
        async with self._reading:
            age = None if self._read_at is None else self._now() - self._read_at
            found = self._named(identifier)
            if age is None or age >= self.EVERY or (not found and age >= self.AGAIN):
                await self._refresh()
                found = self._named(identifier)
        return found

    def _named(self, identifier: str | None) -> list[jwt.PyJWK]:
        return [key for key in self._known if identifier is None or key.key_id == identifier]

    async def _refresh(self) -> None:
        """What was known stays known while the keys cannot be read."""
        self._read_at = self._now()
        try:
            keys = keys_of(await asyncio.to_thread(self._read))
        except Exception:  # whatever it is, tokens are checked with the keys there are
            log.exception("the keys of the lookups domain cannot be read")
            return
        self._known, self.version = keys, self.version + 1


def keys_of(document: Any) -> list[jwt.PyJWK]:
    """The keys of a JWKS that can check signatures of ours. Raises `ValueError` if there are none."""
    given = document.get("keys") if isinstance(document, dict) else None
    found: list[jwt.PyJWK] = []
    for each in given if isinstance(given, list) else []:
        try:
            key = jwt.PyJWK.from_dict(each)
        except (jwt.PyJWTError, ValueError, TypeError):
            continue  # of a kind that nobody here uses
        if key.key_type in _KEY_TYPES.values() and key.public_key_use in {None, "sig"}:
            found.append(key)
    if not found:
        raise ValueError("this is no JWKS with RSA or EC keys")
    return found


def jwks_of(place: str) -> Jwks:
    """From a URL, or from a file, which has to be there. Raises `ValueError` or `OSError`."""
    if place.startswith(("https://", "http://")):
        client = jwt.PyJWKClient(place, cache_keys=False, cache_jwk_set=False, timeout=5)
        return Jwks(client.fetch_data)

    def read() -> Any:
        return orjson.loads(Path(place).read_bytes())

    keys_of(read())
    return Jwks(read)


@dataclass(frozen=True, slots=True)
class _Verified:
    """What a token says whose signature is right."""

    principal: Principal
    not_before: float
    expires: float


class LookupsScheme:
    """A bearer token of the domain."""

    def __init__(self, secret: str | None = None, keys: KeySet | None = None, clock: Clock = utc_now) -> None:
        self._secret, self._keys, self._clock = secret, keys, clock
        self._verified: Recent[_Verified] = Recent(MOST_VERIFIED, room=ROOM)

    async def principal(self, credentials: Credentials, sql: SqlStore) -> Principal | None:
        token = credentials.bearer
        if not token or len(token) > LONGEST_TOKEN or token.count(".") != 2:
            return None
        try:
            verified = await self._find(token)
        except (*NO_TOKEN, OverflowError, OSError):
            return None
        now = self._clock().timestamp()
        return verified.principal if verified.not_before - LEEWAY <= now < verified.expires + LEEWAY else None

    async def _find(self, token: str) -> _Verified:
        digest = hashlib.sha256(token.encode()).digest()  # so that no token lies in memory
        known = self._verified.get((digest, self._version))
        if known is not None:
            return known
        verified = _read(await self._claims(token))
        return self._verified.remember((digest, self._version), lambda: verified, weight=len(token))

    @property
    def _version(self) -> int:
        return 0 if self._keys is None else self._keys.version

    async def _claims(self, token: str) -> dict[str, Any]:
        """Raises one of `NO_TOKEN`. Each key is used with its own algorithm only."""
        header = jwt.get_unverified_header(token)
        algorithm, identifier = header.get("alg"), header.get("kid")
        if algorithm == "HS256" and self._secret is not None:
            return _decoded(token, self._secret, algorithm)
        if algorithm not in _KEY_TYPES or self._keys is None or not isinstance(identifier, str | None):
            raise jwt.InvalidAlgorithmError("not configured")
        for key in await self._keys.keys(identifier):
            if key.key_type == _KEY_TYPES[algorithm]:
                try:
                    return _decoded(token, key.key, algorithm)
                except jwt.InvalidSignatureError:
                    continue
        raise jwt.InvalidSignatureError("no key fits")


def _decoded(token: str, key: Any, algorithm: str) -> dict[str, Any]:
    """Times are for our own clock to judge."""
    options: Any = {
        "require": ["iat", "exp"],
        "verify_exp": False,
        "verify_iat": False,
        "verify_nbf": False,
        "verify_aud": False,
        "verify_sub": False,
    }
    return dict(jwt.decode(token, key, algorithms=[algorithm], options=options))


def _read(claims: dict[str, Any]) -> _Verified:
    times = [claims[name] for name in ("iat", "exp", "nbf") if name in claims]
    if any(isinstance(each, bool) or not isinstance(each, int | float) for each in times):
        raise ValueError("times are numbers")
    name = claims.get("sub", "")
    if not isinstance(name, str) or len(name) > 320:
        raise ValueError("sub is text")
    role, grants = role_and_grants(claims.get("resources", {}))
    principal = Principal(
        LOOKUPS,
        uuid5(_SUBJECTS, f"{claims.get('iss', '')}\n{name}"),
        role,
        name,
        expires_at=datetime.fromtimestamp(claims["exp"], UTC),
        grants=grants,
        is_person=False,
    )
    return _Verified(principal, max(claims["iat"], claims.get("nbf", claims["iat"])), float(claims["exp"]))


def issue(secret: str, subject: str, resources: dict[str, list[str]], lifetime: int, clock: Clock = utc_now) -> str:
    """A token as an issuer would make it, for demonstrations and tests."""
    now = int(clock().timestamp())
    claims = {"iss": "switchyard", "sub": subject, "iat": now, "exp": now + lifetime, "resources": resources}
    return jwt.encode(claims, secret, algorithm="HS256")
