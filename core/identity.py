"""Who is asking: one principal per recognised scheme, bundled for a request.

Schemes only produce principals; what a principal may do is decided in `core.policy`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from core.vocabulary import Access

INSTRUMENTS = "instruments"
LOOKUPS = "lookups"
DOMAINS = (INSTRUMENTS, LOOKUPS)

Grants = tuple[tuple[str, frozenset[str]], ...]
"""What somebody may do in each tenant, as that domain names it. A tenant that is named may be entered, even if nothing else."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A member of one domain, as a credential proved it. `credential` identifies the token itself, for revocation."""

    domain: str
    subject: UUID
    role: str
    email: str = ""
    credential: str = field(default="", repr=False)
    access: Access | None = None
    """What a personal token leaves of the role's rights; None for who signed in."""
    expires_at: datetime | None = field(default=None, compare=False)
    """When the credential ends by itself, if it says so."""
    grants: Grants = ()
    """In domains with tenants."""
    is_person: bool = True
    """Whether `subject` is somebody of our table of people; else a name that another issuer vouches for."""

    def granted(self, tenant: str) -> frozenset[str] | None:
        """What it may do in that tenant; None if it may not even enter."""
        return next((scopes for name, scopes in self.grants if name == tenant), None)


class Principals:
    """The principals of one request, by domain; empty for an anonymous one."""

    __slots__ = ("_by_domain", "shape")

    def __init__(self, principals: Iterable[Principal] = ()) -> None:
        self._by_domain = {principal.domain: principal for principal in principals}
        self.shape: tuple[tuple[str, str], ...] = tuple(sorted((p.domain, p.role) for p in self._by_domain.values()))
        """What row predicates may branch on: domains and roles, never a person."""

    def of(self, domain: str) -> Principal | None:
        """The principal of that domain, if a credential proved one."""
        return self._by_domain.get(domain)

    def __iter__(self) -> Iterator[Principal]:
        return iter(self._by_domain.values())

    def __bool__(self) -> bool:
        return bool(self._by_domain)


ANONYMOUS = Principals()
