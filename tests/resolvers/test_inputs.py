"""Absent, null and empty are three things; what does not fit a column is named before the database sees it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

import pytest

from core.errors import InvalidInput, Problem
from core.secrets import Secret
from core.vocabulary import TransferAdapter
from resolvers.inputs import ABSENT, Absent, checked, given
from storage.sql.tables import hooks, instruments, service_accounts


@dataclass(frozen=True)
class Changes:
    name: str | Absent = ABSENT
    description: str | Absent | None = ABSENT


def problems(table, **values) -> tuple[Problem, ...]:
    with pytest.raises(InvalidInput) as refused:
        checked(table, values)
    return refused.value.problems


def test_only_present_fields_are_given():
    assert given(Changes()) == {}
    assert given(Changes(description=None)) == {"description": None}
    assert given(Changes(name="", description="x")) == {"name": "", "description": "x"}


def test_absent_says_so():
    assert repr(Changes(name="a")) == "Changes(name='a', description=ABSENT)"


def test_what_fits_is_returned():
    values = {
        "name": "x" * 255,
        "description": None,
        "service_account_id": uuid4(),
        "transfer_adapter": TransferAdapter.RSYNC,
        "transfer_config": {"a": [1, None]},
        "enabled": False,
    }

    assert checked(instruments, values) == values


def test_empty_text_fits():
    assert checked(instruments, {"name": ""}) == {"name": ""}


def test_text_may_be_as_long_as_its_column_and_no_longer():
    value = "ü" * 256

    assert problems(instruments, name=value) == (
        Problem(("name",), "String should have at most 255 characters", "string_too_long", value),
    )


@pytest.mark.parametrize(
    ("field", "kind", "message"),
    [
        ("name", "string_type", "Input should be a valid string"),
        ("enabled", "bool_type", "Input should be a valid boolean"),
        ("transfer_adapter", "enum", "Input should be 'rclone', 'globus' or 'rsync'"),
    ],
)
def test_null_is_refused_where_the_column_forbids_it(field, kind, message):
    assert problems(instruments, **{field: None}) == (Problem((field,), message, kind, None),)


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("name", 5, "string_type"),
        ("enabled", "yes", "bool_type"),
        ("service_account_id", "no uuid", "uuid_type"),
        ("transfer_adapter", "carrier pigeon", "enum"),
        ("transfer_config", [1], "dict_type"),
    ],
)
def test_values_of_another_type_are_refused(field, value, kind):
    (problem,) = problems(instruments, **{field: value})

    assert (problem.path, problem.kind, problem.value) == ((field,), kind, value)


@pytest.mark.parametrize(
    ("value", "kind"),
    [("1", "int_type"), (True, "int_type"), (1.5, "int_type"), (2**31, "int_parsing_size"), (-(2**31) - 1, "int_parsing_size")],
)
def test_whole_numbers(value, kind):
    (problem,) = problems(hooks, priority=value)

    assert (problem.path, problem.kind, problem.value) == (("priority",), kind, value)
    assert checked(hooks, {"priority": 2**31 - 1}) == {"priority": 2**31 - 1}


@pytest.mark.parametrize(("text", "kind"), [("a\0b", "string_nul"), ("\ud800", "string_unicode")])
def test_text_that_a_database_cannot_hold_is_refused_and_not_echoed(text, kind):
    (problem,) = problems(instruments, description=text)

    assert (problem.path, problem.kind, problem.value) == (("description",), kind, None)


@pytest.mark.parametrize("value", [{"a": 2**64}, {"a": "\ud800"}])
def test_json_that_cannot_be_written_is_refused(value):
    assert problems(instruments, transfer_config=value) == (
        Problem(("transfer_config",), "Input cannot be stored as JSON", "json_type"),
    )


def test_every_wrong_field_is_named():
    with pytest.raises(InvalidInput) as refused:
        checked(instruments, {"name": None, "location": "x", "pid": "y" * 300})

    assert [problem.path for problem in refused.value.problems] == [("name",), ("pid",)]
    assert refused.value.field == "name"
    assert refused.value.detail == "name: Input should be a valid string; pid: String should have at most 255 characters"


def test_a_name_without_a_column_is_a_required_secret():
    assert checked(service_accounts, {"password": Secret("")}) == {"password": Secret("")}
    assert problems(service_accounts, password=None)[0].kind == "string_type"
    assert problems(service_accounts, password=Secret("a\0"))[0].kind == "string_nul"
