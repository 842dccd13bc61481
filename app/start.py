"""The start page: what is served, how the stores are, and commands to copy, for somebody who has just found this server.

It says what anybody may know: what `/health/ready` and the references say as well.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable
from html import escape
from importlib.metadata import version
from pathlib import Path
from string import Template
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app.pages import STRICT
from app.wiring import Parts

_TEMPLATE = Path(__file__).parent / "browser" / "fallback" / "start.html"

_QUERY = '{"query": "{ me { email role } files(first: 3) { totalCount nodes { sourcePath checksum } } }"}'


class StartPage:
    """`/start`."""

    def __init__(self, parts: Parts) -> None:
        self._readiness, self._settings = parts.readiness, parts.settings
        self._page = Template(_TEMPLATE.read_text())
        self._fixed = {
            "version": escape(version("switchyard")),
            "domains": _domains(Counter(route.dialect for route in parts.shim.routes)),
            "links": _links(explorer=parts.settings.shows_schema),
        }

    async def reply(self, request: Request) -> Response:
        """The page as it is now, for the address by which it was asked."""
        said: dict[str, Any] = orjson.loads((await self._readiness.reply(request)).body)
        address = str(request.base_url).rstrip("/")
        page = self._page.substitute(
            self._fixed,
            status=escape(said["status"]),
            stores="".join(_row(each["name"], each["status"], each.get("detail", "")) for each in said["checks"]),
            steps=_steps(address, any_document=self._settings.documents == "any"),
        )
        return HTMLResponse(page, headers=STRICT | {"Cache-Control": "no-store"})


def _row(*cells: str) -> str:
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _domains(calls: Counter[str]) -> str:
    return "".join(
        f'<tr><td>{escape(name)}</td><td><a href="/docs">{count} calls</a></td>'
        f'<td><a href="/openapi/{escape(name)}.json">/openapi/{escape(name)}.json</a></td></tr>'
        for name, count in sorted(calls.items())
    )


def _links(*, explorer: bool) -> str:
    pages = [
        ("/docs", "every REST call, with a form to try it"),
        ("/redoc", "the same as a document to read"),
        ("/openapi.json", "the same for programs, all domains together"),
        ("/health", "whether the server answers"),
    ]
    graph = [
        ("/graphiql", "ask the graph: examples, completion, sign-in"),
        ("/schema.graphql", "what the graph offers, as text"),
    ]
    closed = "<li>This server does not tell its GraphQL schema, so that there is no explorer.</li>"
    return "".join(_link(*page) for page in [*(graph if explorer else []), *pages]) + ("" if explorer else closed)


def _link(path: str, what: str) -> str:
    return f'<li><a href="{path}">{path}</a>: {what}</li>'


def _steps(address: str, *, any_document: bool) -> str:
    """Each can be pasted into a POSIX shell. The address comes from the client, hence the quotes."""

    def at(path: str) -> str:
        return shlex.quote(address + path)

    json = "-H 'Content-Type: application/json'"
    signed_in = '-H "Authorization: Bearer $TOKEN"'
    steps = [
        ("Who you will be", ["EMAIL=you@example.org", "PASSWORD='choose a long one of your own'"]),
        (
            "Register, unless you have an account",
            [f"curl -s {at('/auth/register')} {json} \\", """  -d '{"email": "'"$EMAIL"'", "password": "'"$PASSWORD"'"}'"""],
        ),
        (
            "Sign in: the token is good for an hour unless the operator chose otherwise",
            [
                f"TOKEN=$(curl -s {at('/auth/jwt/login')} \\",
                """  --data-urlencode "username=$EMAIL" --data-urlencode "password=$PASSWORD" | cut -d'"' -f4)""",
            ],
        ),
        (
            "The files that you may see; a new account sees those that were granted to it",
            [f"curl -s {at('/api/files')} {signed_in}"],
        ),
    ]
    if any_document:
        ask = [f"curl -s {at('/graphql')} {signed_in} {json} \\", f"  -d '{_QUERY}'"]
        steps.append(("Who you are and your first three files, in one GraphQL query", ask))
    return "".join(_step(what, lines) for what, lines in steps)


def _step(what: str, lines: Iterable[str]) -> str:
    return f"<h3>{escape(what)}</h3><pre><code>{escape(chr(10).join(lines), quote=False)}</code></pre>"
