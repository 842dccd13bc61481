"""The real servers that some tests need: where they are, and what it means when one is down.

`scripts/services up` starts them. A test of one that is down is skipped, and fails where everything has to be tested.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from functools import cache
from pathlib import Path

import pytest

SERVERS = Path(__file__).parents[1] / "scripts" / "servers"


def environment(name: str) -> dict[str, str]:
    """What a test has to know of the server: the variables that its script prints. Skips or fails when it does not answer."""
    found = _found(name)
    if found is None:
        tell = pytest.fail if os.environ.get("CI") else pytest.skip
        tell(f"{name} does not answer: scripts/services up {name}")
    return found


def address(name: str) -> str:
    """The first of these variables: the server's URL."""
    return next(iter(environment(name).values()))


@cache
def _found(name: str) -> dict[str, str] | None:
    script = SERVERS / name
    if subprocess.run([script, "status"], capture_output=True, check=False).returncode != 0:
        return None
    printed = subprocess.run([script, "env"], capture_output=True, check=True, text=True).stdout
    return dict(word.split("=", 1) for line in printed.splitlines() for word in shlex.split(line) if "=" in word)
