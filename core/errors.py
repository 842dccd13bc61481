"""The one error taxonomy. Use cases raise these; only transports know what they look like on the wire.

Each class carries facts, never an HTTP status: GraphQL shows `code`, each REST dialect renders its own status and body.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

MALFORMED = "schema"
"""The kind of a problem: the input is not of its form. Some transports tell it from input that breaks a rule."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the input: where it is (argument path), what kind of mistake, what to say."""

    path: tuple[str | int, ...]
    message: str
    kind: str = "value_error"
    value: object = None


class DomainError(Exception):
    """Base of every error a client may see; `detail` is written for that client."""

    code: ClassVar[str] = "INTERNAL"

    def __init__(self, detail: str, *, field: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field


class InvalidInput(DomainError):
    """The request is understood and wrong; `problems` names every place that is."""

    code = "INVALID_INPUT"

    def __init__(
        self,
        detail: str,
        *,
        field: str | None = None,
        kind: str = "value_error",
        value: object = None,
        problems: Sequence[Problem] = (),
    ) -> None:
        super().__init__(detail, field=field)
        own = (Problem((field,), detail, kind, value),) if field is not None else ()
        self.problems: tuple[Problem, ...] = tuple(problems) or own


class Refused(InvalidInput):
    """A well-formed request that a rule refuses, told apart by a `reason` that clients compare (`LOGIN_BAD_CREDENTIALS`)."""

    code = "REFUSED"

    def __init__(self, reason: str, *, explanation: str | None = None, field: str | None = None) -> None:
        super().__init__(reason, field=field)
        self.reason = reason
        self.explanation = explanation


class Unauthenticated(DomainError):
    """No credential that this domain recognises came with the request."""

    code = "UNAUTHENTICATED"

    def __init__(self, detail: str = "Unauthorized") -> None:
        super().__init__(detail)


class Forbidden(DomainError):
    """The principal is known and may not do this."""

    code = "FORBIDDEN"


class NotFound(DomainError):
    """Nothing of that identity exists, or the principal may not know that it does."""

    code = "NOT_FOUND"


class Conflict(DomainError):
    """The request contradicts what is stored."""

    code = "CONFLICT"


class PreconditionFailed(DomainError):
    """A condition that the client attached no longer holds."""

    code = "PRECONDITION_FAILED"


class TooLarge(DomainError):
    """The request or one of its parts is above a size limit."""

    code = "TOO_LARGE"


class UnsupportedMedia(DomainError):
    """The body is in a format that this endpoint does not read."""

    code = "UNSUPPORTED_MEDIA"


class RangeNotSatisfiable(DomainError):
    """The byte range lies outside the content."""

    code = "RANGE_NOT_SATISFIABLE"


class TooExpensive(DomainError):
    """The operation is above a cost, depth, token or alias limit: the one that `bound` names."""

    code = "TOO_EXPENSIVE"

    def __init__(self, detail: str, *, field: str | None = None, bound: str = "") -> None:
        super().__init__(detail, field=field)
        self.bound = bound


class RateLimited(DomainError):
    """Too many requests; try again later."""

    code = "RATE_LIMITED"


class NotSupported(DomainError):
    """A valid request for something that this server does not do."""

    code = "NOT_SUPPORTED"


class Unavailable(DomainError):
    """A store or service that the request needs does not answer."""

    code = "UNAVAILABLE"


class UpstreamFailed(Unavailable):
    """A service beyond this server, which the request was passed on to, does not do it."""

    code = "UPSTREAM_FAILED"


class Timeout(DomainError):
    """The request ran out of its time."""

    code = "TIMEOUT"


class Internal(DomainError):
    """Anything unforeseen. The client sees only the id under which it was logged."""

    code = "INTERNAL"

    def __init__(self, error_id: str) -> None:
        super().__init__(f"Internal error; quote {error_id} when reporting it")
        self.error_id = error_id


TAXONOMY: tuple[type[DomainError], ...] = (
    InvalidInput,
    Refused,
    Unauthenticated,
    Forbidden,
    NotFound,
    Conflict,
    PreconditionFailed,
    TooLarge,
    UnsupportedMedia,
    RangeNotSatisfiable,
    TooExpensive,
    RateLimited,
    NotSupported,
    Unavailable,
    UpstreamFailed,
    Timeout,
    Internal,
)
