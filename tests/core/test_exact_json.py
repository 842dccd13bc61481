"""Integers of any size survive reading and writing."""

from __future__ import annotations

import pytest

from core.exact_json import read_json, write_json


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**40])
def test_integers_are_exact(number):
    assert read_json(str(number).encode()) == number
    assert write_json({"n": number}) == f'{{"n":{number}}}'.encode()


def test_text_is_not_escaped():
    assert write_json({"ö": 2**70}) == f'{{"ö":{2**70}}}'.encode()


@pytest.mark.parametrize("text", [b"NaN", b"{", b'"\\ud800"', b""])
def test_what_is_no_json(text):
    with pytest.raises(ValueError):  # noqa: PT011  # two libraries, many words
        read_json(text)
