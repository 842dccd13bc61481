"""Bounds of documents that are asked before validation: directives in one place, and introspection."""

from __future__ import annotations

import pytest
from graphql import get_introspection_query, parse

from core.errors import NotSupported, TooExpensive
from engine.limits import Limits, check_limits

MANY, TOO_MANY = "@skip(if: true) " * 5, "@skip(if: true) " * 6


@pytest.mark.parametrize(
    "document",
    [
        "{ a %s }",
        "{ a { b { c %s } } }",
        "{ ... %s { a } }",
        "{ ...F %s } fragment F on A { a }",
        "{ ...F } fragment F on A %s { a }",
        "{ ...F } fragment F on A { a %s }",
        "query %s { a }",
        "query ($a: Boolean! %s) { a }",
        "query A { a } mutation B %s { a }",
    ],
)
def test_directives_in_one_place(document):
    check_limits(parse(document % MANY), Limits())
    with pytest.raises(TooExpensive, match=r"^6 directives in one place; at most 5 are allowed$"):
        check_limits(parse(document % TOO_MANY), Limits())


@pytest.mark.parametrize(
    "document",
    [
        "{ __schema { queryType { name } } }",
        '{ a __type(name: "A") { name } }',
        "{ ...F } fragment F on Query { b: __schema { types { name } } }",
        "query A { a } query B { ... @skip(if: true) { __schema { description } } }",
        get_introspection_query(),
    ],
)
def test_introspection_can_be_turned_off(document):
    check_limits(parse(document), Limits(depth=20))
    with pytest.raises(NotSupported, match=r"^introspection is turned off on this server$"):
        check_limits(parse(document), Limits(depth=20, introspection=False))


def test_type_names_are_no_introspection():
    check_limits(parse("{ __typename a { __typename } schema: __typename }"), Limits(introspection=False))
