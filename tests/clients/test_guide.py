"""What the guide shows of the example clients stands in their files."""

from __future__ import annotations

import pytest

from tests.docs.support import ROOT, blocks

SHOWN = [block for block in blocks(ROOT / "docs" / "clients.md") if block.file]


@pytest.mark.parametrize("block", SHOWN, ids=lambda block: block.file)
def test_the_guide_shows_what_the_file_says(block):
    assert block.text in (ROOT / block.file).read_text()


def test_every_client_is_shown():
    assert {block.language for block in SHOWN} == {"graphql", "toml", "python", "ts"}
