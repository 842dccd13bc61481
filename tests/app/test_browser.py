"""The pages as a person gets them: a real Chromium, a real server, and no other host.

Runs when Chromium and the assets (`make assets`) are there; with CI=true and SWITCHYARD_BROWSER_TESTS=1 they must be.
"""

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from graphql import build_schema, graphql
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from websockets.sync.client import ClientConnection, connect

from app.demo import EMAIL, PASSWORD
from app.pages import BUNDLE, routes
from tests.app import test_server

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
REQUIRED = os.environ.get("CI") == "true" and os.environ.get("SWITCHYARD_BROWSER_TESTS") == "1"
PATIENCE = 30

SCHEMA = build_schema("""
    type Query { instruments: Instruments!, authorization: String }
    type Instruments { nodes: [Instrument!]! }
    type Instrument { name: String! files(first: Int): Files! }
    type Files { nodes: [File!]! }
    type File { filename: String! persistentId: String checksum: String transfers: Transfers! }
    type Transfers { nodes: [Transfer!]! }
    type Transfer { status: String! checksumVerified: Boolean }
""")
TRANSFER = {"status": "COMPLETED", "checksumVerified": True}
FILE = {
    "filename": "run-0042.tif",
    "persistentId": "ark:/99999/fk4abc",
    "checksum": "5d41402a",
    "transfers": {"nodes": [TRANSFER]},
}
GRAPH = {"instruments": {"nodes": [{"name": "Titan Krios", "files": {"nodes": [FILE]}}]}}

OPENAPI = {
    "openapi": "3.1.0",
    "info": {"title": "Switchyard", "version": "1.0.0", "description": "Five services, **one** graph."},
    "tags": [{"name": "instruments", "description": "Instruments and their files."}],
    "paths": {
        "/api/instruments": {
            "get": {
                "tags": ["instruments"],
                "operationId": "instruments_list",
                "summary": "List the instruments",
                "responses": {"200": {"description": "The instruments."}},
            },
            "post": {
                "tags": ["instruments"],
                "operationId": "instruments_create",
                "summary": "Register an instrument",
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Instrument"}}}},
                "responses": {"201": {"description": "The new instrument."}},
            },
        },
    },
    "components": {
        "schemas": {"Instrument": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}},
        "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
    },
}


async def answer_graphql(request: Request) -> Response:
    if request.headers.get("Origin") != str(request.base_url).rstrip("/"):
        return JSONResponse({"errors": [{"message": "foreign origin"}]}, 403)
    question = await request.json()
    known = GRAPH | {"authorization": request.headers.get("Authorization")}
    result = await graphql(SCHEMA, question["query"], known, variable_values=question.get("variables"))
    return JSONResponse(result.formatted)


async def answer_openapi(_: Request) -> Response:
    return JSONResponse(OPENAPI)


async def answer_instruments(_: Request) -> Response:
    return JSONResponse([{"name": "Titan Krios"}])


async def answer_sign_in(request: Request) -> Response:
    async with request.form() as form:
        right = form["password"] == PASSWORD
    return JSONResponse(
        {"access_token": "a-token", "token_type": "bearer"} if right else {"detail": "no"}, 200 if right else 400
    )


async def answer_me(request: Request) -> Response:
    known = request.headers.get("Authorization") == "Bearer a-token"
    return JSONResponse({"email": EMAIL} if known else {"detail": "no"}, 200 if known else 401)


async def answer_sign_out(_: Request) -> Response:
    return Response(status_code=204)


STUBS = [
    Route("/auth/jwt/login", answer_sign_in, methods=["POST"]),
    Route("/auth/jwt/logout", answer_sign_out, methods=["POST"]),
    Route("/users/me", answer_me),
    Route("/graphql", answer_graphql, methods=["POST"]),
    Route("/openapi.json", answer_openapi),
    Route("/api/instruments", answer_instruments),
]


