"""Documents as tests: what a reader would type is typed into a shell, and what they would see is compared.

In a document, a `console` block is a session: lines that begin with `$ ` are run, the others are the answer. A `graphql`
block right before a `json` block is a query and its answer; it is sent with the session's TOKEN, and a variable `$file`
is the session's FILE. Spaces and line breaks do not count, ids and times need not be equal, `…` stands for anything.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Timer
from types import MappingProxyType

import httpx
import pytest

from app.settings import documented

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]
ADDRESS = "http://127.0.0.1:8000"
ADMIN = {"username": "admin@example.org", "password": "switchyard-demo"}
PATIENCE = 60
NO_SETTINGS: Mapping[str, str] = MappingProxyType({})


# --- reading -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, where it is, and the file that the line above it names."""

    language: str
    text: str
    place: str
    file: str | None = None


@dataclass(frozen=True)
class Step:
    """Something that a reader does, and what comes back."""

    place: str
    answer: str
    command: str = ""
    query: str = ""


_FENCE = re.compile(
    r"(?:^\*\*`(?P<file>[^`\n]+)`\*\*\n+)?^(?P<fence>`{3,})(?P<language>\w*)\n(?P<text>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)


def blocks(path: Path) -> list[Block]:
    """Every fenced block of a document."""
    text = path.read_text()
    return [
        Block(
            found["language"],
            found["text"],
            f"{path.name}:{text.count(chr(10), 0, found.start('fence')) + 1}",
            found["file"],
        )
        for found in _FENCE.finditer(text)
    ]


def steps(path: Path) -> list[Step]:
    """What a reader does, in the order of the document."""
    found: list[Step] = []
    every = blocks(path)
    for block, following in zip(every, [*every[1:], Block("", "", "")], strict=False):
        if block.language == "console":
            found += _session(block)
        elif block.language == "graphql" and following.language == "json":
            found.append(Step(block.place, following.text, query=block.text))
    return found


def _session(block: Block) -> Iterator[Step]:
    step: Step | None = None
    for line in block.text.splitlines():
        if step is not None and _is_open(step.command):
            step = replace(step, command=f"{step.command}\n{line}")
        elif line.startswith("$ "):
            if step is not None:
                yield step
            step = Step(block.place, "", command=line[2:])
        else:
            assert step is not None, f"{block.place}: a session begins with a command"
            step = replace(step, answer=f"{step.answer}{line}\n")
    if step is not None:
        yield step


def _is_open(command: str) -> bool:
    """Whether the next line belongs to it: after a backslash, or within quotes."""
    if command.endswith("\\"):
        return True
    try:
        shlex.split(command)
    except ValueError:
        return True
    return False


# --- comparing ---------------------------------------------------------------------------------------------------------

_VARIABLE = (
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",  # an id
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z",  # a time
    r"ark:/99999/fk4[a-z2-7]{26}",
)
_DIFFERS = re.compile("|".join(f"({pattern})" for pattern in (*_VARIABLE, "…")))


def alike(expected: str, actual: str) -> bool:
    """Whether the answer is the documented one, but for what differs from call to call."""
    text, pattern, end = "".join(expected.split()), "", 0
    for found in _DIFFERS.finditer(text):
        assert found.lastindex is not None
        pattern += re.escape(text[end : found.start()]) + (*_VARIABLE, ".*")[found.lastindex - 1]
        end = found.end()
    return re.fullmatch(pattern + re.escape(text[end:]), "".join(actual.split()), re.DOTALL) is not None


# --- doing -------------------------------------------------------------------------------------------------------------


class Shell:
    """One bash for a whole document, in a folder that looks like a checkout."""

    END = "--end-of-answer--"

    def __init__(self, folder: Path, address: str, *, source: Path = ROOT) -> None:
        self._address, self._source = address, source
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=_environment(source),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, command: str) -> str:
        """What the command prints."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        watchdog = Timer(PATIENCE, self.close)
        watchdog.start()
        self._bash.stdin.write(f"{command.replace(ADDRESS, self._address)}\nprintf '\\n%s\\n' {self.END}\n")
        self._bash.stdin.flush()
        lines = []
        for line in self._bash.stdout:
            if line.strip() == self.END:
                watchdog.cancel()
                return "".join(lines).replace(self._address, ADDRESS).replace(f"{self._source}/", "")
            lines.append(line)
        pytest.fail(f"{command!r} did not end; so far: {''.join(lines)}")

    def query(self, document: str) -> str:
        """What GraphQL answers."""
        variables = {
            name: self.run(f'printf %s "${name.upper()}"').strip() for name in set(re.findall(r"\$(\w+)\s*:", document))
        }
        token = self.run('printf %s "$TOKEN"').strip()
        answer = httpx.post(
            f"{self._address}/graphql",
            json={"query": document, "variables": variables},
            headers={"authorization": f"Bearer {token}"} if token else {},
        )
        return answer.text.replace(self._address, ADDRESS)

    def close(self) -> None:
        """End it and whatever it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._bash.pid, signal.SIGKILL)
        self._bash.wait()
        for stream in (self._bash.stdin, self._bash.stdout):
            assert stream is not None
            with suppress(OSError):
                stream.close()


