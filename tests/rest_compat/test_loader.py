"""Every mistake in a document is reported with its place, and all of them together."""

import pytest
from graphql import build_schema, print_ast

from rest_compat.dialects.instruments import Instruments
from rest_compat.loader import load
from rest_compat.mistakes import DocumentErrors
from rest_compat.routes import routed
from tests.rest_compat.support import OPERATIONS, FakeGraph

GET = "instrument(localId: $id) @unwrap { name }"
BY_ID = '@rest(method: GET, path: "/x/{id}", dialect: INSTRUMENTS)'
LIST = '@rest(method: GET, path: "/x", dialect: INSTRUMENTS)'
POST = '@rest(method: POST, path: "/x", dialect: INSTRUMENTS)'
NAMES = "instruments @unwrap { nodes @unwrap { name } }"


def mistakes(tmp_path, **documents):
    folder = tmp_path / "instruments"
    folder.mkdir()
    for name, text in documents.items():
        (folder / f"{name}.graphql").write_text(text)
    with pytest.raises(DocumentErrors) as caught:
        routed(load(tmp_path, FakeGraph(), [Instruments()]))
    return [str(mistake).removeprefix(f"{folder}/") for mistake in caught.value.mistakes]


SINGLE = {
    "syntax": ("query a {", "a.graphql:1:10: Syntax Error: Expected Name, found <EOF>."),
    "unknown field": (
        f"query a {LIST} {{ instruments {{ colour }} }}",
        "a.graphql:1:78: Cannot query field 'colour' on type 'InstrumentConnection'.",
    ),
    "unknown directive": (
        f"query a {LIST} {{ instruments @gone {{ totalCount }} }}",
        "a.graphql:1:76: Unknown directive '@gone'.",
    ),
    "a directive that decides": (
        f"query a($x: Boolean!) {LIST} {{ instruments @include(if: $x) {{ totalCount }} }}",
        "a.graphql:1:90: Unknown directive '@include'.",
    ),
    "no @rest": (f"query a {{ {NAMES} }}", "a.graphql:1:1: The operation 'a' has no @rest."),
    "no name": (f"query {LIST} {{ {NAMES} }}", "a.graphql:1:1: An operation needs a name."),
    "unknown fragment": (
        f"query a {LIST} {{ instruments {{ ...Gone }} }}",
        "a.graphql:1:81: Unknown fragment 'Gone'.",
    ),
    "unused fragment": (
        f"query a {LIST} {{ {NAMES} }} fragment F on Instrument {{ name }}",
        "a.graphql:1:113: Fragment 'F' is never used.",
    ),
    "unknown dialect": (
        'query a @rest(method: GET, path: "/x", dialect: KLINGON) { instruments { totalCount } }',
        "a.graphql:1:49: Value 'KLINGON' does not exist in 'RestDialect' enum.",
    ),
    "a path parameter without a variable": (
        f"query a {BY_ID} {{ {NAMES} }}",
        "a.graphql:1:9: Path parameter 'id' has no variable.",
    ),
    "a variable bound to a path without it": (
        f"query a($id: UUID! @bind(from: PATH)) {LIST} {{ {GET} }}",
        "a.graphql:1:9: '$id' is bound to the path, which has no {id}.",
    ),
    "a mutation on GET": (
        f"mutation a($id: UUID!) {BY_ID} {{ deleteInstrument(localId: $id) {{ instrument {{ name }} }} }}",
        "a.graphql:1:24: A mutation on GET has to say `unsafe: true`.",
    ),
    "a body on GET": (
        f"query a($id: UUID! @bind(from: FIELD)) {LIST} {{ {GET} }}",
        "a.graphql:1:9: '$id' comes from the body, which a GET does not have.",
    ),
    "two bodies": (
        (
            f"mutation a($id: UUID!, $c: InstrumentChanges! @bind(from: BODY)) {POST}"
            " { updateInstrument(localId: $id, changes: $c) { instrument { name } } }"
        ),
        "a.graphql:1:24: '$c' (BODY) and '$id' (FIELD) cannot share the body.",
    ),
    "an input object in the query": (
        (
            f"mutation a($id: UUID!, $c: InstrumentChanges! @bind(from: QUERY)) {POST}"
            " { updateInstrument(localId: $id, changes: $c) { instrument { name } } }"
        ),
        "a.graphql:1:24: '$c' is an input object, which only a JSON body can hold.",
    ),
    "an unused variable": (
        f"query a($x: Int) {LIST} {{ {NAMES} }}",
        "a.graphql:1:9: '$x' is never used and has no @constraint to check.",
    ),
    "an impossible constraint": (
        f"query a($x: Int @constraint(min: 2, max: 1)) {LIST} {{ {NAMES} }}",
        "a.graphql:1:9: @constraint of '$x': 2 is above 1.",
    ),
    "a constraint of numbers on text": (
        f"query a($x: String @constraint(min: 2)) {LIST} {{ {NAMES} }}",
        "a.graphql:1:9: @constraint of '$x': min and max are for numbers, not String.",
    ),
    "a constraint of text on numbers": (
        f'query a($x: Int @constraint(oneOf: ["a"])) {LIST} {{ {NAMES} }}',
        "a.graphql:1:9: @constraint of '$x': lengths, pattern and oneOf are for text, not Int.",
    ),
    "a broken pattern": (
        f'query a($x: String @constraint(pattern: "(")) {LIST} {{ {NAMES} }}',
        "a.graphql:1:9: @constraint of '$x': the pattern does not compile: missing ), unterminated subpattern at position 0.",
    ),
    "a constraint on a list": (
        f"query a($x: [Int!] @constraint(min: 1)) {LIST} {{ {NAMES} }}",
        "a.graphql:1:9: @constraint of '$x': it is about one value, not about a list.",
    ),
    "nullable on what never is": (
        f"query a($x: Int! @constraint(nullable: false)) {LIST} {{ {NAMES} }}",
        "a.graphql:1:9: @constraint of '$x': nullable is for nullable types.",
    ),
    "a bad path": (
        'query a @rest(method: GET, path: "/x/", dialect: INSTRUMENTS) { instruments { totalCount } }',
        "a.graphql:1:9: Bad path '/x/': a path has no empty segment and no slash at its end.",
    ),
    "a status that is none": (
        f"query a {LIST[:-1]}, status: 99) {{ {NAMES} }}",
        "a.graphql:1:9: 99 is no status of a reply.",
    ),
    "a body for 204": (
        f"query a {LIST[:-1]}, status: 204) @wire(as: JSON) {{ {NAMES} }}",
        "a.graphql:1:9: A 204 has no body: leave out @wire.",
    ),
    "two @unwrap at one level": (
        f"query a {LIST} {{ instruments @unwrap {{ totalCount @unwrap nodes @unwrap {{ name }} }} }}",
        "a.graphql:1:105: A second @unwrap at one level.",
    ),
    "a key lost beside @unwrap": (
        f"query a {LIST} {{ instruments @unwrap {{ totalCount nodes @unwrap {{ name }} }} }}",
        "a.graphql:1:86: 'total_count' would be lost beside @unwrap: give it a @header or leave it out.",
    ),
    "a spread leaf": (
        f"query a {LIST} {{ instruments {{ totalCount @spread }} }}",
        "a.graphql:1:78: @spread needs an object that is never null.",
    ),
    "a spread over a key": (
        f"query a {LIST} {{ instruments {{ size: totalCount pageInfo @spread {{ size }} }} }}",
        "a.graphql:1:95: The key 'size' is there twice.",
    ),
    "two fields under one key": (
        f"query a {LIST} {{ instruments {{ nodes {{ cifsHost cifs_host: name }} }} }}",
        (
            "a.graphql:1:86: Fields 'cifs_host' conflict because 'cifsHost' and 'name' are different fields."
            " Use different aliases on the fields to fetch both if this was intentional."
        ),
    ),
    "a header that is no leaf": (
        f'query a {LIST} {{ instruments {{ totalCount pageInfo @header(name: "X") {{ size }} }} }}',
        "a.graphql:1:89: @header needs a leaf.",
    ),
    "a header of each row": (
        f'query a {LIST} {{ instruments {{ nodes {{ name @header(name: "X") cifsHost }} }} }}',
        "a.graphql:1:86: @header and @status speak about one value, not about each of a list.",
    ),
    "a header that is unwrapped": (
        f'query a {LIST} {{ instruments @unwrap {{ totalCount @header(name: "X") @unwrap }} }}',
        "a.graphql:1:86: Of @unwrap, @spread, @header and @omit a field has one.",
    ),
    "omitting what is always there": (
        f"query a {LIST} {{ instruments {{ totalCount @omit }} }}",
        "a.graphql:1:78: 'total_count' is never null, so @omit never applies.",
    ),
    "a status of another type": (
        f'query a($id: UUID!) {BY_ID} {{ instrumentTest(localId: $id) @status(when: "Gone", code: 502) {{ __typename }} }}',
        "a.graphql:1:81: @status: 'instrument_test' is never of type 'Gone'.",
    ),
    "a subscription that is no array": (
        f"subscription a {LIST} {{ fileRows {{ sourcePath }} }}",
        "a.graphql:1:71: A subscription is a JSON array of the rows of its root field: a list with @unwrap.",
    ),
    "a subscription on POST": (
        f"subscription a {POST} {{ fileRows @unwrap {{ sourcePath }} }}",
        "a.graphql:1:16: A subscription is served by GET as a JSON array.",
    ),
    "only conditional alternates": (
        f'query a {LIST[:-1]}, when: ["x"]) {{ {NAMES} }}',
        "a.graphql:1:9: No alternate of this route goes without `when`.",
    ),
}


