"""The start page: what it says to whom, and that its commands work when they are pasted."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from html import unescape
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest

from app.health import Check, CheckError, Readiness
from app.pages import STRICT
from app.server import application
from tests.app.test_server import serving


def commands_of(page: str) -> list[str]:
    return [unescape(block) for block in re.findall(r"<pre><code>(.*?)</code></pre>", page, re.DOTALL)]


def rows_of(page: str) -> list[list[str]]:
    return [re.findall(r"<td>(.*?)</td>", row) for row in re.findall(r"<tr><td>.*?</tr>", page)]


async def test_anybody_reads_what_is_served_and_how_the_stores_are(world):
    reply = await world.anonymous.request("GET", "/start")
    ready = (await world.anonymous.request("GET", "/health/ready")).json()
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert f"This is version {version('switchyard')}." in reply.text
    assert f"The server is <strong>{ready['status']}</strong>" in reply.text
    calls = Counter(route.dialect for route in world.parts.shim.routes)
    served = [[name, calls[name]] for name in ("instruments", "lookups")]
    domains, stores = rows_of(reply.text)[: len(served)], rows_of(reply.text)[len(served) :]
    assert domains == [
        [name, f'<a href="/docs">{count} calls</a>', f'<a href="/openapi/{name}.json">/openapi/{name}.json</a>']
        for name, count in served
    ]
    assert stores == [[each["name"], each["status"], each.get("detail", "")] for each in ready["checks"]]
    assert {name: reply.headers[name] for name in STRICT} == STRICT
    assert reply.headers["cache-control"] == "no-store"


async def test_every_link_leads_somewhere(world):
    page = (await world.anonymous.request("GET", "/start")).text
    links = set(re.findall(r'href="([^"]*)"', page))
    assert {
        "/graphiql",
        "/schema.graphql",
        "/docs",
        "/redoc",
        "/openapi.json",
        "/openapi/instruments.json",
        "/openapi/lookups.json",
    } < links
    assert {link: (await world.anonymous.request("GET", link)).status_code for link in links} == dict.fromkeys(links, 200)


async def test_a_store_that_does_not_answer_is_said(world):
    async def gone() -> None:
        raise CheckError("is <gone>")

    parts = replace(world.parts, readiness=Readiness([Check("database", gone)]))
    client = httpx.AsyncClient(transport=httpx.ASGITransport(application(parts)), base_url="http://switchyard.test")
    reply = await client.get("/start")
    assert reply.status_code == 200
    assert "The server is <strong>not ready</strong>" in reply.text
    assert rows_of(reply.text)[-1] == ["database", "failed", "is &lt;gone&gt;"]


async def test_in_production_there_is_no_link_to_what_is_closed(assembled, tmp_path):
    (tmp_path / "trusted").mkdir()
    (tmp_path / "trusted" / "me.graphql").write_text("query Me { me { email } }")
    settings = {"SWITCHYARD_DOCUMENTS": "trusted", "SWITCHYARD_TRUSTED_DOCUMENTS": tmp_path / "trusted"}
    async with assembled(SWITCHYARD_PROFILE="production", **settings) as world:
        reply = await world.anonymous.request("GET", "/start")
    assert reply.status_code == 200
    assert 'href="/docs"' in reply.text
    assert "This server does not tell its GraphQL schema" in reply.text
    offered = "".join(re.findall(r'href="([^"]*)"', reply.text) + commands_of(reply.text))
    assert [closed for closed in ("/graphiql", "/schema.graphql", "/graphql") if closed in offered] == []


@pytest.mark.parametrize("host", ["x';id;'<script>", "$(id)", "`id`", "a&id", '"><script>id'])
async def test_an_address_cannot_break_out(world, host):
    """Neither of the page nor of a command that is pasted."""
    page = (await world.anonymous.request("GET", "/start", headers={"host": host})).text
    assert "<script" not in page
    pasted = "\n".join(commands_of(page)).replace("curl", "printf '<%s>'")
    told = subprocess.run(["/bin/sh", "-ec", pasted], capture_output=True, text=True, check=True)  # noqa: ASYNC221
    assert "/auth/register>" in told.stdout
    assert ("uid=" in told.stdout, told.stderr) == (False, "")


async def test_the_commands_name_the_address_by_which_the_page_was_asked(world):
    page = (await world.anonymous.request("GET", "/start", headers={"host": "switchyard.example:8443"})).text
    asked = [address for command in commands_of(page) for address in re.findall(r"https?://\S+", command)]
    paths = ("/auth/register", "/auth/jwt/login", "/api/files", "/graphql")
    assert asked == [f"http://switchyard.example:8443{path}" for path in paths]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_commands_work(tmp_path: Path):
    """As they are, pasted into one shell."""
    with serving(tmp_path, "--workers", "0") as server:
        commands = commands_of(httpx.get(f"{server.address}/start").text)
        script = "\necho\n".join(commands)
        told = subprocess.run(["/bin/sh", "-ec", script], capture_output=True, text=True, check=True).stdout
    registered, files, graph = [json.loads(line) for line in told.splitlines() if line]
    assert (registered["email"], registered["role"]) == ("you@example.org", "user")
    assert files == []
    assert graph["data"] == {"me": {"email": "you@example.org", "role": "USER"}, "files": {"totalCount": 0, "nodes": []}}