def follow(path: Path, folder: Path, address: str, *, source: Path = ROOT) -> int:
    """Do everything that a document says, and fail where its answers are not the real ones. How many steps there were."""
    shell = Shell(folder, address, source=source)
    todo = steps(path)
    try:
        for step in todo:
            answer = shell.run(step.command) if step.command else shell.query(step.query)
            if not alike(step.answer, answer):
                pytest.fail(
                    f"{step.place}\n{step.command or step.query}\nanswers\n{answer}\nand not\n{step.answer}", pytrace=False
                )
    finally:
        shell.close()
    return len(todo)


@contextmanager
def demo_server(folder: Path, *, source: Path = ROOT, settings: Mapping[str, str] = NO_SETTINGS) -> Iterator[str]:
    """`make demo` in a folder of its own, after its first harvests; its address."""
    with _server(folder, "--demo", "--data-dir", "data/demo", source=source, settings=settings) as (address, server):
        _wait_until_harvested(address, server, folder / "log")
        yield address


@contextmanager
def empty_server(folder: Path, settings: Mapping[str, str]) -> Iterator[str]:
    """`make serve` in a folder of its own, with those settings; its address."""
    with _server(folder, settings=settings) as (address, server):
        with httpx.Client(base_url=address) as http:
            _wait_until_it_answers(http, server, folder / "log")
        yield address


@contextmanager
def _server(
    folder: Path, *options: str, source: Path = ROOT, settings: Mapping[str, str]
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    (folder / ".venv").symlink_to(Path(sys.executable).parent.parent, target_is_directory=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Not the installed command: the program may be a copy, which is found in the working folder or on this path.
    command = [sys.executable, "-m", "app.cli", "serve", *options, "--port", str(port)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=folder, env=_environment(source) | settings, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}", server
    finally:
        server.terminate()
        try:
            server.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _environment(source: Path) -> dict[str, str]:
    """Without anybody's own settings."""
    settings = {name for setting in documented() for name in setting.names}
    return {name: value for name, value in os.environ.items() if name not in settings} | {"PYTHONPATH": str(source)}


def _wait_until_harvested(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + PATIENCE
    with httpx.Client(base_url=address) as http:
        _wait_until_it_answers(http, server, log)
        token = http.post("/auth/jwt/login", data=ADMIN).json()["access_token"]
        http.headers["authorization"] = f"Bearer {token}"
        for instrument in _instruments(http):
            http.post(f"/api/instruments/{instrument['id']}/harvest").raise_for_status()
        while not all(instrument["last_harvested_at"] for instrument in _instruments(http)):
            assert time.monotonic() < give_up, f"no harvest has ended:\n{log.read_text()}"
            time.sleep(0.2)


def _wait_until_it_answers(http: httpx.Client, server: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + PATIENCE
    while not _answers(http):
        assert server.poll() is None, f"the server ended:\n{log.read_text()}"
        assert time.monotonic() < give_up, f"the server does not answer:\n{log.read_text()}"
        time.sleep(0.1)


def _instruments(http: httpx.Client) -> list[dict[str, str]]:
    items: list[dict[str, str]] = http.get("/api/instruments").json()["items"]
    return items


def _answers(http: httpx.Client) -> bool:
    try:
        return http.get("/health").status_code == 200
    except httpx.TransportError:
        return False
