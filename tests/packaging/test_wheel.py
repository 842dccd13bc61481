"""The Dockerfile's steps without an engine: its sources become a wheel, which runs from an empty folder, away from the checkout."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from app.settings import documented
from scripts.generate import ROOT
from tests.packaging.support import copy_sources, stages

pytestmark = pytest.mark.slow

IMAGE = stages()[-1]
LOGIN = {"username": "ada@example.org", "password": "correct horse"}


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run([str(each) for each in command], cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def binaries(tmp_path_factory) -> Path:
    """Those of an environment with the wheel in it. The libraries it needs are lent from the one that runs the tests."""
    folder = tmp_path_factory.mktemp("wheel")
    (folder / "source").mkdir()
    copy_sources(folder / "source")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ".", cwd=folder / "source")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    (wheel,) = folder.glob("*.whl")
    run(*pip, "--python", folder / "venv/bin/python", "install", "--no-deps", wheel, cwd=folder)
    (packages,) = folder.glob("venv/lib/python3*/site-packages")
    # A path that a .pth file adds has its own .pth files ignored, the editable install of the checkout among them.
    (packages / "lent.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return folder / "venv" / "bin"


@dataclass
class Container:
    """What the image would be when it runs."""

    process: subprocess.Popen[bytes]
    log: Path
    binaries: Path
    environment: dict[str, str]

    @property
    def address(self) -> str:
        end = time.monotonic() + 60
        while not (found := re.search(r"listening on (http://\S+)[\s\S]*startup complete", self.log.read_text())):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.1)
        return found[1]

    def healthy(self, address: str) -> bool:
        """What the image's HEALTHCHECK says."""
        python, *arguments = [each.replace("http://127.0.0.1:8000", address) for each in IMAGE.command("HEALTHCHECK")]
        return subprocess.run([self.binaries / python, *arguments], capture_output=True, check=False).returncode == 0


@pytest.fixture
def container(binaries, tmp_path) -> Iterator[Container]:
    """The image's command with its environment, in an empty folder."""
    settings = {name for setting in documented() for name in setting.names} | {"PYTHONPATH"}
    environment = {name: value for name, value in os.environ.items() if name not in settings} | {
        **IMAGE.environment,
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "SWITCHYARD_DATA_DIR": str(tmp_path / "data"),
        "SWITCHYARD_INTROSPECTION": "on",
        "ADMIN_EMAIL": LOGIN["username"],
        "ADMIN_PASSWORD": LOGIN["password"],
    }
    entry, *rest = [*IMAGE.command("ENTRYPOINT"), *IMAGE.command("CMD"), "--port", "0", "--demo"]
    (tmp_path / "backups").mkdir()
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [binaries / entry, *rest],
            cwd=tmp_path / "backups",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    yield Container(process, tmp_path / "log", binaries, environment)
    process.kill()
    process.wait()


def test_it_serves_everything_from_an_empty_folder(container, tmp_path):
    address = container.address
    with httpx.Client(base_url=address) as http:
        assert http.get("/health").json() == {"status": "ok"}
        assert len(http.get("/openapi.json").json()["paths"]) > 10
        assert http.get("/schema.graphql").text == (ROOT / "schema/schema.graphql").read_text()
        page = http.get("/graphiql")
        assert page.status_code == 200
        built = ROOT / "app/browser/dist/graphiql.html"
        assert not built.exists() or page.text == built.read_text()
        assets = re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text)
        assert len(assets) >= 2
        assert {http.get(asset).status_code for asset in assets} == {200}
        token = http.post("/auth/jwt/login", data=LOGIN).json()["access_token"]
        http.headers["authorization"] = f"Bearer {token}"
        assert http.get("/api/instruments").json()["total"] == 4
    assert [path.name for path in (tmp_path / "data/files/demo/instruments").iterdir() if path.is_dir()]
    assert container.healthy(address)
    backup = tmp_path / "backups" / "first.tar"
    command = [container.binaries / "switchyard", "backup", backup.name]
    subprocess.run(command, cwd=tmp_path / "backups", env=container.environment, check=True, capture_output=True)
    assert backup.stat().st_size > 10_000
    container.process.send_signal(signal.SIGTERM)
    assert container.process.wait(25) == 0
    assert not container.healthy(address)


def test_it_is_the_wheel_that_runs(binaries, tmp_path):
    """And not the checkout beside it, from which nothing was forgotten."""
    found = run(binaries / "python", "-c", "import app, demo; print(app.__file__, *demo.__path__)", cwd=tmp_path).split()
    assert all(Path(each).is_relative_to(binaries.parent) for each in found)
    source, installed = [
        {
            str(path.relative_to(folder))
            for package in ("app", "rest_compat", "schema", "storage", "demo")
            for path in files(folder / package)
        }
        for folder in (ROOT, Path(found[0]).parents[1])
    ]
    assert sorted(source - installed) == []


def files(folder: Path) -> Iterator[Path]:
    """What the program is made of."""
    unwanted = {"__pycache__", "node_modules", "source"}
    built = ("vite.config.js", "package.json", "package-lock.json")
    return (
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not unwanted & set(path.parts)
        and path.name not in built
        and not path.name.startswith(".")
        and not (path.parent.name == "browser" and path.suffix == ".html")  # from which the pages are built
    )
