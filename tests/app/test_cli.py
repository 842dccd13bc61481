"""The command line: what each command prints, and the one line it says when something is not right."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from graphql import build_client_schema, build_schema, lexicographic_sort_schema, print_schema
from openapi_spec_validator import validate
from typer.testing import CliRunner

from app import cli
from app.auth import Credentials
from app.settings import Settings, settings_table
from app.wiring import OPERATIONS, assemble
from core.identity import INSTRUMENTS
from storage.sql.migrate import newest_revision

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("environment")]

COMMANDS = (
    "serve",
    "worker",
    "migrate",
    "backup",
    "restore",
    "rotate-secrets",
    "token",
    "lookup-token",
    "routes",
    "explain",
    "schema",
    "openapi",
    "check",
    "doctor",
    "settings",
)


def run(*arguments: str):
    return CliRunner().invoke(cli.cli, arguments, env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})


def printed(*arguments: str) -> str:
    result = run(*arguments)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


def refusal(*arguments: str) -> str:
    """The one line that is said."""
    result = run(*arguments)
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    assert result.stderr.startswith("switchyard: ")
    return result.stderr.removeprefix("switchyard: ")


# --- help --------------------------------------------------------------------------------------------------------------


def test_help_names_every_command():
    text = printed("--help")
    assert "Switchyard: one GraphQL server for a research-data platform." in text
    for command in COMMANDS:
        assert command in text
    assert len(cli.cli.registered_commands) == len(COMMANDS)
    assert run().exit_code == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command(command):
    lines = [line.strip(" │") for line in printed(command, "--help").splitlines()]
    options = [line for line in lines if line.startswith(("--", "*"))]
    assert any(line.endswith(".") for line in lines)
    for option in options:
        assert len(option.split()) > 1, f"{option} says nothing"


def test_unknown_commands_and_options():
    assert run("nothing").exit_code == 2
    assert run("routes", "--nothing").exit_code == 2
    assert run("explain", "GET", "/api/files", "--role", "root").exit_code == 2
    assert run("serve", "--workers", "-1").exit_code == 2


# --- looking -----------------------------------------------------------------------------------------------------------


def test_looking_needs_no_store(tmp_path):
    for command in (["routes"], ["explain", "GET", "/api/files"], ["schema"], ["openapi"], ["check"], ["settings"]):
        printed(*command)
    assert list(tmp_path.iterdir()) == []


def test_routes():
    lines = printed("routes").splitlines()
    assert len(lines) == 111
    (line,) = [line for line in lines if line.split()[:2] == ["GET", "/api/files"]]
    *words, place = line.split()
    assert words == ["GET", "/api/files", "files_list,", "files_slice"]
    assert place.endswith("rest_compat/operations/instruments/files.graphql:1:1")


def test_routes_as_json():
    entries = json.loads(printed("routes", "--json"))
    assert len(entries) == 111
    (entry,) = [entry for entry in entries if (entry["method"], entry["path"]) == ("GET", "/api/files")]
    assert entry == {
        "method": "GET",
        "path": "/api/files",
        "dialect": "instruments",
        "operation": "files_list",
        "place": entry["place"],
        "alternates": ["files_slice"],
    }


@pytest.mark.parametrize(
    ("call", "shown"),
    [
        (
            ["GET", "/api/files"],
            ["GET /api/files  files_list  ", "subscription files_list", "SELECT", "file_records"],
        ),
        (["GET", "/api/files?limit=3"], ["files_slice", "query files_slice", "SELECT", "X-Total-Count"]),
        (
            ["get", "/api/instruments/61b08ff4-4e91-44b0-9276-07254109da6d"],
            ["GET /api/instruments/{instrument_id}  instruments_get", "query instruments_get", "SELECT", "instruments.id"],
        ),
        (["POST", "/api/instruments"], ["instruments_create", "mutation instruments_create", "createInstrument"]),
    ],
)
def test_explain(call, shown):
    text = printed("explain", *call)
    for part in shown:
        assert part in text


def test_explain_for_a_role():
    """The rows that a role sees are part of its SQL."""
    admin, user, anonymous = [
        printed("explain", "GET", "/api/files", "--role", role) for role in ("admin", "user", "anonymous")
    ]
    assert "file_access_grants" in user
    assert "file_access_grants" not in admin
    assert len({admin, user, anonymous}) == 3


@pytest.mark.parametrize("call", [["GET", "/nothing"], ["DELETE", "/api/files"], ["GET", "api/files"], ["BREW", "/api/files"]])
def test_explain_of_nothing(call):
    assert refusal("explain", *call) == f"nothing answers {call[0]} {call[1]}\n"


def test_schema():
    assert printed("schema") == cli.SDL_FILE.read_text("utf-8")
    checked = run("schema", "--check")  # which may say what clients may notice
    assert (checked.exit_code, checked.stdout) == (0, "")


@pytest.mark.parametrize("option", ["--json", "--introspection"])
def test_schema_as_json(option):
    answer = json.loads(printed("schema", option))
    known, told = build_client_schema(answer["data"]), build_schema(printed("schema"))
    assert print_schema(lexicographic_sort_schema(known)) == print_schema(lexicographic_sort_schema(told))


def test_schema_that_breaks_clients(tmp_path, monkeypatch):
    monkeypatch.setattr(cli, "BASELINE_FILE", tmp_path / "baseline.graphql")
    added = '  "Gone."\n  colour: String\n\n  "Gone, too."\n  taste: String\n'
    baseline = printed("schema").replace("type Instrument implements Node {\n", f"type Instrument implements Node {{\n{added}")
    (tmp_path / "baseline.graphql").write_text(baseline)
    assert refusal("schema", "--check") == (
        "clients of the last release would break (docs/clients.md says how to change the schema):\n"
        "  Field Instrument.colour was removed.\n"
        "  Field Instrument.taste was removed.\n"
    )


def test_schema_that_differs(tmp_path, monkeypatch):
    monkeypatch.setattr(cli, "SDL_FILE", tmp_path / "schema.graphql")
    message = f"{tmp_path}/schema.graphql is not the schema: run `make schema` and look at the difference\n"
    assert refusal("schema", "--check") == message
    (tmp_path / "schema.graphql").write_text(printed("schema") + "\n")
    assert refusal("schema", "--check") == message


def test_openapi():
    merged, *single = [
        json.loads(printed("openapi", *options)) for options in ([], ["--dialect", "instruments"], ["--dialect", "lookups"])
    ]
    validate(merged)
    assert merged["paths"] == single[0]["paths"] | single[1]["paths"]
    assert [len(each["paths"]) for each in single] == [64, 10]
    assert refusal("openapi", "--dialect", "nothing") == "no dialect nothing: there are instruments, lookups\n"


def test_check():
    assert printed("check") == "111 routes, each with its operation.\n"


def test_check_of_a_broken_operation(tmp_path, monkeypatch):
    shutil.copytree(OPERATIONS, tmp_path / "operations")
    file = tmp_path / "operations" / "instruments" / "files.graphql"
    file.write_text(file.read_text().replace("totalCount @header", "totalCuont @header"))
    monkeypatch.setattr("app.wiring.OPERATIONS", tmp_path / "operations")
    for command in (["check"], ["routes"], ["serve", "--port", "0", "--data-dir", str(tmp_path / "data")]):
        message = refusal(*command)
        assert "files.graphql:14:5" in message
        assert "totalCuont" in message
        assert "Traceback" not in message


def test_settings():
    assert printed("settings") == settings_table() + "\n"


# --- settings that are not right ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("ARK_NAAN", "ark:/1", "String should match pattern '^[0-9a-z]+$'"),
        ("SECRET_KEY", "change-me", "this is a published example: choose a random one"),
        ("STREAMWEAVE_ENCRYPTION_KEY", "c2hvcnQ=", "the encryption key is not exactly 32 bytes long"),
        ("STREAMWEAVE_ENCRYPTION_KEY", "hunter2!", "the encryption key is no url-safe base64"),
        (
            "DATABASE_URL",
            "hunter2",
            "this is no database URL: write it as sqlite+aiosqlite:///PATH or postgresql+asyncpg://USER:PASSWORD@HOST/NAME",
        ),
        ("JWT_LIFETIME_SECONDS", "soon", "Input should be a valid integer, unable to parse string as an integer"),
    ],
)
@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["worker"], ["migrate"], ["token", "x"], ["check"]])
def test_settings_that_are_not_right(environment, tmp_path, command, name, value, message):
    environment.setenv(name, value)
    said = refusal(*command)
    assert said.splitlines()[0] == "the settings are not right:"
    (line,) = said.splitlines()[1:]
    names, _, reason = line.strip().partition(": ")
    assert name in names.split(" or ")
    assert reason == message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["worker"], ["migrate"], ["token", "x"]])
def test_a_database_that_is_not_supported(environment, command):
    environment.setenv("DATABASE_URL", "mysql+asyncmy://me:hunter2@db/x")
    said = "no adapter for mysql: use sqlite+aiosqlite:///PATH or postgresql+asyncpg://USER:PASSWORD@HOST/NAME\n"
    assert refusal(*command) == said


@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["worker"], ["migrate"], ["token", "x"]])
def test_a_database_that_does_not_answer(environment, command):
    """Which one is said, and not the password."""
    environment.setenv("DATABASE_URL", "postgresql+asyncpg://me:hunter2@127.0.0.1:1/x")
    said = refusal(*command)
    assert said.startswith("the database postgresql+asyncpg://me:***@127.0.0.1:1/x does not answer: ")
    assert "hunter2" not in said


@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["migrate"], ["token", "x"]])
def test_a_folder_that_cannot_be_written(tmp_path, command):
    (tmp_path / "file").write_text("")
    said = refusal(*command, "--data-dir", str(tmp_path / "file" / "data"))
    assert f"{tmp_path}/file" in said
    assert said.count("\n") == 1


def test_a_database_that_is_none(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "switchyard.db").write_text("this is no database, but long enough to be looked at as if it were one")
    said = refusal("migrate")
    assert "switchyard.db cannot be opened" in said.splitlines()[0]


def test_a_database_of_a_newer_program(tmp_path):
    printed("migrate")
    with sqlite3.connect(tmp_path / "data" / "switchyard.db") as connection:
        connection.execute("update alembic_version set version_num = '9999'")
    connection.close()
    said = refusal("migrate")
    assert "9999" in said
    assert said.count("\n") == 1


# --- doing -------------------------------------------------------------------------------------------------------------


def test_migrate(tmp_path):
    for _ in range(2):
        assert printed("migrate", "--data-dir", "elsewhere") == f"The database is at revision {newest_revision()}.\n"
    assert (tmp_path / "elsewhere" / "switchyard.db").exists()


def test_a_data_folder_given_to_one_command_is_not_left_in_the_environment(tmp_path):
    printed("migrate", "--data-dir", "elsewhere")
    assert Settings().data_dir == Path("data")


def test_the_option_goes_before_the_environment(environment, tmp_path):
    environment.setenv("SWITCHYARD_DATA_DIR", "set")
    printed("migrate", "--data-dir", "given")
    assert [path.name for path in tmp_path.iterdir()] == ["given"]


def test_a_token_for_nobody():
    assert refusal("token", "nobody@example.org") == "no active member has the address nobody@example.org\n"


def test_a_token_proves_who_one_is():
    async def recognised(token: str) -> str:
        parts = await assemble(Settings())
        try:
            principals = await parts.contexts.schemes.authenticate({"authorization": f"Bearer {token}"}, {})
            principal = principals.of(INSTRUMENTS)
            return principal.email if principal else ""
        finally:
            await parts.close()

    async def admin() -> None:
        parts = await assemble(Settings())
        await cli.create_first_admin(parts.database, parts.passwords, cli.first_admin(parts.settings))
        await parts.close()

    asyncio.run(admin())
    token = printed("token", "ADMIN@localhost").strip()
    assert Credentials.of({"authorization": f"Bearer {token}"}, {}).bearer == token
    assert asyncio.run(recognised(token)) == "admin@localhost"


def test_the_first_admin_of_the_settings(environment):
    assert cli.first_admin(Settings()) == cli.FirstAdmin()
    environment.setenv("ADMIN_EMAIL", "ada@example.org")
    environment.setenv("ADMIN_PASSWORD", "correct horse")
    admin = cli.first_admin(Settings())
    assert (admin.email, admin.username, admin.password.reveal()) == ("ada@example.org", None, "correct horse")
    assert "correct horse" not in repr(admin)
