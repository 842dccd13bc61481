"""The GraphQL over HTTP audit of the npm package graphql-http, against a running server, and its table in the guide."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.clients.npm import installed, run
from tests.docs.support import ROOT

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parent / "audit"


@pytest.fixture(scope="module")
def results(server: str) -> list[dict[str, Any]]:
    return list(json.loads(run(["node", "audit.mjs", f"{server}/graphql"], installed(PROJECT))))


def test_every_check_passes(results):
    assert len(results) == 61
    assert [check for check in results if check["status"] != "ok"] == []


def test_the_guide_has_the_table(results):
    shown = re.findall(r"^\| `(\w+)` \| (.+?) \| (\w+) \|$", (ROOT / "docs/protocol.md").read_text(), re.MULTILINE)
    assert shown == [(check["id"], check["name"], check["status"]) for check in results]
