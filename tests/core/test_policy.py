"""Who may do what: the whole matrix of the instruments domain, and that nothing else is allowed."""

from __future__ import annotations

from uuid import UUID

import pytest

from core.errors import Forbidden, Unauthenticated
from core.identity import ANONYMOUS, INSTRUMENTS, LOOKUPS, Principal, Principals
from core.policy import (
    _RULES,
    ACCESS,
    ADMIN,
    EDIT,
    GLOBAL_EDIT,
    MEMBER,
    SUPERUSER,
    USER,
    Verb,
    may,
    may_enter,
    may_in,
    readable_tenants,
    require,
    require_person,
)
from core.vocabulary import Access

KEY = UUID(int=1)

# Contract streamweave §3-§7, §9 and §10. What is not listed here is denied.
EVERYONE = {
    ("instrument", Verb.LIST),
    ("storage location", Verb.LIST),
    ("file", Verb.LIST),
    ("file", Verb.READ),
    ("transfer", Verb.LIST),
    ("transfer", Verb.READ),
    ("account", Verb.READ),
    ("account", Verb.UPDATE),
    ("instrument request", Verb.LIST),
    ("instrument request", Verb.READ),
    ("instrument request", Verb.CREATE),
    ("notification", Verb.LIST),
    ("notification", Verb.READ),
    ("notification", Verb.UPDATE),
}
MANAGED = (
    "instrument",
    "storage location",
    "service account",
    "schedule",
    "hook",
    "group",
    "project",
    "grant",
    "instrument access",
    "user",
)
ADMINS = (
    EVERYONE
    | {(kind, verb) for kind in MANAGED for verb in Verb}
    | {
        ("service account password", Verb.READ),
        ("harvest run", Verb.LIST),
        ("harvest run", Verb.READ),
        ("configuration", Verb.READ),
        ("instrument request", Verb.UPDATE),
        ("audit log", Verb.LIST),
    }
)
RESOURCES = sorted({kind for kind, _ in ADMINS} | set(_RULES[INSTRUMENTS]) | {"nothing"})


def principal(role: str, domain: str = INSTRUMENTS) -> Principal:
    return Principal(domain, KEY, role, "ada@example.org", "credential")


@pytest.mark.parametrize("verb", Verb)
@pytest.mark.parametrize("resource", RESOURCES)
def test_the_matrix(resource, verb):
    allowed = {role: may(principal(role), verb, resource) for role in (ADMIN, USER, "nobody")}
    assert allowed == {ADMIN: (resource, verb) in ADMINS, USER: (resource, verb) in EVERYONE, "nobody": False}
    assert not may(None, verb, resource)
    assert not may(principal(ADMIN, "replication"), verb, resource), "an admin of one domain is nobody in another"


def test_require():
    admin, user = Principals([principal(ADMIN)]), Principals([principal(USER)])
    assert require(admin, INSTRUMENTS, Verb.CREATE, "instrument") == principal(ADMIN)
    with pytest.raises(Forbidden, match="Admin access required"):
        require(user, INSTRUMENTS, Verb.CREATE, "instrument")
    for nobody in (ANONYMOUS, Principals([principal(ADMIN, "replication")])):
        with pytest.raises(Unauthenticated):
            require(nobody, INSTRUMENTS, Verb.CREATE, "instrument")


def test_principals():
    both = Principals([principal(USER, "replication"), principal(ADMIN)])
    assert both.of(INSTRUMENTS) == principal(ADMIN)
    assert both.of("lookups") is None
    assert both.shape == ((INSTRUMENTS, ADMIN), ("replication", USER))
    assert Principals(both).shape == both.shape
    assert (bool(both), bool(ANONYMOUS), list(ANONYMOUS), ANONYMOUS.shape) == (True, False, [], ())


def test_a_principal_does_not_show_its_credential():
    assert "credential" not in repr(principal(ADMIN))


# --- personal tokens: what a credential leaves of the role's rights -------------------------------------------------------

# Whoever finds a token must not get a better credential for it.
PERSONS_ONLY = {
    ("account", Verb.UPDATE),
    ("user", Verb.CREATE),
    ("user", Verb.UPDATE),
    ("service account password", Verb.READ),
}


def token(role: str, access: Access, domain: str = INSTRUMENTS, subject: UUID = KEY) -> Principal:
    return Principal(domain, subject, role, "ada@example.org", "credential", access)


