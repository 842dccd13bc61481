"""The pages of a web client beside the server's own routes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from httpx import ASGITransport, AsyncClient
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, Router

from app.web_client import WebClient
from app.wiring import RESERVED
from tests.contract.support import running

PAGE = {"Accept": "text/html,*/*;q=0.8"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    pages = tmp_path / "pages"
    (pages / "assets").mkdir(parents=True)
    (pages / ".git").mkdir()
    (pages / "index.html").write_text("the client")
    (pages / "robots.txt").write_text("robots")
    (pages / "assets" / "index-BcD3_fGh.js").write_text("run()")
    (pages / ".git" / "config").write_text("secret")
    (tmp_path / "secret.txt").write_text("secret")
    (pages / "link.txt").symlink_to(tmp_path / "secret.txt")
    return pages


@pytest.fixture
async def client(root: Path) -> AsyncIterator[AsyncClient]:
    pages = WebClient(root, RESERVED)
    router = Router([Route("/health", lambda _: PlainTextResponse("fine"))], default=pages)
    pages.otherwise = router.not_found
    app = Starlette()
    app.router = router
    async with AsyncClient(transport=ASGITransport(app), base_url="http://pages") as found:
        yield found


@pytest.mark.parametrize(
    ("path", "text", "kept"),
    [
        ("/", "the client", "no-cache"),
        ("/index.html", "the client", "no-cache"),
        ("/robots.txt", "robots", "no-cache"),
        ("/assets/index-BcD3_fGh.js", "run()", "public, max-age=31536000, immutable"),
        ("/instruments/5/edit", "the client", "no-cache"),
        ("/login", "the client", "no-cache"),
        ("/users/5", "the client", "no-cache"),
    ],
)
async def test_files_and_pages(client: AsyncClient, path: str, text: str, kept: str) -> None:
    answer = await client.get(path, headers=PAGE)
    assert (answer.status_code, answer.text) == (200, text)
    assert answer.headers["cache-control"] == kept
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "frame-ancestors 'none'"


@pytest.mark.parametrize(
    "path",
    [
        "/api/nothing",
        "/graphql/nothing",
        "/download/x",
        "/assets/gone.js",
        "/missing.png",
        "/.git/config",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e%5csecret.txt",
        "/link.txt",
        "/a%00b",
        f"/{'x' * 3000}.txt",
    ],
)
async def test_nothing_else(client: AsyncClient, path: str) -> None:
    answer = await client.get(path, headers=PAGE)
    assert (answer.status_code, "secret" in answer.text, "client" in answer.text) == (404, False, False)


async def test_a_page_is_for_those_who_ask_for_one(client: AsyncClient) -> None:
    assert (await client.get("/instruments", headers={"Accept": "application/json"})).status_code == 404
    assert (await client.post("/instruments", headers=PAGE)).status_code == 404


async def test_routes_come_first_and_keep_their_methods(client: AsyncClient) -> None:
    assert (await client.get("/health", headers=PAGE)).text == "fine"
    assert (await client.post("/health", headers=PAGE)).status_code == 405


async def test_who_has_a_file_is_told_so(client: AsyncClient) -> None:
    tag = (await client.get("/")).headers["etag"]
    assert (await client.get("/", headers={"If-None-Match": tag})).status_code == 304


def test_a_folder_without_a_client_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^SWITCHYARD_WEB_ROOT: there is no index\.html in "):
        WebClient(tmp_path, RESERVED)


async def test_in_the_whole_application(root: Path, tmp_path: Path) -> None:
    async with running(tmp_path / "data", SWITCHYARD_WEB_ROOT=root) as world:
        anybody = world.anonymous()
        assert (await anybody.get("/", headers=PAGE)).text == "the client"
        assert (await anybody.get("/files", headers=PAGE)).text == "the client"
        assert (await anybody.get("/redoc", headers=PAGE)).status_code == 200
        assert (await anybody.get("/health", headers=PAGE)).json() == {"status": "ok"}
        refused = await anybody.get("/api/nothing", headers=PAGE)
        assert refused.status_code == 404
        assert refused.headers["content-type"].startswith("application/")
