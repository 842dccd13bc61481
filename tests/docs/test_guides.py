"""Every session and query in the guides runs against a server and answers what the guide says."""

import shlex
import shutil

import pytest

from tests.docs.support import DOCUMENTS, ROOT, alike, blocks, demo_server, empty_server, follow, steps

FROM_NOTHING = ROOT / "docs" / "instruments.md"
# The walk has its own test; the README, too.
GUIDES = [
    path for path in DOCUMENTS if steps(path) and path.name not in {"README.md", "adding-a-resource.md", FROM_NOTHING.name}
]

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@pytest.mark.slow
@needs_curl
@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_guide_tells_what_happens(guide, tmp_path):
    with demo_server(tmp_path) as address:
        follow(guide, tmp_path, address)


@pytest.mark.slow
@needs_curl
def test_from_an_empty_server_to_the_first_file_and_on(tmp_path):
    """Started with the settings of the guide's first command, and nothing else."""
    first = next(block for block in blocks(FROM_NOTHING) if block.language == "sh")
    *settings, make, serve = shlex.split(first.text)
    assert (make, serve) == ("make", "serve")
    with empty_server(tmp_path, dict(word.split("=", 1) for word in settings)) as address:
        follow(FROM_NOTHING, tmp_path, address)


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
