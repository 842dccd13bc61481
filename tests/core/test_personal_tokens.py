"""What a personal token's text looks like, and which texts are none."""

from __future__ import annotations

import hashlib
import re
from uuid import UUID, uuid4

import pytest

from core.personal_tokens import digest_of, new_token, read_token
from core.secrets import Secret

KEY = UUID("7d4bb140-a51f-4ca1-95a0-769b417c9b05")


def test_a_token_names_itself_and_is_stored_as_its_hash():
    token = new_token(KEY)

    text = token.reveal()
    assert re.fullmatch("swy_[a-z2-7]{64}", text)
    assert read_token(text) == (KEY, hashlib.sha256(text.encode()).hexdigest())
    assert digest_of(token) == hashlib.sha256(text.encode()).hexdigest()
    assert repr(token) == "***"


def test_no_two_are_alike():
    assert len({new_token(KEY).reveal() for _ in range(100)}) == 100


def test_every_mistyped_character_is_noticed():
    text = new_token(uuid4()).reveal()
    for place in range(4, len(text)):
        other = "b" if text[place] == "a" else "a"
        assert read_token(text[:place] + other + text[place + 1 :]) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: text[4:],
        lambda text: text[:-1],
        lambda text: text + "a",
        lambda text: text + "\n",
        lambda text: " " + text,
        lambda text: text.upper(),
        lambda text: text.replace("swy_", "ghp_"),
        lambda text: text[:10] + "\0" + text[11:],
        lambda text: text[:10] + "ä" + text[11:],
        lambda text: "swy_" + "1" * 64,
        lambda text: "swy_" + "a" * 64 + "a" * 10**6,
    ],
)
def test_what_is_no_token(change):
    assert read_token(change(new_token(KEY).reveal())) is None


def test_the_hash_of_a_text():
    assert digest_of(Secret("swy_x")) == hashlib.sha256(b"swy_x").hexdigest()
