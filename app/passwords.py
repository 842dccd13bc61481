"""Password hashing: argon2 for new hashes, bcrypt accepted and replaced. Runs in a few threads, never on the event loop.

A check costs the same whether or not there is a hash to check against, so that time does not tell who has an account.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pwdlib.hashers import HasherProtocol
from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher

from core.errors import Unavailable
from core.secrets import Secret

Result = TypeVar("Result")

THREADS = 2
"""Each hash takes 64 MiB while it is computed, and a processor."""

BCRYPT_LENGTH = 72
"""bcrypt never saw more of a password than this many bytes; its library now refuses longer ones."""


class HashedPasswords:
    """The `resolvers.context.Passwords` of the application."""

    def __init__(self, current: HasherProtocol | None = None, *, queue: int = 64) -> None:
        self._current = current or Argon2Hasher()
        self._room = THREADS + queue
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="passwords")
        self._nobodys = self._current.hash(secrets.token_bytes(16))

    async def hash(self, password: Secret) -> str:
        """A salted hash for storage."""
        return await self._run(lambda: self._current.hash(_bytes(password)))

    async def verify(self, password: Secret, stored: str) -> tuple[bool, str | None]:
        """Whether it matches, and a new hash when the stored one is of an outdated kind. Takes its full time for `stored=""`."""
        return await self._run(lambda: self._verify(_bytes(password), stored))

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], Result]) -> Result:
        if not self._room:
            raise Unavailable("too many passwords are waiting for their check: try again in a moment")
        self._room -= 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._room += 1

    def _verify(self, password: bytes, stored: str) -> tuple[bool, str | None]:
        if BcryptHasher.identify(stored):
            matches = BcryptHasher().verify(password[:BCRYPT_LENGTH], stored)
            return matches, self._current.hash(password) if matches else None
        if not self._current.identify(stored):
            self._current.verify(password, self._nobodys)
            return False, None
        matches = self._current.verify(password, stored)
        outdated = matches and self._current.check_needs_rehash(stored)
        return matches, self._current.hash(password) if outdated else None


def _bytes(password: Secret) -> bytes:
    """UTF-8, and never an error: what a client managed to send can be wrong, but it can be compared."""
    return password.reveal().encode("utf-8", "surrogatepass")