@pytest.mark.parametrize("kind", SINGLE)
def test_a_mistake(tmp_path, kind):
    document, message = SINGLE[kind]
    assert mistakes(tmp_path, a=document) == [message]


def test_a_nullable_path_parameter(tmp_path):
    document = f'query a($id: UUID = "{"0" * 8}-0000-4000-8000-{"0" * 12}") {BY_ID} {{ {GET} }}'
    assert mistakes(tmp_path, a=document) == [
        "a.graphql:1:9: '$id' comes from the path and is never null: write its type with !."
    ]


def test_one_name_for_two_variables(tmp_path):
    document = f'query a($a: Int!, $b: Int! @bind(name: "a")) {LIST} {{ instruments(offset: $a, first: $b) {{ totalCount }} }}'
    assert mistakes(tmp_path, a=document) == [
        "a.graphql:1:9: Several variables are 'a' of QUERY.",
        "a.graphql:1:19: Several variables are 'a' of QUERY.",
    ]


def test_a_condition_without_a_parameter(tmp_path):
    documents = {"a": f"query a {LIST} {{ {NAMES} }}", "b": f'query b {LIST[:-1]}, when: ["=1"]) {{ {NAMES} }}'}
    assert mistakes(tmp_path, **documents) == [
        'b.graphql:1:9: `when` names parameters, as in "skip" or "shape=array": not \'\'.'
    ]


