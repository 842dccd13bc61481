"""`file_filter`: contract §7."""

import pytest

from jobs.hooks.asking import PROCEED, Action, HookError, Result
from jobs.hooks.file_filter import file_filter
from tests.jobs.hooks.subjects import subject


def asked(config, path="folder/a.raw", size=14):
    return file_filter(config)(subject(path, size))


def skip(reason):
    return Result(Action.SKIP, reason)


EVERYTHING = {
    "min_size_bytes": 1,
    "redirect_rules": [{"pattern": "*.big", "destination": "/big"}, {"pattern": "*", "destination": "/rest"}],
    "exclude_patterns": ["*"],
    "include_patterns": ["*.raw"],
}


@pytest.mark.parametrize("config", [None, {}, {"no such key": 7}, dict.fromkeys(EVERYTHING)], ids=str)
def test_without_rules_every_file_goes_on(config):
    assert asked(config) == PROCEED


@pytest.mark.parametrize(
    ("size", "least", "result"),
    [(0, 1, skip("File too small (0 B < min 1 B)")), (1, 1, PROCEED), (9, 10, skip("File too small (9 B < min 10 B)"))],
)
def test_small_files(size, least, result):
    assert asked({"min_size_bytes": least}, size=size) == result


def test_the_order_of_the_checks():
    config = dict(EVERYTHING)
    assert asked(config, size=0) == skip("File too small (0 B < min 1 B)")
    assert asked(config, "a.big") == Result(Action.REDIRECT, redirect_path="/big")
    assert asked(config, "a.raw") == Result(Action.REDIRECT, redirect_path="/rest")
    del config["redirect_rules"]
    assert asked(config, "a.raw") == skip("Excluded by pattern '*'")
    del config["exclude_patterns"]
    assert asked(config, "a.raw") == PROCEED
    assert asked(config, "a.tmp") == skip("Not matched by any include pattern")


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.tmp", "a.tmp", True),
        ("*.tmp", "deep/er/a.tmp", True),
        ("*.TMP", "a.tmp", False),
        ("a.tmp", "folder/a.tmp", True),  # the name
        ("folder/*", "folder/deep/a", True),  # the path; the asterisk crosses folders
        ("folder/?", "folder/ab", False),
        ("f*/a", "folder/deep/a", True),
        ("older/a", "folder/a", False),  # all of it
        ("[ab].raw", "x/b.raw", True),
        ("[!ab].raw", "x/b.raw", False),
        ("[", "[", True),
        ("run (1).raw", "run (1).raw", True),
        ("a.raw", "a_raw", False),
        ("*ß*", "Größe/x", True),
        ("", "a", False),
    ],
)
def test_patterns(pattern, path, matches):
    result = asked({"exclude_patterns": ["no", pattern]}, path)
    assert result == (skip(f"Excluded by pattern '{pattern}'") if matches else PROCEED)


def test_many_asterisks_take_no_time():
    assert asked({"exclude_patterns": ["*a" * 500 + "b"]}, "a" * 2000) == PROCEED


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"min_size_bytes": "1"}, "min_size_bytes: Input should be a valid integer"),
        ({"min_size_bytes": True}, "min_size_bytes: Input should be a valid integer"),
        ({"exclude_patterns": "*.tmp"}, "exclude_patterns: Input should be a valid array"),
        ({"include_patterns": [1]}, "include_patterns.0: Input should be a valid string"),
        ({"redirect_rules": [{"pattern": "*"}]}, "redirect_rules.0.destination: Field required"),
        ({"redirect_rules": {"pattern": "*"}}, "redirect_rules: Input should be a valid array"),
    ],
)
def test_a_wrong_type_is_told(config, words):
    with pytest.raises(HookError) as refusal:
        file_filter(config)
    assert str(refusal.value) == f"its config cannot be used: {words}"
