"""npm projects of tests: installed where they are, once, whoever comes first."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest


def installed(project: Path) -> Path:
    """The project with its packages. Skips without npm, and fails where everything has to be tested."""
    npm = shutil.which("npm")
    if npm is None:
        tell = pytest.fail if os.environ.get("CI") else pytest.skip
        tell("npm is not installed")
    wanted, marker = project / "package.json", project / "node_modules" / "installed"
    with (project / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not marker.exists() or marker.stat().st_mtime < wanted.stat().st_mtime:
            run([npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"], project)
            marker.touch()
    return project


def run(command: list[str], folder: Path, patience: float = 300) -> str:
    """What it prints; the test fails with it if the command does."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=patience, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout
