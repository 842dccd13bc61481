"""The schema as text: committed, described, guarded, and never broken for those who use it."""

from __future__ import annotations

from pathlib import Path

import pytest
from graphql import build_schema as build_from_text
from graphql import (
    get_named_type,
    is_enum_type,
    is_input_object_type,
    is_non_null_type,
    is_object_type,
    is_specified_directive,
)
from graphql.utilities import lexicographic_sort_schema, print_schema

from app.schema_changes import breaking, undated
from app.server import sdl_of
from core.clock import utc_now
from engine.declare import guard_of, stored_type
from schema.root import build_schema

COMMITTED, BASELINE = (Path(__file__).parents[2] / "schema" / f"{name}.graphql" for name in ("schema", "baseline"))

ROOTS = ("Query", "Mutation", "Subscription")


@pytest.fixture(scope="module")
def strawberry_schema():
    return build_schema()


@pytest.fixture(scope="module")
def built(strawberry_schema):
    return strawberry_schema._schema


def types(built):
    return [kind for name, kind in built.type_map.items() if not name.startswith("__")]


def test_the_committed_text_is_the_schema(strawberry_schema):
    assert COMMITTED.read_text("utf-8") == sdl_of(strawberry_schema), "run `make schema` and look at the difference"


def test_nothing_that_clients_use_was_broken():
    """Since the last release. A field is deprecated, with a day, before it goes."""
    baseline, schema = (file.read_text("utf-8") for file in (BASELINE, COMMITTED))
    assert breaking(baseline, schema, utc_now().date()) == []
    assert undated(schema) == []


def test_the_text_can_be_read_back(strawberry_schema, built):
    read = build_from_text(sdl_of(strawberry_schema))
    assert set(read.type_map) >= {kind.name for kind in types(built)}
    assert print_schema(lexicographic_sort_schema(read))


def undescribed(built):
    for kind in types(built):
        if not kind.description:
            yield kind.name
        for name, field in getattr(kind, "fields", {}).items():
            if not field.description:
                yield f"{kind.name}.{name}"
            for argument, definition in getattr(field, "args", {}).items():
                if not definition.description:
                    yield f"{kind.name}.{name}({argument}:)"
    for directive in built.directives:
        if not directive.description:
            yield f"@{directive.name}"


def test_everything_is_described(built):
    assert list(undescribed(built)) == []


def test_descriptions_are_sentences(built):
    found = [(kind.name, kind.description) for kind in types(built)]
    found += [
        (f"{kind.name}.{name}", field.description)
        for kind in types(built)
        for name, field in getattr(kind, "fields", {}).items()
    ]
    specified = {"Int", "Float", "String", "Boolean", "ID"}
    assert [name for name, text in found if name not in specified and not text.rstrip().endswith((".", "`"))] == []


def test_names(built):
    """Enum values are upper case, everything else is camel case."""
    for kind in types(built):
        assert kind.name[0].isupper()
        if is_enum_type(kind):
            assert [name for name in kind.values if not name.isupper()] == []
        else:
            fields = getattr(kind, "fields", {})
            arguments = [argument for field in fields.values() for argument in getattr(field, "args", {})]
            assert [name for name in [*fields, *arguments] if "_" in name or not name[0].islower()] == []


@pytest.mark.parametrize("root", ROOTS)
def test_every_root_field_has_a_guard(built, root):
    fields = built.type_map[root].fields
    assert fields
    assert [name for name, field in fields.items() if guard_of(field) is None] == []


def test_every_node_is_stored_and_says_who_sees_it(built):
    nodes = built.get_possible_types(built.type_map["Node"])
    assert {kind.name for kind in nodes} == {
        "AuditEntry",
        "FileGrant",
        "FileRecord",
        "Group",
        "HarvestRun",
        "HarvestSchedule",
        "Hook",
        "Instrument",
        "InstrumentRequest",
        "Lookup",
        "Notification",
        "PersonalToken",
        "Project",
        "ProjectMember",
        "ServiceAccount",
        "StorageLocation",
        "Transfer",
        "User",
    } | ({"RunLogLine"} & {kind.name for kind in nodes})
    for kind in nodes:
        stored = stored_type(kind)
        assert stored is not None, kind.name
        assert callable(stored.visible)


WITHOUT_CHOICES = {"Lookup.items": "what a lookup declares is not in the schema: `text`, `where` and its own `orderBy`"}


def test_every_list_is_filtered_and_sorted(built):
    lists = {
        f"{kind.name}.{name}": field.args
        for kind in types(built)
        if is_object_type(kind)
        for name, field in kind.fields.items()
        if get_named_type(field.type).name.endswith("Connection")
    }
    assert {name for name, arguments in lists.items() if not {"filter", "orderBy"} <= set(arguments)} == set(WITHOUT_CHOICES)


def test_every_mutation_takes_one_input_and_returns_a_payload(built):
    for name, field in built.mutation_type.fields.items():
        assert list(field.args) == ["input"], name
        assert is_input_object_type(field.args["input"].type.of_type), name
        assert is_object_type(field.type), name  # nullable: one that fails leaves the others their answers


def test_edges_to_what_may_be_hidden_are_nullable(built):
    for kind in types(built):
        if stored_type(kind) is None or not is_object_type(kind):
            continue
        for name, field in kind.fields.items():
            if not is_non_null_type(field.type):
                continue
            target = field.type.of_type
            if is_object_type(target):
                assert target.name.endswith("Connection"), f"{kind.name}.{name} cannot be hidden"


def test_no_field_leads_to_a_secret(built):
    """The one exception is audited each time."""
    words = ("password", "hash", "sealed", "secret", "credentialsVersion")
    found = {
        f"{kind.name}.{name}"
        for kind in types(built)
        if is_object_type(kind)
        for name in kind.fields
        if any(word.lower() in name.lower() for word in words)
    }
    changes = {"Mutation.requestPasswordReset", "Mutation.resetPassword"}  # which answer with an id, and with nothing
    assert found - changes == {"RevealedPassword.password", "Mutation.revealServiceAccountPassword"}


def test_only_one_directive_of_ours(built):
    assert [directive.name for directive in built.directives if not is_specified_directive(directive)] in ([], ["constraint"])
