"""The one place that decides: `may(principal, verb, resource)`. What no rule allows is denied.

Rules here are about kinds of things; which single rows a principal sees is said in SQL by each type's `visible` predicate.
"""

from __future__ import annotations

from enum import StrEnum

from core.errors import Forbidden, Unauthenticated
from core.identity import INSTRUMENTS, Principal, Principals


class Verb(StrEnum):
    """What can be done to a resource."""

    LIST = "list"
    READ = "read"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    EXECUTE = "execute"


ADMIN = "admin"
USER = "user"
_EVERYONE = frozenset({ADMIN, USER})
_ADMINS = frozenset({ADMIN})

_RULES: dict[str, dict[str, dict[Verb, frozenset[str]]]] = {
    # Contract streamweave §3–§6 and §9: management is for admins; the two lists that user pages read are for every member.
    INSTRUMENTS: {
        "instrument": {verb: _EVERYONE if verb is Verb.LIST else _ADMINS for verb in Verb},
        "storage location": {verb: _EVERYONE if verb is Verb.LIST else _ADMINS for verb in Verb},
        "service account": dict.fromkeys(Verb, _ADMINS),
        "service account password": {Verb.READ: _ADMINS},
        "schedule": dict.fromkeys(Verb, _ADMINS),
        "harvest run": {Verb.LIST: _ADMINS, Verb.READ: _ADMINS},
        "configuration": {Verb.READ: _ADMINS},
        "file": {Verb.LIST: _EVERYONE, Verb.READ: _EVERYONE},
        "transfer": {Verb.LIST: _EVERYONE, Verb.READ: _EVERYONE},
        "account": {Verb.READ: _EVERYONE, Verb.UPDATE: _EVERYONE},
        "user": dict.fromkeys(Verb, _ADMINS),
    },
}


def may(principal: Principal | None, verb: Verb, resource: str) -> bool:
    """Whether that principal may do that to resources of that kind, in the principal's own domain."""
    if principal is None:
        return False
    return principal.role in _RULES.get(principal.domain, {}).get(resource, {}).get(verb, frozenset())


def resources(domain: str) -> frozenset[str]:
    """The kinds of things that a domain has rules for; every other one is denied to everybody."""
    return frozenset(_RULES.get(domain, {}))


def require(principals: Principals, domain: str, verb: Verb, resource: str) -> Principal:
    """The domain's principal, if it may; else `Unauthenticated` or `Forbidden`."""
    principal = principals.of(domain)
    if principal is None:
        raise Unauthenticated
    if not may(principal, verb, resource):
        raise Forbidden("Admin access required")
    return principal
