"""What is refused before anything runs."""

import pytest
import strawberry
from graphql import parse

from core.context import Context
from core.errors import InvalidInput
from engine.admission import Admission
from engine.declare import resolver
from tests.engine.world import book, books, reference


@pytest.mark.parametrize(
    "value", ["\ud800", "fine \udfff", ["x", "\ud800"], {"k": "\ud800"}, {"\ud800": 1}, 2**64, -(2**63) - 1, [[2**70]]]
)
@pytest.mark.parametrize("run", ["plan", "reference"])
async def test_what_json_cannot_hold_is_refused(world, value, run):
    text = "query($x: String!) { echo(text: $x) }"
    operation = world.prepare(text) if run == "plan" else reference(world.graph, text)
    outcome = await operation.execute(world.context(), {"x": value})
    (error,) = outcome.errors
    assert (outcome.data, error.path) == (None, None)
    assert isinstance(error.original_error, InvalidInput)
    assert error.original_error.field == "x"


@pytest.mark.parametrize("run", ["plan", "reference"])
@pytest.mark.parametrize(("variables", "allowed"), [({}, True), ({"d": False}, True), ({"d": None}, False)])
async def test_a_condition_must_not_be_null(world, run, variables, allowed):
    text = "query($d: Boolean = true) { __typename other: __typename @skip(if: $d) }"
    operation = world.prepare(text) if run == "plan" else reference(world.graph, text)
    outcome = await operation.execute(world.context(), variables)
    assert (outcome.errors == []) is allowed
    assert (outcome.data is not None) is allowed


async def test_every_mistake_in_the_variables_is_told(world):
    outcome = await world.run("query($a: UUID!, $b: Int!) { book(localId: $a) { id } copy(localId: $b) { id } }", {"a": 1})
    assert outcome.data is None
    assert len(outcome.errors) == 2
    assert all(error.path is None for error in outcome.errors)


@pytest.mark.parametrize(
    ("text", "variables", "message"),
    [
        ('{ echo(text: "a", times: 4) }', {}, "times: Input should be less than or equal to 3"),
        ('query($t: Int) { echo(text: "a", times: $t) }', {"t": 4}, "times: Input should be less than or equal to 3"),
        ('query($t: Int!) { ...F } fragment F on Query { echo(text: "a", times: $t) }', {"t": 4}, "times: Input should be less than or equal to 3"),
        ("{ books(first: 101) { totalCount } }", {}, "first: Input should be less than or equal to 100"),
        ("{ books(first: -1, offset: -1) { totalCount } }", {}, "first: Input should be greater than or equal to 0; offset: Input should be greater than or equal to 0"),
        ("query($n: Int) { ... on Query { books { nodes { copies(last: $n) { totalCount } } } } }", {"n": 51}, "last: Input should be less than or equal to 50"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("run", ["plan", "reference"])
async def test_a_constraint_is_kept_wherever_the_value_comes_from(world, run, text, variables, message):
    operation = world.prepare(text) if run == "plan" else reference(world.graph, text)
    outcome = await operation.execute(world.context(), variables)
    (error,) = outcome.errors
    assert (outcome.data, error.message) == (None, message)
    assert isinstance(error.original_error, InvalidInput)
    assert world.store.texts == []


async def test_absent_null_and_default_are_no_breach(world):
    text = 'query($t: Int = 2, $n: Int) { echo(text: "a", times: $t) books(first: $n) { totalCount } }'
    await world.add(books, book(1))
    assert await world.data(text) == {"echo": "aa", "books": {"totalCount": 1}}
    assert await world.data(text, {"n": None}) == {"echo": "aa", "books": {"totalCount": 1}}


async def test_null_for_an_argument_that_has_a_default_is_an_error_of_the_field(world):
    text = 'query($t: Int) { echo(text: "a", times: $t) }'
    planned, core = await world.run(text, {"t": None}), await world.reference(text, {"t": None})
    assert planned.data == core.data == {"echo": None}
    assert [error.message for error in planned.errors] == [error.message for error in core.errors]


async def test_only_the_operation_that_runs_is_asked(world):
    text = "{ __typename } ".replace("{", "query A {", 1) + 'query B { echo(text: "a", times: 9) }'
    assert (await world.run(text, name="A")).data == {"__typename": "Query"}
    assert (await world.run(text, name="B")).data is None


@pytest.mark.parametrize("literal", ['"\\ud800"', '"\\u{110000}"'])
def test_a_literal_without_unicode_is_no_document(literal):
    with pytest.raises(Exception, match="Unicode"):
        parse(f"{{ echo(text: {literal}) }}")


async def test_the_same_variables_are_judged_once(world, monkeypatch):
    operation = world.prepare("query($n: Int) { books(first: $n) { pageInfo { size } } }")
    judged = []
    judge = operation._admission._variables
    monkeypatch.setattr(operation._admission, "_variables", lambda given: judged.append(given) or judge(given))
    for _ in range(2):
        assert (await operation.execute(world.context(), {"n": 1})).data == {"books": {"pageInfo": {"size": 1}}}
    assert judged == [{"n": 1}]


@pytest.mark.parametrize("values", [[1, True], [1, "1"], [1, None], [None, float("nan")], [True, 1]])
async def test_values_that_python_takes_for_equal_are_judged_apart(world, values):
    operation = world.prepare("query($n: Int) { books(first: $n) { pageInfo { size } } }")
    alone = [world.prepare("query($n: Int) { books(first: $n) { pageInfo { size } } }") for _ in values]
    together = [(await operation.execute(world.context(), {"n": value})).data for value in values]
    assert together == [
        (await each.execute(world.context(), {"n": value})).data for each, value in zip(alone, values, strict=True)
    ]


async def test_what_was_refused_is_judged_again(world):
    operation = world.prepare("query($n: Int) { books(first: $n) { pageInfo { size } } }")
    first, second = [(await operation.execute(world.context(), {"n": 1000})).errors for _ in range(2)]
    assert first[0].message == second[0].message
    assert first[0] is not second[0]


@strawberry.input
class Place:
    tenant: str
    name: str | None = None


@pytest.mark.parametrize(
    ("text", "given", "asked"),
    [
        ('{ thing(tenant: "t", name: "n") }', {}, [{"tenant": "t", "name": "n"}]),
        ("query ($t: String!, $n: String) { thing(tenant: $t, name: $n) }", {"t": "t"}, [{"tenant": "t"}]),
        ("query ($t: String!, $n: String) { thing(tenant: $t, name: $n) }", {"t": "t", "n": None}, [{"tenant": "t", "name": None}]),
        ("query ($t: String!) { thing(at: { tenant: $t, name: $n }) }", {"t": "t"}, [{"at": {"tenant": "t"}}]),
        ('{ thing(tenant: "a") other: thing(tenant: "b") free }', {}, [{"tenant": "a"}, {"tenant": "b"}]),
        ("{ free }", {}, []),
    ],
)  # fmt: skip
async def test_what_an_operation_is_about(text, given, asked):
    seen = []

    async def about(_, arguments):
        seen.append(arguments)

    @strawberry.type
    class Query:
        @resolver("Something.", about=about)
        def thing(self, tenant: str | None = None, name: str | None = None, at: Place | None = None) -> str:
            return ""

        @resolver("Something else.")
        def free(self) -> str:
            return ""

    document = parse(text)
    admission = Admission(
        strawberry.Schema(Query)._schema, document, document.definitions[0], hide_suggestions=False, most_nodes=100
    )
    await admission.about(Context(sql=None), given)
    assert seen == asked
