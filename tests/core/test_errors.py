"""The taxonomy: every class once, every code its own, and what each carries."""

from __future__ import annotations

import pytest

from core import errors
from core.errors import TAXONOMY, DomainError, Internal, InvalidInput, Problem, Refused, Unauthenticated


def test_the_taxonomy_is_complete():
    defined = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, DomainError)}
    assert set(TAXONOMY) == defined - {DomainError}
    assert len(TAXONOMY) == len(set(TAXONOMY))


def test_codes():
    codes = [kind.code for kind in TAXONOMY]
    assert len(codes) == len(set(codes))
    assert all(code.isupper() for code in codes)
    spelled = {
        "".join(f"_{letter}" if letter.isupper() else letter for letter in kind.__name__)[1:].upper() for kind in TAXONOMY
    }
    assert set(codes) == spelled


@pytest.mark.parametrize("kind", [kind for kind in TAXONOMY if kind not in {Internal, Unauthenticated}])
def test_what_an_error_carries(kind):
    error = kind("why", **({"field": "name"} if kind is not Refused else {}))
    assert (error.detail, str(error)) == ("why", "why")
    assert isinstance(error, DomainError)


def test_a_field_is_a_problem_of_its_own():
    error = InvalidInput("must be one", field="name", kind="literal_error", value=7)
    assert error.problems == (Problem(("name",), "must be one", "literal_error", 7),)
    assert InvalidInput("several").problems == ()


def test_problems_go_before_the_field():
    problems = [Problem(("a", 0), "first"), Problem(("b",), "second")]
    assert InvalidInput("several", field="a", problems=problems).problems == tuple(problems)


def test_a_refusal_has_a_reason():
    error = Refused("LOGIN_BAD_CREDENTIALS", explanation="why")
    assert (error.reason, error.explanation, error.detail) == ("LOGIN_BAD_CREDENTIALS", "why", "LOGIN_BAD_CREDENTIALS")
    assert isinstance(error, InvalidInput)


def test_an_internal_error_says_nothing_but_its_id():
    error = Internal("abc")
    assert (error.error_id, error.detail) == ("abc", "Internal error; quote abc when reporting it")


def test_unauthenticated_has_one_wording():
    assert Unauthenticated().detail == "Unauthorized"
