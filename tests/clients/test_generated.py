"""Clients that are generated from the schema and one file of operations: they are made, type-checked, and asked for real."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.npm import installed, run

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent


def test_typescript(server, token):
    project = installed(HERE / "typescript")
    shutil.rmtree(project / "source" / "generated", ignore_errors=True)
    for script in ("generate", "check", "build"):
        run(["npm", "run", "--silent", script], project)

    answers = json.loads(run(["node", "built/main.js", f"{server}/graphql", token], project))

    assert_answers(answers, server, token)
    assert answers["refusals"] == [REFUSAL]


def test_python(server, token, request):
    folder = HERE / "python"
    python = environment(Path(request.config.cache.mkdir("ariadne-codegen")), folder / "requirements.txt")
    shutil.rmtree(folder / "switchyard_client", ignore_errors=True)
    run([str(python.with_name("ariadne-codegen")), "client"], folder)

    answers = json.loads(run([str(python), "main.py", f"{server}/graphql", token], folder))

    assert_answers(answers, server, token)
    assert answers["refusals"] == [REFUSAL]


REFUSAL = {
    "code": "INVALID_INPUT",
    "field": "serviceAccountId",
    "problems": [{"path": ["serviceAccountId"], "message": "Service account does not exist", "kind": "value_error"}],
}


def assert_answers(answers: dict[str, Any], server: str, token: str) -> None:
    """The same as the REST routes tell; a repeated trigger is the one run that there is."""
    known = httpx.get(f"{server}/api/instruments", headers={"Authorization": f"Bearer {token}"}).json()["items"]
    listed = answers["instruments"]
    assert listed["totalCount"] == len(known) == 4
    assert listed["pageInfo"]["hasNextPage"] is True
    assert [(each["localId"], each["name"], each["enabled"]) for each in listed["nodes"]] == [
        (each["id"], each["name"], True) for each in known[:2]
    ]
    instrument = answers["instrument"]
    assert instrument["name"] == known[0]["name"]
    assert instrument["files"]["totalCount"] == 10
    for file in instrument["files"]["nodes"]:
        assert file["size"] > 0
        (transfer,) = file["transfers"]["nodes"]
        assert transfer == {"status": "COMPLETED", "checksumVerified": True, "storageLocation": {"name": "Archive"}}
    assert re.fullmatch(r"[0-9a-f-]{36}", answers["triggerSchedule"]["runId"])
    assert answers["again"] == answers["triggerSchedule"]


def environment(folder: Path, requirements: Path) -> Path:
    """The interpreter of an environment with those packages: the generator wants an older graphql-core than the server."""
    python = folder / "bin" / "python"
    done = folder / "requirements.txt"
    if not done.exists() or done.read_text() != requirements.read_text():
        made = subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=False, capture_output=True, text=True)
        command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements]
        if made.returncode == 0:
            made = subprocess.run(command, check=False, capture_output=True, text=True)
        if made.returncode != 0:
            tell = pytest.fail if os.environ.get("CI") else pytest.skip
            tell(f"ariadne-codegen cannot be installed: {made.stderr}")
        shutil.copy(requirements, done)
    return python
