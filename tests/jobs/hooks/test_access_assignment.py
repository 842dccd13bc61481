"""`access_assignment`: contract §7."""

from uuid import UUID

import pytest

from core.vocabulary import GranteeType
from jobs.hooks.access_assignment import access_assignment
from jobs.hooks.asking import HookError, Result, Wish
from tests.jobs.hooks.subjects import subject

ADA = "7d4bb140-a51f-4ca1-95a0-769b417c9b05"


def wishes(*grants, **metadata):
    return access_assignment({"grants": list(grants)})(subject(**metadata)).wishes


@pytest.mark.parametrize("config", [None, {}, {"grants": []}], ids=str)
def test_without_grants_nobody_is_granted_anything(config):
    assert access_assignment(config)(subject()) == Result()


@pytest.mark.parametrize("kind", list(GranteeType))
def test_by_id(kind):
    grant = {"grantee_type": kind.value, "match_field": ADA.upper(), "source": "literal"}
    assert wishes(grant) == (Wish(kind, UUID(ADA)),)


@pytest.mark.parametrize("source", [{}, {"source": "metadata"}], ids=str)
def test_by_a_name_in_the_metadata(source):
    grant = {"grantee_type": "group", "match_field": "team", **source}
    assert wishes(grant, team="NMR", other="x") == (Wish(GranteeType.GROUP, "NMR", "team"),)


@pytest.mark.parametrize("metadata", [{}, {"team": None}, {"team": ""}, {"team": 7}, {"team": ["NMR"]}], ids=str)
def test_what_is_no_name_names_nobody(metadata):
    assert wishes({"grantee_type": "group", "match_field": "team"}, **metadata) == (Wish(GranteeType.GROUP, None, "team"),)


@pytest.mark.parametrize(
    ("grant", "words"),
    [
        ({"grantee_type": "robot", "match_field": "x"}, "grants.0.grantee_type: Input should be 'user', 'group' or 'project'"),
        ({"grantee_type": "user"}, "grants.0.match_field: Field required"),
        (
            {"grantee_type": "user", "match_field": "x", "source": "path"},
            "grants.0.source: Input should be 'literal' or 'metadata'",
        ),
        (
            {"grantee_type": "user", "match_field": "x", "source": "literal"},
            "grants.0: match_field has to be the grantee's id, a UUID",
        ),
    ],
)
def test_what_makes_no_sense_is_told(grant, words):
    with pytest.raises(HookError) as refusal:
        access_assignment({"grants": [grant]})
    assert str(refusal.value) == f"its config cannot be used: {words}"