@contextmanager
def serving(app: Starlette) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none", lifespan="off"))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def chromium(profile: Path) -> Iterator[str]:
    """The address at which a headless Chromium takes DevTools commands."""
    command = [
        CHROMIUM,
        "--headless",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--window-size=1400,1000",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        "--remote-debugging-port=0",
        f"--user-data-dir={profile}",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield f"127.0.0.1:{debugging_port(profile)}"
        finally:
            process.kill()


def debugging_port(profile: Path) -> str:
    announced = profile / "DevToolsActivePort"
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if announced.exists() and (lines := announced.read_text().splitlines()):
            return lines[0]
        time.sleep(0.05)
    raise AssertionError("Chromium did not start")


LEFT = "Inspected target navigated or closed"


class LeftError(Exception):
    """The page was left while it was asked."""


class Tab:
    """One page and its workers, by the DevTools protocol."""

    def __init__(self, websocket: ClientConnection) -> None:
        self._socket = websocket
        self._sent = 0
        self._events: list[dict] = []
        self.call("Page.enable")
        self._watch()

    def call(self, method: str, **parameters: object) -> dict:
        number = self._send(method, parameters)
        while True:
            message = json.loads(self._socket.recv(timeout=PATIENCE))
            if message.get("id") == number and "sessionId" not in message:
                if message.get("error", {}).get("message") == LEFT:
                    raise LeftError
                assert "error" not in message, message
                return message["result"]
            self._note(message)

    def open(self, address: str) -> None:
        self.call("Page.navigate", url=address)
        self.until("document.readyState === 'complete'")

    def run(self, script: str) -> object:
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, condition: str) -> None:
        end = time.monotonic() + PATIENCE
        while not self._holds(condition):
            assert time.monotonic() < end, f"never true: {condition}; complaints: {self.complaints}"
            time.sleep(0.1)

    def _holds(self, condition: str) -> bool:
        try:
            return bool(self.run(f"Boolean({condition})"))
        except LeftError:  # it was asked of the page before
            return False

    def click(self, selector: str) -> None:
        self.until(f"document.querySelector('{selector}')")
        self.run(f"document.querySelector('{selector}').click()")

    @property
    def complaints(self) -> list[str]:
        return [complaint for event in self._events if (complaint := complaint_of(event))]

    @property
    def hosts(self) -> set[str]:
        asked = [event["params"]["request"]["url"] for event in self._events if event["method"] == "Network.requestWillBeSent"]
        return {urlsplit(url).netloc for url in asked if urlsplit(url).scheme not in {"data", "blob"}}

    def _send(self, method: str, parameters: dict, session: dict | None = None) -> int:
        self._sent += 1
        self._socket.send(json.dumps({"id": self._sent, "method": method, "params": parameters, **(session or {})}))
        return self._sent

    def _note(self, message: dict) -> None:
        if message.get("method") == "Target.attachedToTarget":
            self._watch({"sessionId": message["params"]["sessionId"]})
        elif "method" in message:
            self._events.append(message)

    def _watch(self, session: dict | None = None) -> None:
        """Workers wait until they are watched."""
        for domain in ("Runtime", "Log", "Network"):
            self._send(f"{domain}.enable", {}, session)
        attach = {"autoAttach": True, "waitForDebuggerOnStart": True, "flatten": True}
        self._send("Target.setAutoAttach", attach, session)
        self._send("Runtime.runIfWaitingForDebugger", {}, session)


def complaint_of(event: dict) -> str | None:
    match event:
        case {"method": "Runtime.exceptionThrown", "params": {"exceptionDetails": details}}:
            return json.dumps(details)
        case {"method": "Runtime.consoleAPICalled", "params": {"type": "error" | "assert", "args": words}}:
            return json.dumps(words)
        case {"method": "Log.entryAdded", "params": {"entry": {"level": "error", "text": text, **entry}}}:
            return f"{text} ({entry.get('url')})"
    return None


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    missing = [] if CHROMIUM else ["chromium is not installed"]
    missing += [] if (BUNDLE / "graphiql.html").is_file() else ["the assets are not built (make assets)"]
    if missing and not REQUIRED:
        pytest.skip("; ".join(missing))
    assert not missing
    with chromium(tmp_path_factory.mktemp("profile")) as address:
        yield address


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving(Starlette(routes=[*STUBS, *routes()])) as address:
        yield address


@pytest.fixture(scope="module")
def plain_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(Starlette(routes=[*STUBS, *routes(tmp_path_factory.mktemp("nothing-built"))])) as address:
        yield address


@pytest.fixture
def tab(browser: str) -> Iterator[Tab]:
    target = httpx.put(f"http://{browser}/json/new?about:blank").json()
    with connect(target["webSocketDebuggerUrl"], max_size=None, open_timeout=PATIENCE) as websocket:
        tab = Tab(websocket)
        yield tab
        tab.call("Page.close")


def assert_quiet(tab: Tab, server: str, *expected: str) -> None:
    assert [complaint for complaint in tab.complaints if not complaint.endswith(expected)] == []
    assert tab.hosts == {urlsplit(server).netloc}


@pytest.mark.parametrize("path", ["/docs", "/swagger"])
def test_swagger_ui_tries_an_operation(tab: Tab, server: str, path: str) -> None:
    tab.open(server + path)
    for control in (".opblock-tag", ".opblock-get .opblock-summary-control", ".try-out__btn", ".execute"):
        tab.click(control)
    tab.until("document.querySelector('.live-responses-table')?.innerText.includes('Titan Krios')")
    assert_quiet(tab, server)


@pytest.mark.parametrize("path", ["/", "/redoc"])
def test_redoc_shows_the_operations_and_finds_them(tab: Tab, server: str, path: str) -> None:
    tab.open(server + path)
    tab.until("document.body.innerText.includes('Register an instrument')")
    tab.run("document.querySelector('[role=search] input').focus()")
    tab.call("Input.insertText", text="register")
    tab.until("document.querySelector('[data-role=\"search:results\"]')?.innerText.includes('Register an instrument')")
    assert_quiet(tab, server)


RUN = ".graphiql-execute-button"
ANSWER = "document.querySelector('.graphiql-response').innerText.replaceAll('\\u00a0', ' ')"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, browser: str) -> Iterator[str]:
    """The whole server with its samples, of which the first were harvested."""
    with test_server.serving(tmp_path_factory.mktemp("demo"), "--demo") as server:
        yield server.address


@pytest.fixture
def explorer(tab: Tab, demo: str) -> Tab:
    """As nobody has used it: it remembers the tabs."""
    tab.open(f"{demo}/start")
    tab.run("localStorage.clear()")
    tab.open(f"{demo}/graphiql")
    tab.until("document.querySelector('.graphiql-query-editor .view-lines')?.innerText.includes('checksumVerified')")
    return tab


def submit(tab: Tab, form: str, **fields: str) -> None:
    tab.run("document.querySelector('.account').open = true")
    for name, text in fields.items():
        tab.run(f"document.querySelector('.{form} [name={name}]').value = {json.dumps(text)}")
    tab.run(f"document.querySelector('.{form}').requestSubmit()")


def sign_in(tab: Tab) -> None:
    submit(tab, "by-password", username=EMAIL, password=PASSWORD)
    tab.until(f"document.querySelector('.account')?.innerText.includes('Signed in as {EMAIL}')")


def go_to(tab: Tab, example: str) -> None:
    tab.run(f"[...document.querySelectorAll('.graphiql-tab-button')].find(each => each.innerText === '{example}').click()")
    tab.until(f"document.querySelector('.graphiql-query-editor .view-lines')?.innerText.includes('{example}')")
    time.sleep(1)  # GraphiQL finds out the operation's name a moment later, and nothing on the page shows that it has


def run_with_filled_variable(tab: Tab, example: str) -> None:
    go_to(tab, example)
    filled = "/[0-9a-f]{8}-[0-9a-f]{4}/.test(document.querySelector('.graphiql-editor-tool .view-lines')?.innerText)"
    tab.until(filled)
    tab.click(RUN)


def test_graphiql_signs_in_and_runs_a_query_a_mutation_and_a_subscription(explorer: Tab, demo: str) -> None:
    sign_in(explorer)
    explorer.click(RUN)
    explorer.until(f"{ANSWER}.includes('Bruker Avance NMR 500')")
    run_with_filled_variable(explorer, "HarvestNow")
    explorer.until(f"{ANSWER}.includes('runId')")
    run_with_filled_variable(explorer, "FollowHarvest")
    explorer.until(f"{ANSWER}.includes('SUCCEEDED') || {ANSWER}.includes('SKIPPED')")
    assert_quiet(explorer, demo)


def test_every_example_runs(explorer: Tab, demo: str) -> None:
    sign_in(explorer)
    names = explorer.run("[...document.querySelectorAll('.graphiql-tab-button')].map(each => each.innerText)")
    assert names == ["Instruments", "NewestHarvests", "HarvestNow", "FollowHarvest"]
    go_to(explorer, "NewestHarvests")
    explorer.click(RUN)
    explorer.until(f"{ANSWER}.includes('totalCount')")
    assert "errors" not in explorer.run(ANSWER)
    assert_quiet(explorer, demo)


def test_a_sign_in_lasts_as_long_as_the_tab_and_ends_on_demand(explorer: Tab, demo: str) -> None:
    sign_in(explorer)
    token = explorer.run("JSON.parse(sessionStorage.getItem('switchyard-session')).token")
    assert token not in str(explorer.run("JSON.stringify({...localStorage}) + document.cookie"))
    explorer.open(f"{demo}/graphiql")
    explorer.until(f"document.querySelector('.account')?.innerText.includes('Signed in as {EMAIL}')")
    explorer.click(".account button")
    explorer.until("document.querySelector('.account form') && sessionStorage.length === 0")
    end = time.monotonic() + PATIENCE
    while httpx.get(f"{demo}/users/me", headers={"Authorization": f"Bearer {token}"}).status_code != 401:
        assert time.monotonic() < end, "the token outlived its sign-out"
        time.sleep(0.1)
    assert_quiet(explorer, demo)


def test_a_wrong_password_and_a_wrong_token_are_explained(explorer: Tab, demo: str) -> None:
    submit(explorer, "by-password", username=EMAIL, password="wrong horse")
    explorer.until("document.querySelector('.account [role=alert]')?.innerText.startsWith('No active account')")
    submit(explorer, "by-token", token="wrong")
    explorer.until("document.querySelector('.account [role=alert]')?.innerText.startsWith('The server does not know')")
    assert_quiet(explorer, demo, "/auth/jwt/login)", "/users/me)")


