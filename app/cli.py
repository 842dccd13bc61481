"""The `switchyard` command."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
import uvicorn
import uvloop
from engine.explain import explain
from graphql import print_ast
from pydantic import ValidationError
from sqlalchemy import select

from app.bootstrap import CreatedAdmin, FirstAdmin, create_first_admin
from app.demo import load_demo, prepare_demo
from app.observability import configure_logging
from app.server import TITLE, application, background
from app.settings import Settings, settings_table
from app.wiring import Parts, assemble, check_operations
from core.errors import DomainError, NotFound
from core.identity import INSTRUMENTS
from core.secrets import Secret
from jobs.harvest import HarvestSettings, harvest_job
from jobs.worker import run_worker
from rest_compat.mistakes import DocumentErrors
from rest_compat.shim import LedgerEntry
from schema.root import build_schema
from storage.sql.database import open_database
from storage.sql.migrate import migrate
from storage.sql.tables import memberships, users

Result = TypeVar("Result")

cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help=f"{TITLE}: one GraphQL server for a research-data platform.",
    pretty_exceptions_enable=False,
)

DataDir = Annotated[Path | None, typer.Option(help="Folder of the embedded stores (default: SWITCHYARD_DATA_DIR, or ./data).")]
SDL_FILE = Path("schema/schema.graphql")


@cli.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
    data_dir: DataDir = None,
    workers: Annotated[
        int, typer.Option(help="Background worker processes; 0 if `switchyard worker` runs elsewhere.", min=0)
    ] = 1,
    demo: Annotated[bool, typer.Option("--demo", help="Load sample instruments, harvested every minute.")] = False,
) -> None:
    """Serve the graph, its REST routes and pages; run schedules and harvests."""
    if demo:
        prepare_demo()
    settings = _settings(data_dir)
    configure_logging(settings.log_level)
    _async(lambda: _serve(settings, host, port, workers, demo=demo))


async def _serve(settings: Settings, host: str, port: int, workers: int, *, demo: bool) -> None:
    parts = await assemble(settings)
    try:
        _announce(await create_first_admin(parts.database, parts.passwords, first_admin(settings)))
        if demo:
            typer.echo(await load_demo(parts, f"http://{host}:{port}"))
        worker = [sys.executable, "-m", "app.cli", "worker", "--parent", str(os.getpid())]
        config = uvicorn.Config(
            application(parts, lambda: background(parts, worker, workers)),
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            forwarded_allow_ips=settings.trusted_proxies,
            timeout_graceful_shutdown=20,
        )
        await uvicorn.Server(config).serve()
    finally:
        await parts.close()


def _announce(admin: CreatedAdmin | None) -> None:
    if admin is not None and admin.password is not None:
        typer.echo(f"Created the first admin: {admin.email} with the password {admin.password.reveal()} (shown only now).")


def first_admin(settings: Settings) -> FirstAdmin:
    """What the settings say of the first admin."""
    password = Secret(settings.admin_password.get_secret_value()) if settings.admin_password else None
    return FirstAdmin(email=settings.admin_email, username=settings.admin_username, password=password)


@cli.command()
def worker(
    data_dir: DataDir = None,
    parent: Annotated[int | None, typer.Option(help="End when the process with this id is gone.")] = None,
) -> None:
    """Do background work: harvests that were scheduled or triggered."""
    settings = _settings(data_dir)
    configure_logging(settings.log_level)
    _async(lambda: _work(settings, parent))


async def _work(settings: Settings, parent: int | None) -> None:
    database = await open_database(settings.url)
    try:
        harvest = HarvestSettings(allowed_roots=settings.roots, ark_naan=settings.ark_naan, ark_shoulder=settings.ark_shoulder)
        await run_worker(database, {"harvest": harvest_job(harvest)}, parent=parent)
    finally:
        await database.close()


@cli.command(name="migrate")
def migrate_command(data_dir: DataDir = None) -> None:
    """Bring the database to the newest schema."""

    async def work() -> str:
        database = await open_database(_settings(data_dir).url)
        try:
            return await migrate(database)
        finally:
            await database.close()

    typer.echo(f"The database is at revision {_async(work)}.")


@cli.command()
def token(email: Annotated[str, typer.Argument(help="Whose token.")], data_dir: DataDir = None) -> None:
    """Print an access token for a member of the instruments domain, for scripts on this machine."""

    async def work(parts: Parts) -> str:
        member = await parts.database.first(
            select(users.c.id, users.c.credentials_version)
            .join(memberships, (memberships.c.user_id == users.c.id) & (memberships.c.domain == INSTRUMENTS))
            .where(users.c.email_folded == email.casefold(), users.c.deleted_at.is_(None), users.c.is_active)
        )
        if member is None:
            raise NotFound(f"no active member has the address {email}")
        return parts.services.tokens.issue(member["id"], member["credentials_version"])

    typer.echo(_with_parts(work, data_dir))


@cli.command()
def routes(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False, data_dir: DataDir = None) -> None:
    """List the REST routes and the operation behind each."""

    async def work(parts: Parts) -> list[LedgerEntry]:
        return list(parts.shim.routes)

    entries = _with_parts(work, data_dir)
    if as_json:
        typer.echo(json.dumps([asdict(entry) for entry in entries], indent=2))
        return
    for entry in entries:
        operations = ", ".join([entry.operation, *entry.alternates])
        typer.echo(f"{entry.method:7}{entry.path:48}{operations:42}{entry.place}")


@cli.command(name="explain")
def explain_command(
    method: Annotated[str, typer.Argument(help="GET, POST, …")],
    path: Annotated[str, typer.Argument(help="A path, with its query if that matters: '/api/files?limit=10'.")],
    role: Annotated[str, typer.Option(help="For whom: admin, user or anonymous.")] = "admin",
    data_dir: DataDir = None,
) -> None:
    """Show what answers a REST call: the operation, its plan and its SQL."""

    async def work(parts: Parts) -> str:
        plain, _, query = path.partition("?")
        endpoint = parts.shim.resolve(method.upper(), plain, query)
        if endpoint is None:
            raise NotFound(f"nothing answers {method.upper()} {path}")
        shape = () if role == "anonymous" else ((INSTRUMENTS, role),)
        declared = endpoint.declared
        head = f"{declared.rest.method} {declared.template}  {declared.name}  {declared.place}\n\n{print_ast(declared.definition)}\n"
        return f"{head}\n{explain(endpoint.operation, shape)}"

    typer.echo(_with_parts(work, data_dir))


@cli.command()
def schema(check: Annotated[bool, typer.Option("--check", help="Fail if schema/schema.graphql differs.")] = False) -> None:
    """Print the schema (SDL)."""
    sdl = build_schema().as_str() + "\n"
    if not check:
        typer.echo(sdl, nl=False)
    elif SDL_FILE.read_text() != sdl:
        _fail(f"{SDL_FILE} is not the schema: run `make schema` and look at the difference")


@cli.command()
def openapi(dialect: Annotated[str | None, typer.Option(help="Of one dialect only.")] = None, data_dir: DataDir = None) -> None:
    """Print the OpenAPI document."""

    async def work(parts: Parts) -> str:
        return json.dumps(parts.shim.openapi(TITLE, version("switchyard"), dialect), indent=2)

    typer.echo(_with_parts(work, data_dir))


@cli.command()
def check() -> None:
    """Check the schema's declarations and every operation document; nothing is opened or changed."""
    try:
        count = len(check_operations().routes)
    except (DomainError, DocumentErrors) as error:
        _fail(str(error))
    typer.echo(f"{count} routes, each with its operation.")


@cli.command()
def settings() -> None:
    """Print the table of settings (Markdown)."""
    typer.echo(settings_table())


def _settings(data_dir: Path | None = None) -> Settings:
    if data_dir is not None:
        os.environ["SWITCHYARD_DATA_DIR"] = str(data_dir)  # the worker processes read it, too
    try:
        return Settings()
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, problem['loc'])) or 'settings'}: {problem['msg']}" for problem in error.errors()]
        _fail("the settings are not right:\n" + "\n".join(lines))


def _fail(message: str) -> NoReturn:
    typer.echo(f"switchyard: {message}", err=True)
    raise typer.Exit(1)


def _async(work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run it on uvloop; what is wrong is said in a line, not in a traceback."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(work())
    except (DomainError, DocumentErrors, ValueError) as error:
        _fail(str(error))


def _with_parts(work: Callable[[Parts], Awaitable[Result]], data_dir: Path | None) -> Result:
    async def main() -> Result:
        parts = await assemble(_settings(data_dir))
        try:
            return await work(parts)
        finally:
            await parts.close()

    return _async(main)


def main() -> None:
    """Entry point of the installed command."""
    cli()


if __name__ == "__main__":
    main()
