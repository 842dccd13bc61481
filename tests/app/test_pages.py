from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from httpx import ASGITransport, AsyncClient
from starlette.applications import Starlette

from app.pages import routes

PAGES = {
    "/graphiql": "graphiql.html",
    "/docs": "swagger.html",
    "/swagger": "swagger.html",
    "/redoc": "redoc.html",
    "/": "redoc.html",
}
CLOSED = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; script-src 'self'; "
STRICT = CLOSED + "style-src 'self'; img-src 'self'; connect-src 'self'"
STYLED = CLOSED + "style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'"
POLICIES = {
    "graphiql.html": STYLED + "; font-src 'self' data:; worker-src 'self'",
    "swagger.html": STYLED,
    "redoc.html": STYLED + "; worker-src blob:",
}


def client_of(assets: Path) -> AsyncClient:
    return AsyncClient(transport=ASGITransport(Starlette(routes=routes(assets))), base_url="http://pages")


@pytest.fixture
def assets(tmp_path: Path) -> Path:
    bundle = tmp_path / "dist"
    (bundle / "static").mkdir(parents=True)
    for name in POLICIES:
        (bundle / name).write_text(f"the bundled {name}")
    (bundle / "static" / "graphiql-Ab_c-123.js").write_text("run()")
    (bundle / "static" / "notes.txt").write_text("no hash")
    (tmp_path / "secret.txt").write_text("secret")
    return bundle


@pytest.fixture
async def bundled(assets: Path) -> AsyncIterator[AsyncClient]:
    async with client_of(assets) as client:
        yield client


@pytest.fixture
async def plain(tmp_path: Path) -> AsyncIterator[AsyncClient]:
    async with client_of(tmp_path / "absent") as client:
        yield client


@pytest.mark.parametrize(("path", "name"), PAGES.items())
async def test_a_built_page_may_do_what_its_bundle_needs(bundled: AsyncClient, path: str, name: str) -> None:
    answer = await bundled.get(path)
    assert (answer.status_code, answer.text) == (200, f"the bundled {name}")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Content-Security-Policy"] == POLICIES[name]
    assert answer.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_that_is_not_built_is_plain_and_says_how_to_get_the_full_one(plain: AsyncClient, path: str) -> None:
    answer = await plain.get(path)
    assert answer.status_code == 200
    assert "make assets" in answer.text
    assert answer.headers["Content-Security-Policy"] == STRICT


async def test_pages_built_while_serving_appear_without_a_restart(tmp_path: Path, plain: AsyncClient) -> None:
    (tmp_path / "absent").mkdir()
    (tmp_path / "absent" / "redoc.html").write_text("just built")
    assert (await plain.get("/redoc")).text == "just built"


@pytest.mark.parametrize("path", [*PAGES, "/static/graphiql-Ab_c-123.js", "/static/plain.css"])
async def test_every_answer_is_kept_out_of_frames_and_guesses(bundled: AsyncClient, path: str) -> None:
    headers = (await bundled.get(path)).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Frame-Options"] == "DENY"
    assert "connect-src 'self'" in headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", PAGES)
async def test_a_plain_page_finds_its_files(plain: AsyncClient, path: str) -> None:
    page = (await plain.get(path)).text
    files = [word.split('"')[0] for word in page.split('"/static/')[1:]]
    assert len(files) == 3
    assert [(await plain.get(f"/static/{file}")).status_code for file in files] == [200, 200, 200]


@pytest.mark.parametrize(
    ("file", "caching"),
    [
        ("graphiql-Ab_c-123.js", "public, max-age=31536000, immutable"),
        ("notes.txt", "no-cache"),
        ("plain.css", "no-cache"),
    ],
)
async def test_only_names_that_change_with_their_content_are_kept_for_good(
    bundled: AsyncClient, file: str, caching: str
) -> None:
    assert (await bundled.get(f"/static/{file}")).headers["Cache-Control"] == caching


async def test_a_file_that_did_not_change_is_not_sent_again(bundled: AsyncClient) -> None:
    first = await bundled.get("/static/plain.css")
    again = await bundled.get("/static/plain.css", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["Cache-Control"] == "no-cache"


async def test_scripts_are_sent_as_scripts(bundled: AsyncClient) -> None:
    answer = await bundled.get("/static/graphiql-Ab_c-123.js")
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert answer.text == "run()"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../secret.txt",
        "/static/%2e%2e/graphiql.html",
        "/static/..%2f..%2fsecret.txt",
        "/static/%2e%2e%2f%2e%2e%2fsecret.txt",
        "/static/..%5c..%5csecret.txt",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/x%00.js",
        "/static/" + "x" * 5000,
        "/static/absent.js",
        "/static/plain.css/x",
        "/static/",
    ],
)
async def test_nothing_outside_the_folder_is_served(bundled: AsyncClient, path: str) -> None:
    assert (await bundled.get(path)).status_code == 404


async def test_a_link_out_of_the_folder_is_not_followed(assets: Path, bundled: AsyncClient) -> None:
    (assets / "static" / "link.txt").symlink_to(assets.parent / "secret.txt")
    assert (await bundled.get("/static/link.txt")).status_code == 404


@pytest.mark.parametrize("path", ["/graphiql", "/static/plain.css"])
async def test_pages_are_only_read(bundled: AsyncClient, path: str) -> None:
    assert (await bundled.post(path)).status_code == 405
    head = await bundled.head(path)
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize("path", PAGES)
async def test_pages_name_no_other_host(plain: AsyncClient, path: str) -> None:
    assert "://" not in (await plain.get(path)).text


@pytest.mark.parametrize("built", [False, True])
async def test_an_explorer_that_is_turned_off_says_so(assets: Path, tmp_path: Path, built: bool) -> None:
    place = assets if built else tmp_path / "absent"
    transport = ASGITransport(Starlette(routes=routes(place, explorer=False)))
    async with AsyncClient(transport=transport, base_url="http://pages") as client:
        answer, other = await client.get("/graphiql"), await client.get("/docs")
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert answer.headers["Content-Security-Policy"] == STRICT
    assert answer.headers["Cache-Control"] == "no-cache"
    assert "<h1>The explorer is turned off</h1>" in answer.text
    assert other.status_code == 200