def test_a_token_is_pasted(explorer: Tab, demo: str) -> None:
    """Signing out only forgets it."""
    login = {"username": EMAIL, "password": PASSWORD}
    token = httpx.post(f"{demo}/auth/jwt/login", data=login).json()["access_token"]
    submit(explorer, "by-token", token=f" {token} ")
    explorer.until(f"document.querySelector('.account')?.innerText.includes('Signed in as {EMAIL}')")
    explorer.click(".account button")
    explorer.until("document.querySelector('.account form')")
    assert httpx.get(f"{demo}/users/me", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    assert_quiet(explorer, demo)


def test_a_header_of_the_editor_goes_along_and_counts_more_than_the_sign_in(explorer: Tab, demo: str) -> None:
    sign_in(explorer)
    explorer.run("[...document.querySelectorAll('.graphiql-editor-tools button')].find(b => b.innerText === 'Headers').click()")
    explorer.run(
        "document.querySelectorAll('.graphiql-editor-tool .native-edit-context, .graphiql-editor-tool textarea')[1].focus()"
    )
    explorer.call("Input.insertText", text='{"authorization": "Bearer nobody"}')
    explorer.click(RUN)
    explorer.until(f"{ANSWER}.includes('errors')")
    assert_quiet(explorer, demo)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_graphiql_is_as_light_or_dark_as_the_system(tab: Tab, server: str, scheme: str) -> None:
    tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    tab.open(f"{server}/graphiql")
    tab.until("document.querySelector('.graphiql-container')")
    brightness = "getComputedStyle(document.querySelector('.graphiql-container')).backgroundColor.match(/\\d+/)[0]"
    tab.until(f"{brightness} {'<' if scheme == 'dark' else '>'} 127")
    assert_quiet(tab, server)


def test_the_explorer_builds_a_query(explorer: Tab, demo: str) -> None:
    explorer.click('[aria-label*="GraphiQL Explorer"]')
    explorer.until("document.querySelector('.graphiql-explorer-root')?.innerText.includes('harvestRuns')")
    assert_quiet(explorer, demo)


def test_the_start_page_leads_to_the_explorer(tab: Tab, demo: str) -> None:
    tab.open(f"{demo}/")
    tab.click('nav a[href="/start"]')
    tab.until("document.body?.innerText.includes('The server is ready')")
    tab.click('a[href="/graphiql"]')
    tab.until("document.querySelector('.graphiql-query-editor .view-lines')")
    tab.click('.corner a[href="/start"]')
    tab.until("document.body?.innerText.includes('Try it in a terminal')")
    assert_quiet(tab, demo)


def test_the_plain_query_page_runs_a_query(tab: Tab, plain_server: str) -> None:
    tab.open(f"{plain_server}/graphiql")
    tab.click("#query button")
    tab.until("document.getElementById('answer').innerText.includes('Titan Krios')")
    assert_quiet(tab, plain_server)


def fill(tab: Tab, form: str, **fields: str) -> None:
    tab.until(f"document.getElementById('{form}')")
    for name, text in fields.items():
        tab.run(f"document.querySelector('#{form} [name={name}]').value = {json.dumps(text)}")
    tab.run(f"document.getElementById('{form}').requestSubmit()")


def test_the_plain_query_page_signs_in_and_out(tab: Tab, plain_server: str) -> None:
    asks = "{ authorization }"
    tab.open(f"{plain_server}/graphiql")
    fill(tab, "account", username=EMAIL, password="wrong horse")
    tab.until("document.getElementById('problem').innerText.startsWith('No active account')")
    fill(tab, "account", username=EMAIL, password=PASSWORD)
    tab.until(f"document.getElementById('known').innerText.includes('Signed in as {EMAIL}.')")
    assert tab.run("document.querySelector('#account [name=password]').value") == ""
    fill(tab, "query", query=asks)
    tab.until("document.getElementById('answer').innerText.includes('Bearer a-token')")
    fill(tab, "query", headers='{"authorization": "Bearer another"}')
    tab.until("document.getElementById('answer').innerText.includes('Bearer another')")
    tab.open(f"{plain_server}/graphiql")
    tab.until("!document.getElementById('known').hidden && document.getElementById('account').hidden")
    tab.click("#leave")
    tab.until("!document.getElementById('account').hidden && sessionStorage.length === 0")
    fill(tab, "query", query=asks)
    tab.until("document.getElementById('answer').innerText.includes('null')")
    assert_quiet(tab, plain_server, "/auth/jwt/login)")


@pytest.mark.parametrize("path", ["/", "/docs", "/redoc", "/swagger"])
def test_the_plain_reference_lists_the_operations(tab: Tab, plain_server: str, path: str) -> None:
    tab.open(plain_server + path)
    tab.until("document.querySelectorAll('#operations tr').length === 2")
    row = tab.run("document.querySelector('#operations tr').innerText")
    assert row.split() == ["GET", "/api/instruments", "List", "the", "instruments"]
    assert_quiet(tab, plain_server)
