"""The one place that decides: `may(principal, verb, resource)`. What no rule allows is denied.

Rules here are about kinds of things; which single rows a principal sees is said in SQL by each type's `visible` predicate.
"""

from __future__ import annotations

from enum import StrEnum

from core.errors import Forbidden, Unauthenticated
from core.identity import INSTRUMENTS, LOOKUPS, Principal, Principals
from core.vocabulary import Access


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
MEMBER = "member"
SUPERUSER = "superuser"
"""In a domain with tenants: who may do what each tenant grants, and who may do everything in all of them."""

ACCESS, EDIT, GLOBAL_EDIT = "lmio:lookup:access", "lmio:lookup:edit", "lmio:lookup:global:edit"

_EVERYONE = frozenset({ADMIN, USER})
_OF_TENANTS = frozenset({MEMBER, SUPERUSER})
_ADMINS = frozenset({ADMIN})

_RULES: dict[str, dict[str, dict[Verb, frozenset[str]]]] = {
    # Contract streamweave §3–§7, §9 and §10: management is for admins; the two lists that user pages read are for every member.
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
        "hook": dict.fromkeys(Verb, _ADMINS),
        "group": dict.fromkeys(Verb, _ADMINS),
        "project": dict.fromkeys(Verb, _ADMINS),
        "grant": dict.fromkeys(Verb, _ADMINS),
        "instrument access": dict.fromkeys(Verb, _ADMINS),
        "instrument request": {
            Verb.LIST: _EVERYONE,
            Verb.READ: _EVERYONE,
            Verb.CREATE: _EVERYONE,
            Verb.UPDATE: _ADMINS,
        },
        "notification": {Verb.LIST: _EVERYONE, Verb.READ: _EVERYONE, Verb.UPDATE: _EVERYONE},
        "audit log": {Verb.LIST: _ADMINS},
        "account": {Verb.READ: _EVERYONE, Verb.UPDATE: _EVERYONE},
        "user": dict.fromkeys(Verb, _ADMINS),
    },
    # Contract lmio-watcher §3: what of these a member may do is for each tenant to say, in `_SCOPES`.
    LOOKUPS: {"lookup": dict.fromkeys(Verb, _OF_TENANTS), "lookup item": dict.fromkeys(Verb, _OF_TENANTS)},
}

_READING = frozenset({Verb.LIST, Verb.READ})
_SCOPES: dict[str, dict[Verb, str]] = {LOOKUPS: {verb: ACCESS if verb in _READING else EDIT for verb in Verb}}
"""What a member needs in the tenant in question. To change is not to read."""


_VERBS = {Access.READ: _READING, Access.WRITE: frozenset(Verb)}
"""What a personal token can be for. It only ever narrows what the role may."""

_PERSONS_ONLY = frozenset(
    {
        ("account", Verb.UPDATE),
        ("user", Verb.CREATE),  # with a password of one's choice: more than a token, and for longer
        ("user", Verb.UPDATE),  # as well
        ("service account password", Verb.READ),
    }
)
"""What takes somebody who signed in: whoever finds a token must not get a better credential for it."""


ADMINS_ONLY = "Admin access required"
"""What is said to a role that may not."""


def may(principal: Principal | None, verb: Verb, resource: str) -> bool:
    """Whether that principal may do that to resources of that kind, in the principal's own domain."""
    return principal is not None and _role_may(principal, verb, resource) and _credential_may(principal, verb, resource)


def _role_may(principal: Principal, verb: Verb, resource: str) -> bool:
    return principal.role in _RULES.get(principal.domain, {}).get(resource, {}).get(verb, frozenset())


def _credential_may(principal: Principal, verb: Verb, resource: str) -> bool:
    if principal.access is None:
        return True
    return verb in _VERBS[principal.access] and (resource, verb) not in _PERSONS_ONLY


def resources(domain: str) -> frozenset[str]:
    """The kinds of things that a domain has rules for; every other one is denied to everybody."""
    return frozenset(_RULES.get(domain, {}))


def require(principals: Principals, domain: str, verb: Verb, resource: str) -> Principal:
    """The domain's principal, if it may; else `Unauthenticated` or `Forbidden`."""
    principal = principals.of(domain)
    if principal is None:
        raise Unauthenticated
    if not _role_may(principal, verb, resource):
        raise Forbidden(ADMINS_ONLY)
    if not _credential_may(principal, verb, resource):
        raise Forbidden("This token may not do that")
    return principal


def may_in(principal: Principal | None, tenant: str, verb: Verb, resource: str, *, for_all: bool = False) -> bool:
    """Whether that principal may do that in that tenant; `for_all`: to what belongs to all tenants, where changing takes more."""
    if principal is None or not may(principal, verb, resource):
        return False
    if principal.role == SUPERUSER:
        return True
    needed = {_SCOPES[principal.domain][verb], *([GLOBAL_EDIT] if for_all and verb not in _READING else [])}
    return needed <= (principal.granted(tenant) or frozenset())


def may_enter(principal: Principal, tenant: str) -> bool:
    """Whether that tenant is any of the principal's business."""
    return principal.role == SUPERUSER or principal.granted(tenant) is not None


def readable_tenants(principal: Principal) -> tuple[str, ...]:
    """The tenants that let the principal read. Superusers read in all there are, which nobody can list."""
    scope = _SCOPES.get(principal.domain, {}).get(Verb.READ)
    return tuple(tenant for tenant, scopes in principal.grants if scope in scopes)


def require_person(principals: Principals) -> Principal:
    """Whoever signed in, to whichever domain; else `Unauthenticated`, or `Forbidden` for a token and for two people at once."""
    if not principals:
        raise Unauthenticated
    signed_in = [principal for principal in principals if principal.access is None and principal.is_person]
    if not signed_in:
        raise Forbidden("Sign in with your password: a token may not do that")
    if len({principal.subject for principal in signed_in}) > 1:
        raise Forbidden("The credentials of this request are two people's")
    return signed_in[0]
