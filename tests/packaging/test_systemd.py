"""The unit in docs/operations.md, by systemd's own judgement."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.support import ROOT, blocks

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")


@pytest.fixture
def unit(tmp_path) -> Path:
    """With a program that is there."""
    (text,) = [block.text for block in blocks(ROOT / "docs/operations.md") if block.file == "switchyard.service"]
    file = tmp_path / "switchyard.service"
    file.write_text(text.replace("/opt/switchyard/.venv/bin/switchyard", "/bin/true"))
    return file


def test_it_is_understood(unit):
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if "switchyard.service" in line] == []


def test_a_mistake_would_be_found(unit):
    unit.write_text(unit.read_text().replace("ProtectClock=yes", "ProtectClock=perhaps"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False)
    assert "Failed to parse boolean value, ignoring: perhaps" in done.stderr


def test_it_exposes_little(unit):
    """2.0 of 10, where 10 is a service without any restriction."""
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", unit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-500:]
