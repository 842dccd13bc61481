"""How many requests somebody may make: a bucket for each credential, and for each network address without one.

Counted in this process: of several servers each counts for itself. A bucket is a moment (GCRA): when it would be full again.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, MutableMapping
from functools import lru_cache
from math import ceil
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.errors import RateLimited
from core.identity import Principal, Principals
from core.network import network_of

WINDOW = 60
"""Seconds in which an empty bucket fills; a full one may be emptied at once."""

MOST_BUCKETS = 10_000
"""Some 200 bytes each. Whose bucket was used longest ago begins with a full one."""

OPERATIONS = "switchyard.operations"
"""In the scope of a request that asks for more than one operation: how many."""

_HEADERS = "switchyard.rate"


class Policy:
    """So many requests in a window, under a name for the headers."""

    def __init__(self, name: str, most: int) -> None:
        self.name, self.most = name, most
        self.weight = WINDOW / most if most else 0.0
        """Seconds in which there is room for one more."""
        self.header = (b"ratelimit-policy", f'"{name}";q={most};w={WINDOW}'.encode())


class Rates:
    """Counts requests. A bound of 0 is none."""

    def __init__(
        self,
        per_principal: int,
        per_address: int,
        *,
        buckets: int = MOST_BUCKETS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._principals, self._addresses = Policy("principal", per_principal), Policy("address", per_address)
        self._buckets: OrderedDict[Hashable, float] = OrderedDict()
        self._size, self._clock = buckets, clock

    def count(self, scope: MutableMapping[str, Any], principals: Principals, address: str) -> None:
        """Count a request, and leave in its scope what its reply says of it. Raises `RateLimited` if there were too many."""
        principal = next(iter(principals), None)
        policy = self._addresses if principal is None else self._principals
        if not policy.most:
            return
        key: Hashable = _network_of(address) if principal is None else _credential(principal)
        now = self._clock()
        full_at = max(self._buckets.get(key, now), now) + policy.weight * min(scope.get(OPERATIONS, 1), policy.most)
        over = full_at - now - WINDOW
        refused = over > _ROUNDING
        if not refused:
            self._keep(key, full_at)
        left, wait = (0, max(ceil(over), 1)) if refused else (int((_ROUNDING - over) / policy.weight), ceil(full_at - now))
        headers = scope[_HEADERS] = [policy.header, (b"ratelimit", f'"{policy.name}";r={left};t={wait}'.encode())]
        if refused:
            headers.append((b"retry-after", str(wait).encode()))
            raise RateLimited(f"Too many requests: at most {policy.most} per minute; try again in {wait} seconds")

    def _keep(self, key: Hashable, full_at: float) -> None:
        self._buckets[key] = full_at
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._size:
            self._buckets.popitem(last=False)


_network_of = lru_cache(maxsize=1024)(network_of)

_ROUNDING = 1e-6
"""Seconds that sums of many small floats may be off."""


def _credential(principal: Principal) -> Hashable:
    """Each personal token has its own bucket, so that a script does not keep its owner out; sign-ins of a person share one."""
    return principal.credential if principal.access is not None else principal.subject


class RateHeaders:
    """Tells in each reply what was counted: `RateLimit` and `RateLimit-Policy`, draft-ietf-httpapi-ratelimit-headers-10."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def telling(message: Message) -> None:
            if message["type"] == "http.response.start" and _HEADERS in scope:
                message = {**message, "headers": [*message.get("headers", ()), *scope[_HEADERS]]}
            await send(message)

        await self._app(scope, receive, telling)
