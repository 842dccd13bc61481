"""`metadata_enrichment`: contract §7."""

import time

import pytest

from jobs.hooks.asking import HookError, Result
from jobs.hooks.metadata_enrichment import metadata_enrichment
from tests.jobs.hooks.subjects import subject


def found(path, *rules):
    return metadata_enrichment({"rules": list(rules)})(subject(path)).metadata


def rule(pattern, **others):
    return {"pattern": pattern, **others}


def test_the_contracts_example():
    pattern = r"(?P<date>\d{8})_(?P<sample>\w+)/run_(?P<run>\d{3})(?P<opt>x)?"
    expected = {"date": "20260115", "sample": "sampleA", "run": "001", "opt": None}
    assert found("20260115_sampleA/run_001.csv", rule(pattern)) == expected


@pytest.mark.parametrize("config", [None, {}, {"rules": None}, {"rules": []}], ids=str)
def test_without_rules_nothing_is_known(config):
    assert metadata_enrichment(config)(subject()) == Result()


@pytest.mark.parametrize(("source", "value"), [("path", "f"), ("filename", "r")])
def test_where_it_looks(source, value):
    assert found("folder/run", rule("(?P<first>.)", source=source)) == {"first": value}


def test_the_path_unless_it_says_otherwise():
    assert found("folder/run", rule("(?P<first>.)")) == {"first": "f"}


def test_the_first_hit_anywhere():
    assert found("a1b2", rule(r"(?P<digit>\d)")) == {"digit": "1"}


def test_no_hit_and_no_name_contribute_nothing():
    assert found("abc", rule(r"(?P<digit>\d)"), rule("(b)")) == {}


def test_of_equal_names_the_later_wins():
    assert found("ab", rule("(?P<x>a)(?P<y>b)"), rule("(?P<x>b)")) == {"x": "b", "y": "b"}


def test_letters_of_all_languages_are_letters():
    assert found("Größe_測量/x", rule(r"^(?P<word>\w+)")) == {"word": "Größe_測量"}


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(", "the expression '(' is not valid: missing ) at position 1"),
        ("(?P<a>", "the expression '(?P<a>' is not valid: missing ) at position 6"),
        ("a{100000000}", "the expression 'a{100000000}' repeats a part more than 10000 times"),
        ("a{100000000,}", "the expression 'a{100000000,}' repeats a part more than 10000 times"),
        (
            "(?:(?:(?:a?){100}){100}){100}",
            "the expression '(?:(?:(?:a?){100}){100}){100}' repeats a part more than 10000 times",
        ),
        ("(a{60,90} ) {2,1000}", "the expression '(a{60,90} ) {2,1000}' repeats a part more than 10000 times"),
    ],
)
def test_what_is_no_expression_is_told(pattern, words):
    with pytest.raises(HookError) as refusal:
        metadata_enrichment({"rules": [rule(pattern)]})
    assert str(refusal.value) == words


@pytest.mark.parametrize("pattern", [r"\d{4}-\d{2}-\d{2}_\w{1,200}_(?:[a-z]{3}_){10}", r"a{2,}", "{}", r"\{\d+\}"])
def test_ordinary_counts_are_fine(pattern):
    assert metadata_enrichment({"rules": [rule(pattern)]})(subject()).metadata == {}


def test_depth_without_end_is_told():
    with pytest.raises(HookError, match="is not valid"):
        metadata_enrichment({"rules": [rule("(" * 900 + ")" * 900)]})


def test_a_long_expression_is_told():
    with pytest.raises(HookError, match=r"rules\.0\.pattern: String should have at most 2000 characters"):
        metadata_enrichment({"rules": [rule("a" * 2001)]})


def test_an_expression_without_end_is_ended(monkeypatch):
    monkeypatch.setattr("jobs.hooks.metadata_enrichment.LONGEST", 0.05)
    began = time.monotonic()
    with pytest.raises(HookError, match=r"takes more than 0\.05 s"):
        found("a" * 100 + "!", rule("^(?P<x>(a|aa)+)$"))
    assert time.monotonic() - began < 5
