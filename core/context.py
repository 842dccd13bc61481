"""What one request carries: who asks, the stores it may use, and what the reply must do besides its body."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from core.clock import Clock, utc_now
from core.deadlines import InTime
from core.identity import ANONYMOUS, Principal, Principals
from core.policy import Verb, require
from core.sql import SqlStore


@dataclass(slots=True)
class Effects:
    """Headers that a use case asks the transport to send (login and logout cookies). Only authentication may use it."""

    headers: list[tuple[str, str]] = field(default_factory=list)
    confidential: bool = False
    """Whether the reply holds a secret: it is not kept, here or on its way, and not compressed."""

    def header(self, name: str, value: str) -> None:
        """Add a response header."""
        self.headers.append((name, value))


@dataclass(slots=True, kw_only=True)
class Context:
    """One explicit argument instead of globals. Built by the transport, once per request.

    `services` is the application's composition (jobs, token signer, settings of use cases); its type belongs to the layer
    that builds it, so the layers below only pass it on.
    """

    sql: SqlStore
    principals: Principals = ANONYMOUS
    services: Any = None
    clock: Clock = utc_now
    request_id: str = "-"
    time_limit: float | None = None
    """Seconds that an operation may take, or one batch of a stream."""
    effects: Effects = field(default_factory=Effects)
    loaders: dict[object, Any] = field(default_factory=dict)
    report: Callable[[BaseException], str] | None = None
    """Logs an unforeseen error and returns the id under which it can be found."""
    limit: InTime | None = None
    """The time of what is under way."""

    def in_time(self) -> InTime:
        """What runs inside is ended when it takes too long."""
        self.limit = InTime(self.time_limit)
        return self.limit

    def renew(self) -> None:
        """There was progress: what runs has all of its time again. For work whose parts are bounded, not their number."""
        if self.limit is not None:
            self.limit.renew()

    def require(self, domain: str, verb: Verb, resource: str) -> Principal:
        """The domain's principal if policy allows; raises `Unauthenticated` or `Forbidden`."""
        return require(self.principals, domain, verb, resource)
