"""Every session and query in the guides runs against a demo server and answers what the guide says."""

import shutil

import pytest

from tests.docs.support import DOCUMENTS, ROOT, alike, demo_server, follow, steps

# The walk has its own test; the README, too.
GUIDES = [path for path in DOCUMENTS if steps(path) and path.name not in {"README.md", "adding-a-resource.md"}]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_guide_tells_what_happens(guide, tmp_path):
    with demo_server(tmp_path) as address:
        follow(guide, tmp_path, address)


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        ('{"a": 1}', '{"a":1}\n', True),
        ('{"a": 1}', '{"a":2}', False),
        ('{"id":"…","b":2}', '{"id":"x","b":2}', True),
        ('{"id":"…","b":2}', '{"id":"x","b":3}', False),
        ("61b08ff4-4e91-44b0-9276-07254109da6d", "7d4bb140-a51f-4ca1-95a0-769b417c9b05", True),
        ("61b08ff4-4e91-44b0-9276-07254109da6d", "null", False),
        ("2026-11-21T00:28:06Z", "2027-01-01T00:00:00.123456Z", True),
        ("", "a word", False),
    ],
)
def test_answers_are_compared_but_for_what_differs_from_call_to_call(expected, actual, same):
    assert alike(expected, actual) is same
