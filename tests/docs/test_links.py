"""Links between documents lead somewhere, to the heading as well."""

import re

import pytest

from tests.docs.support import DOCUMENTS, ROOT

_LINK = re.compile(r"\[[^\]\n]+\]\((?!https?:|mailto:)(?P<path>[^)#\s]*)(?:#(?P<heading>[^)\s]+))?\)")
_FENCED = re.compile(r"^(`{3,}).*?^\1$", re.MULTILINE | re.DOTALL)


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", _FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document):
    broken = []
    for link in _LINK.finditer(_FENCED.sub("", document.read_text())):
        target = (document.parent / link["path"]).resolve() if link["path"] else document
        if not target.exists() or (link["heading"] and link["heading"] not in _anchors(target.read_text())):
            broken.append(link[0])
    assert broken == []


def test_every_document_is_in_the_index():
    index = (ROOT / "docs/index.md").read_text()
    documents = [path.relative_to(ROOT / "docs") for path in DOCUMENTS if path.is_relative_to(ROOT / "docs")]
    assert [str(path) for path in documents if str(path) != "index.md" and f"({path})" not in index] == []


def test_decisions_are_numbered_once_and_say_what_they_have_to():
    decisions = sorted((ROOT / "docs/decisions").glob("*.md"))
    numbers = [path.name[:4] for path in decisions]
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]
    for path in decisions:
        headings = re.findall(r"^## (.+)$", path.read_text(), re.MULTILINE)
        assert headings[:3] == ["Context", "Decision", "Consequences"], path.name
        assert path.read_text().startswith(f"# {int(path.name[:4])}. "), path.name
