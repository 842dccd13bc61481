"""`make docs`: writes what the documents repeat of the code. A part lies between `<!-- generated: NAME -->` and its end mark."""
# ruff: noqa: INP001  # scripts/ holds commands, it is no package

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from app.settings import documented, settings_table
from app.wiring import check_operations

ROOT = Path(__file__).parents[1]

DOCUMENTS = (ROOT / "README.md", ROOT / "docs/routes.md")
ENV_EXAMPLE = ROOT / ".env.example"
COMPOSE = ROOT / "compose.yaml"

_REQUIRED = re.compile(r"\$\{(\w+):\?([^}]+)\}")
_PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end of \2 -->)", re.DOTALL)


def routes_table() -> str:
    """One row per route: what it does, the operation behind it, the document that holds it."""
    rows = ["| Call | What it does | Operation |", "|---|---|---|"]
    return "\n".join([*rows, *_routes()])


def _routes() -> Iterator[str]:
    shim = check_operations()
    declared = {endpoint.declared.name: endpoint.declared for endpoint in shim.endpoints}
    for route in shim.routes:
        document = Path(declared[route.operation].place.file).resolve().relative_to(ROOT)
        operations = ", ".join(f"`{name}`" for name in (route.operation, *route.alternates))
        purpose = declared[route.operation].description.strip().splitlines()[0]
        yield f"| `{route.method} {route.path}` | {purpose} | {operations} in [{document.name}](../{document}) |"


PARTS: dict[str, Callable[[], str]] = {"settings": settings_table, "routes": routes_table}


def generated(text: str) -> str:
    """The document with its parts as they are now."""
    return _PART.sub(lambda found: f"{found[1]}\n{PARTS[found[2]]()}\n\n{found[3]}", text)


def required_by_compose() -> dict[str, str]:
    """The variables that `compose.yaml` does not start without and that are no settings, each with what it is."""
    settings = {name for setting in documented() for name in setting.names}
    return {name: purpose for name, purpose in _REQUIRED.findall(COMPOSE.read_text()) if name not in settings}


def env_example() -> str:
    """Every setting as a comment, with its default; then what `compose.yaml` needs."""
    head = (
        "# Settings with their defaults. Copy this file to .env, and take the `# ` from the lines that you change.\n"
        "# The environment wins over .env. The table in README.md has the settings' other names.\n"
    )
    settings = (
        f"# {each.description.replace('`', '')}\n# {each.names[0]}={each.default.strip('`')}\n" for each in documented()
    )
    compose = (f"# {purpose}\n# {name}=\n" for name, purpose in required_by_compose().items())
    needed = "# compose.yaml needs these and SWITCHYARD_SECRET_KEY; `openssl rand -hex 32` makes one.\n"
    return "\n".join([head, *settings, needed, *compose])


def expected() -> Iterator[tuple[Path, str]]:
    """Every file with a generated part, as it should be."""
    yield ENV_EXAMPLE, env_example()
    for path in DOCUMENTS:
        yield path, generated(path.read_text())


def main() -> None:
    """Rewrite what differs, and say so."""
    os.chdir(ROOT)
    for path, text in expected():
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            sys.stdout.write(f"wrote {path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
