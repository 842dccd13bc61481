"""The Dockerfile as data, and what it copies as a folder."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE, DOCKERIGNORE, COMPOSE = ROOT / "Dockerfile", ROOT / ".dockerignore", ROOT / "compose.yaml"


@dataclass
class Stage:
    """What begins with FROM: its base, its name, and its instructions as (word, argument)."""

    base: str
    name: str | None
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, word: str) -> list[str]:
        return [argument for each, argument in self.instructions if each == word]

    def last(self, word: str) -> str:
        return self.all(word)[-1]

    def command(self, word: str) -> list[str]:
        """The argument in exec form."""
        return [str(each) for each in json.loads(re.sub(r"^.*?(?=\[)", "", self.last(word)))]

    @property
    def environment(self) -> dict[str, str]:
        return dict(pair.split("=", 1) for argument in self.all("ENV") for pair in shlex.split(argument))

    @property
    def copied(self) -> list[str]:
        """Sources in the repository."""
        return [
            source.rstrip("/")
            for argument in self.all("COPY")
            if not argument.startswith("--from")
            for source in argument.split()[:-1]
        ]


def stages() -> list[Stage]:
    """The stages, in their order."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    found: list[Stage] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        word, argument = line.split(maxsplit=1)
        if word == "FROM":
            base, _, name = argument.partition(" AS ")
            found.append(Stage(base, name or None))
        else:
            found[-1].instructions.append((word, argument))
    return found


def copy_sources(folder: Path) -> None:
    """What the stage that installs the program has in its working folder; the browser pages if they were built here."""
    for source in next(stage for stage in stages() if stage.name == "program").copied:
        if (ROOT / source).is_file():
            shutil.copy(ROOT / source, folder / source)
        else:
            shutil.copytree(ROOT / source, folder / source, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
