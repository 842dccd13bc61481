"""The README keeps its word: its query and its calls run against a demo server and answer what it says."""

import re
import shutil

import pytest

from tests.docs.support import ROOT, Shell, alike, demo_server, follow

README = ROOT / "README.md"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")]

_ROW = re.compile(r"^\| `(?P<call>curl [^`]+)` \| `(?P<answer>[^`]+)` \|$", re.MULTILINE)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("readme")
    with demo_server(folder) as address:
        yield folder, address


def test_the_sessions_and_the_query_answer_what_the_readme_says(demo):
    assert follow(README, *demo) > 2


def test_documented_calls_answer_as_before(demo):
    rows = list(_ROW.finditer(README.read_text()))
    assert len(rows) > 4
    shell = Shell(*demo)
    try:
        for setting in re.findall(r"^\$ ([A-Z]+=.*)$", README.read_text(), re.MULTILINE):
            shell.run(setting)
        for row in rows:
            answer = shell.run(row["call"])
            assert alike(row["answer"], answer), f"{row['call']} answers {answer}"
    finally:
        shell.close()
