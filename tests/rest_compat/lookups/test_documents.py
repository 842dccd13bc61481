"""Mistakes in what this dialect has beyond the others, and its OpenAPI document."""

import pytest
from openapi_spec_validator import validate

from rest_compat.dialects.instruments import Instruments
from rest_compat.dialects.lookups import Lookups
from rest_compat.loader import load
from rest_compat.mistakes import DocumentErrors
from tests.rest_compat.lookups.support import LookupsGraph, World, shim

PATH = '(method: GET, path: "/{tenant}/lookup/{lookup_id}", dialect: '
LIST = "lookup(tenant: $tenant, lookupId: $lookup_id) @unwrap { items(offset: $x) @unwrap { totalCount } }"
SORTED = LIST.replace("offset", "orderBy")
SENT = "upload(input: { tenant: $tenant, lookupId: $lookup_id, file: $x }) @unwrap { count }"


def query(variable, selection, kind="query", more="", dialect="LOOKUPS"):
    method = PATH.replace("GET", "POST") if kind == "mutation" else PATH
    return f"{kind} a($tenant: String!, $lookup_id: String!{variable}) @rest{method}{dialect}) {more} {{ {selection} }}"


def mistakes(tmp_path, text, dialect):
    folder = tmp_path / dialect.name
    folder.mkdir()
    (folder / "a.graphql").write_text(text)
    with pytest.raises(DocumentErrors) as caught:
        load(tmp_path, LookupsGraph(), [dialect])
    return [mistake.message for mistake in caught.value.mistakes]


CSV = "csv(tenant: $tenant, lookupId: $lookup_id)"
ONE = "lookup(tenant: $tenant, lookupId: $lookup_id) @unwrap { item(itemId: $lookup_id) @unwrap { %s } }"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (query(", $x: Int! @bind(from: PAGE)", LIST), "'$x' of a PAGE is an Int, and named 'offset' or 'size'."),
        (
            query(', $x: String @bind(from: PREFIX, name: "s")', LIST.replace("offset", "text")),
            "'$x' of a PREFIX is a list of terms with 'field' and 'direction'.",
        ),
        (
            query(', $x: Term! @bind(from: PREFIX, name: "s")', SORTED.replace("$x", "[$x]")),
            "'$x' of a PREFIX is a list of terms with 'field' and 'direction'.",
        ),
        (query(", $x: Int! @bind(from: FILE)", LIST, "mutation").replace("mutation a", "query a"), "'$x' is a file: its type is Upload."),
        (
            query(", $x: Upload! @bind(from: FILE), $y: JSON @bind(from: FIELD) @constraint(nullable: true)", SENT, "mutation"),
            "'$y' (FIELD) and '$x' (FILE) cannot share the body.",
        ),
        (query(", $x: Upload! @bind(from: FILE)", SENT, "mutation").replace("POST", "GET").replace("LOOKUPS)", "LOOKUPS, unsafe: true)"), "'$x' comes from the body, which a GET does not have."),
        (query("", CSV, "subscription", "@wire(as: CSV)"), "CSV is the text of its root field: a String with @unwrap."),
        (query("", LIST.replace("(offset: $x)", ""), more="@wire(as: CSV)"), "CSV is what a subscription yields, and served by GET."),
        (
            query("", CSV + " @unwrap", "subscription", '@wire(as: CSV, filename: "{name}.csv")'),
            "The file name needs 'name', which the path does not have.",
        ),
        (query("", LIST.replace("(offset: $x)", ""), more='@wire(as: JSON, filename: "a")'), "Only CSV has a file name."),
        (query("", ONE % "localId @omit(when: ZERO)"), "'localId' is no number, so it is never 0."),
        (query("", ONE % "expires @spread"), "@spread needs an object that is never null."),
    ],
)  # fmt: skip
def test_a_mistake(tmp_path, text, message):
    assert mistakes(tmp_path, text, Lookups()) == [message]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            query(', $x: Int! @bind(from: PAGE, name: "offset")', LIST, dialect="INSTRUMENTS"),
            "The dialect 'instruments' has no pages by number.",
        ),
        (
            query("", LIST.replace("(offset: $x)", ""), more="@wire(as: ACKNOWLEDGED)", dialect="INSTRUMENTS"),
            "An acknowledgement of the dialect 'instruments' has no members.",
        ),
    ],
)
def test_what_a_dialect_does_not_have(tmp_path, text, message):
    assert mistakes(tmp_path, text, Instruments()) == [message]


def test_the_openapi_document():
    document = shim(World()).openapi("Lookups", "1")
    validate(document)
    paths = {path.removeprefix("/{tenant}/lookup/{lookup_id}"): each for path, each in document["paths"].items()}
    listing = {each["name"]: each["schema"] for each in paths[""]["get"]["parameters"] if each["in"] == "query"}
    assert listing["p"] == {"type": "integer", "minimum": 1, "default": 1}
    assert listing["i"] == {"type": "integer", "minimum": 1, "default": 10_000}
    assert listing["s"] == {
        "type": "object",
        "patternProperties": {"^s.+": {"type": "string"}},
        "additionalProperties": False,
    }
    assert listing["geopoint"] == {"type": "string", "enum": ["packed", "dms"], "default": "packed"}
    assert list(paths["/export"]["get"]["responses"]["200"]["content"]) == ["text/csv"]
    file = paths["/upload"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert file == {
        "type": "object",
        "properties": {"file": {"type": "string", "format": "binary"}},
        "required": ["file"],
    }
    uploaded = paths["/upload"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert uploaded["allOf"][0] == {"type": "object", "properties": {"result": {"const": "OK"}}, "required": ["result"]}
    assert sorted(paths["/upload"]["post"]["responses"]) == ["200", "400", "401", "403", "404", "409", "413", "429", "5XX"]