def test_two_operations_of_one_name(tmp_path):
    document = f"query a {LIST} {{ {NAMES} }}"
    assert mistakes(tmp_path, a=document, b=document) == ["a.graphql:1:7: There can be only one operation named 'a'."]


def test_another_dialects_endpoint_in_a_folder(tmp_path):
    class Other(Instruments):
        name = "other"

    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.graphql").write_text(f"query a {LIST} {{ {NAMES} }}")
    with pytest.raises(DocumentErrors, match="This folder is OTHER, not INSTRUMENTS"):
        load(tmp_path, FakeGraph(), [Instruments(), Other()])


def test_one_name_in_two_folders(tmp_path):
    class Other(Instruments):
        name = "other"

    for dialect in ("instruments", "other"):
        (tmp_path / dialect).mkdir()
        rest = LIST.replace("INSTRUMENTS", dialect.upper())
        (tmp_path / dialect / "a.graphql").write_text(f"query a {rest} {{ {NAMES} }}")
    with pytest.raises(DocumentErrors, match=r"There is another operation 'a' at .*instruments/a.graphql:1:1"):
        load(tmp_path, FakeGraph(), [Instruments(), Other()])


def test_a_folder_without_a_dialect(tmp_path):
    (tmp_path / "klingon").mkdir()
    (tmp_path / "klingon" / "a.graphql").write_text("query a { instruments { totalCount } }")
    with pytest.raises(DocumentErrors, match="There is no dialect 'klingon' for this folder"):
        load(tmp_path, FakeGraph(), [Instruments()])


