"""What a client sent is not said back to it where that may be a secret."""

from __future__ import annotations

import pytest

REGISTER = "mutation ($i: RegisterInput!) { register(input: $i) { user { email } } }"
CASES = {
    "beside what is missing": (
        REGISTER,
        {"i": {"password": "hunter2"}},
        "Variable '$i' has invalid value: Expected value of type 'RegisterInput' to include required field 'email'.",
    ),
    "of another type": (
        REGISTER,
        {"i": {"email": "a@example.org", "password": ["hunter2"]}},
        "Variable '$i' has invalid value at .password: String cannot represent a non string value",
    ),
    "in the document": (
        'mutation { register(input: {password: "hunter2"}) { user { email } } }',
        {},
        "Expected value of type 'RegisterInput' to include required field 'email'.",
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_secrets_are_not_sent_back(world, case):
    query, variables, message = CASES[case]
    answer = await world.anonymous.ask(query, variables)
    assert [error["message"] for error in answer["errors"]] == [message]


async def test_what_is_no_secret_is(world):
    answer = await world.anonymous.ask(REGISTER, {"i": {"email": ["a"]}})
    assert "String cannot represent a non string value: ['a']" in answer["errors"][0]["message"]