@pytest.mark.parametrize("verb", Verb)
@pytest.mark.parametrize("resource", RESOURCES)
def test_a_token_only_narrows(resource, verb):
    for role, allowed in ((ADMIN, ADMINS), (USER, EVERYONE), ("nobody", set())):
        writes = (resource, verb) in allowed - PERSONS_ONLY
        assert may(token(role, Access.WRITE), verb, resource) is writes
        assert may(token(role, Access.READ), verb, resource) is (writes and verb in {Verb.LIST, Verb.READ})


def test_require_tells_a_tokens_bounds_from_a_roles():
    for access in Access:
        reading = Principals([token(ADMIN, access)])
        assert require(reading, INSTRUMENTS, Verb.READ, "instrument") == token(ADMIN, access)
        with pytest.raises(Forbidden, match=r"^This token may not do that$"):
            require(reading, INSTRUMENTS, Verb.UPDATE, "account")
        with pytest.raises(Forbidden, match=r"^Admin access required$"):
            require(Principals([token(USER, access)]), INSTRUMENTS, Verb.CREATE, "instrument")


def test_require_person():
    assert require_person(Principals([principal(USER)])) == principal(USER)
    assert require_person(Principals([token(ADMIN, Access.WRITE), principal(USER, "replication")])).access is None
    with pytest.raises(Unauthenticated):
        require_person(ANONYMOUS)
    with pytest.raises(Forbidden, match="Sign in with your password: a token may not do that"):
        require_person(Principals([token(ADMIN, Access.WRITE)]))
    with pytest.raises(Forbidden, match="two people's"):
        require_person(Principals([principal(USER), Principal("replication", UUID(int=2), USER)]))


# --- lookups: contract lmio-watcher §3 ---------------------------------------------------------------------------------


def member(*grants: tuple[str, set[str]], role: str = MEMBER, access: Access | None = None) -> Principal:
    given = tuple((tenant, frozenset(scopes)) for tenant, scopes in grants)
    return Principal(LOOKUPS, KEY, role, access=access, grants=given, is_person=False)


READING = {Verb.LIST, Verb.READ}


@pytest.mark.parametrize("verb", Verb)
@pytest.mark.parametrize("resource", ["lookup", "lookup item"])
def test_a_tenant_says_who_reads_and_who_changes(verb, resource):
    reader, editor = member(("a", {ACCESS}), ("b", set())), member(("a", {EDIT}))
    assert may_in(reader, "a", verb, resource) == (verb in READING)
    assert may_in(editor, "a", verb, resource) == (verb not in READING)
    for tenant in ("b", "c", "*"):
        assert not may_in(reader, tenant, verb, resource)
    assert may_in(member(role=SUPERUSER), "anything", verb, resource, for_all=True)
    assert not may_in(None, "a", verb, resource)
    assert not may_in(reader, "a", verb, "instrument")


def test_what_belongs_to_all_tenants_takes_both_rights_to_change():
    for scopes, expected in (({EDIT}, False), ({GLOBAL_EDIT}, False), ({EDIT, GLOBAL_EDIT}, True)):
        assert may_in(member(("a", scopes)), "a", Verb.UPDATE, "lookup", for_all=True) is expected
    assert may_in(member(("a", {ACCESS})), "a", Verb.READ, "lookup", for_all=True)


def test_rights_of_two_tenants_do_not_add_up():
    principal = member(("a", {EDIT}), ("b", {GLOBAL_EDIT}))
    assert not may_in(principal, "a", Verb.UPDATE, "lookup", for_all=True)


def test_a_token_for_reading_edits_nothing_in_any_tenant():
    superuser = member(role=SUPERUSER, access=Access.READ)
    assert may_in(superuser, "a", Verb.READ, "lookup")
    assert not may_in(superuser, "a", Verb.UPDATE, "lookup")


def test_tenants_that_may_be_entered_and_read():
    principal = member(("a", {ACCESS}), ("b", {EDIT}), ("c", set()))
    assert [may_enter(principal, tenant) for tenant in "abcd"] == [True, True, True, False]
    assert readable_tenants(principal) == ("a",)
    assert may_enter(member(role=SUPERUSER), "d")


def test_whoever_another_issuer_vouches_for_is_no_person_of_ours():
    with pytest.raises(Forbidden, match="Sign in with your password"):
        require_person(Principals([member(("a", {ACCESS}))]))
    person = Principal(INSTRUMENTS, UUID(int=2), USER)
    assert require_person(Principals([member(("a", {ACCESS})), person])) is person