def test_two_operations_for_one_route(tmp_path):
    a, b = (f"query {name} {LIST} {{ {NAMES} }}" for name in "ab")
    (only,) = mistakes(tmp_path, a=a, b=b)
    assert only.startswith("b.graphql:1:9: 'a' at ")
    assert only.endswith("a.graphql:1:1 already serves this route.")


def test_alternates_that_one_request_may_satisfy(tmp_path):
    whens = {"a": "", "b": ', when: ["skip", "limit"]', "c": ', when: ["limit=1"]'}
    documents = {name: f"query {name} {LIST[:-1]}{when}) {{ {NAMES} }}" for name, when in whens.items()}
    assert mistakes(tmp_path, **documents) == ["c.graphql:1:9: One request may satisfy both this `when` and that of 'b'."]


def test_one_path_under_two_names(tmp_path):
    a = f"query a($id: UUID!) {BY_ID} {{ {GET} }}"
    b = a.replace("query a", "query b").replace("{id}", "{other}").replace("$id", "$other")
    (only,) = mistakes(tmp_path, a=a, b=b)
    assert only.startswith("b.graphql:1:24: The same path as /x/{id} at ")


def test_all_mistakes_are_reported_together(tmp_path):
    reported = mistakes(
        tmp_path,
        a="query a {",
        b=f"query b {LIST} {{ instruments {{ colour }} }}",
        c=f"query c {{ {NAMES} }}",
        d=f"query d($x: Int) {BY_ID} {{ {NAMES} }}",
    )
    assert [each.split(":")[0] for each in reported] == ["a.graphql", "b.graphql", "c.graphql", "d.graphql", "d.graphql"]


def test_an_operation_whose_fragment_is_broken_is_not_blamed(tmp_path):
    reported = mistakes(
        tmp_path, a=f"query a {LIST} {{ instruments {{ nodes {{ ...F }} }} }}", b="fragment F on Instrument { colour }"
    )
    assert [each.split(":")[0] for each in reported] == ["b.graphql"]


def test_an_input_that_contains_itself(tmp_path):
    (tmp_path / "instruments").mkdir()
    (tmp_path / "instruments" / "a.graphql").write_text(f"query a($f: Filter @bind(from: BODY)) {POST} {{ x(filter: $f) }}")
    public = build_schema("type Query { x(filter: Filter): Int } input Filter { and: [Filter!] }")
    with pytest.raises(DocumentErrors, match="The input type 'Filter' contains itself"):
        load(tmp_path, FakeGraph(public), [Instruments()])


def test_the_sound_documents_load():
    endpoints = load(OPERATIONS, FakeGraph(), [Instruments()])
    assert [endpoint.declared.name for endpoint in endpoints][:3] == ["login", "forgot_password", "members_add"]


def test_the_executed_document_is_plain_graphql():
    endpoints = {endpoint.declared.name: endpoint for endpoint in load(OPERATIONS, FakeGraph(), [Instruments()])}
    assert print_ast(endpoints["login"].operation.definition) == (
        "mutation login($username: String!, $password: String!) {\n"
        "  login: login(username: $username, password: $password) {\n"
        "    access_token: accessToken\n    token_type: tokenType\n  }\n}"
    )
    assert "__typename" in print_ast(endpoints["instruments_test"].operation.definition)
