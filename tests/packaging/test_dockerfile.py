"""The Dockerfile by hadolint's rules and ours. No engine is needed, and none has built the image here."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.packaging.support import DOCKERFILE, DOCKERIGNORE, ROOT, stages

BROWSER, PROGRAM, IMAGE = stages()


def hadolint(file: Path) -> str:
    """What is wrong with it."""
    command = [Path(sys.executable).parent / "hadolint", "--no-color", "--format", "tty", file]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_hadolint_finds_nothing():
    assert hadolint(DOCKERFILE) == ""


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("FROM python", "DL3006"),
        ("FROM python:latest", "DL3007"),
        ("FROM python:3.12-slim\nRUN pip install .", "DL3042"),
        ("FROM python:3.12-slim\nADD app/ app/", "DL3020"),
        ("FROM python:3.12-slim\nUSER root", "DL3002"),
        ("FROM python:3.12-slim\nCMD switchyard serve", "DL3025"),
    ],
)
def test_hadolint_finds_what_we_rely_on_it_for(tmp_path, line, rule):
    (tmp_path / "Dockerfile").write_text(f"{line}\n")
    assert rule in hadolint(tmp_path / "Dockerfile")


def test_bases_are_pinned_to_a_minor_version_and_a_release_of_debian():
    assert [(stage.base, stage.name) for stage in (BROWSER, PROGRAM, IMAGE)] == [
        ("node:22.23-bookworm-slim", "browser"),
        (IMAGE.base, "program"),
        (IMAGE.base, None),
    ]
    assert re.fullmatch(r"python:3\.\d+-slim-bookworm", IMAGE.base)


def test_everything_that_is_copied_is_there():
    assert [source for stage in stages() for source in stage.copied if not (ROOT / source).exists()] == []
    assert [argument for argument in PROGRAM.all("COPY") if argument.startswith("--from")] == [
        "--from=browser /build/dist/ app/browser/dist/"
    ]
    assert IMAGE.all("COPY") == ["--from=program /venv /venv"], "nothing but the installed program"


def test_the_context_is_what_is_copied():
    """So no `.env`, no data and no history is sent to the engine, and nothing that is needed is held back."""
    everything, *lines = [line for line in DOCKERIGNORE.read_text().splitlines() if not line.startswith("#")]
    sent = [line.removeprefix("!") for line in lines if line.startswith("!")]
    held_back = [line for line in lines if not line.startswith("!")]
    assert everything == "*"
    assert set(sent) == {source.split("/")[0] for stage in stages() for source in stage.copied}
    assert held_back == ["**/__pycache__", "app/browser/dist", "app/browser/node_modules"]


def test_every_package_is_copied():
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    copied = [source for source in PROGRAM.copied if (ROOT / source).is_dir()]
    assert copied == sorted(name.rstrip("*") for name in packages)


def test_it_runs_as_nobody_in_particular():
    assert IMAGE.last("USER") == "10001:10001"
    (made,) = IMAGE.all("RUN")
    assert made == "install --directory --owner=10001 --group=10001 --mode=0700 /data /backups"
    assert IMAGE.last("VOLUME") == '["/data", "/backups"]'
    assert IMAGE.environment["SWITCHYARD_DATA_DIR"] == "/data"


def test_signals_reach_the_server():
    assert (IMAGE.command("ENTRYPOINT"), IMAGE.command("CMD")) == (["switchyard"], ["serve", "--host", "0.0.0.0"])
    assert IMAGE.last("STOPSIGNAL") == "SIGTERM"
    assert IMAGE.command("HEALTHCHECK")[0] == "python"


def test_no_secret_is_built_in():
    assert [word for stage in stages() for word, _ in stage.instructions if word in {"ARG", "ADD"}] == []
    assert set(IMAGE.environment) == {
        "PATH",
        "PYTHONUNBUFFERED",
        "PYTHONDONTWRITEBYTECODE",
        "SWITCHYARD_DATA_DIR",
        "SWITCHYARD_PROFILE",
    }
