"""The `switchyard` command."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeVar

import typer
import uvloop
from alembic.util import CommandError
from graphql import print_ast
from pydantic import ValidationError
from sqlalchemy import select

import schema as schema_package
from app.backup import SECRET, restore_backup, write_backup
from app.bootstrap import CreatedAdmin, FirstAdmin, create_first_admin
from app.collecting import settle_garbage_collector
from app.demo import load_demo, prepare_demo
from app.doctor import Finding, Level, examine
from app.lookup_tokens import issue
from app.observability import configure_logging
from app.rotation import Rotation, rotate_secrets
from app.schema_changes import breaking, dangerous, undated
from app.server import (
    TITLE,
    address_of,
    application,
    background,
    dialects,
    http_server,
    introspection_of,
    is_loopback,
    listen,
    sdl_of,
)
from app.settings import Settings, documented, keyring, lookups_secret, master_secret, settings_table
from app.wiring import Parts, assemble, check_operations
from core.clock import utc_now
from core.errors import DomainError, NotFound
from core.identity import INSTRUMENTS, LOOKUPS
from core.policy import ACCESS, EDIT, GLOBAL_EDIT, MEMBER
from core.secrets import Secret
from engine.explain import explain
from jobs.harvest import HarvestSettings, harvest_job, store_opener
from jobs.sources import SmbAccess, open_source
from jobs.worker import run_worker
from rest_compat.mistakes import DocumentErrors
from rest_compat.shim import RestShim
from schema.root import build_schema
from storage.objects.opening import StorageAccess
from storage.sql.migrate import migrate
from storage.sql.opening import open_database
from storage.sql.tables import memberships, users

Result = TypeVar("Result")

log = logging.getLogger("switchyard")

cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help=f"{TITLE}: one GraphQL server for a research-data platform.",
    pretty_exceptions_enable=False,
)

DataDir = Annotated[Path | None, typer.Option(help="Folder of the embedded stores (default: SWITCHYARD_DATA_DIR, or ./data).")]
SDL_FILE = Path(schema_package.__file__).parent / "schema.graphql"
BASELINE_FILE = SDL_FILE.with_name("baseline.graphql")


@cli.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 for any that is free.", min=0, max=65535)] = 8000,
    data_dir: DataDir = None,
    workers: Annotated[
        int, typer.Option(help="Background worker processes; 0 if `switchyard worker` runs elsewhere.", min=0)
    ] = 1,
    demo: Annotated[
        bool, typer.Option("--demo", help="Load sample instruments, harvested every minute, and sample lookups.")
    ] = False,
) -> None:
    """Serve the graph, its REST routes and pages; run schedules and harvests."""
    settings = _settings(data_dir)
    if demo:
        settings = prepare_demo(settings, private=is_loopback(host))
    configure_logging(settings.log_level, settings.log_format)
    _async(lambda: _serve(settings, host, port, workers, demo=demo))


async def _serve(settings: Settings, host: str, port: int, workers: int, *, demo: bool) -> None:
    with listen(host, port, settings.backlog) as listener:  # before anything is opened or started: the port may be taken
        address = address_of(listener)
        parts = await assemble(settings)
        try:
            _announce(await create_first_admin(parts.database, parts.passwords, first_admin(settings)))
            if demo:
                typer.echo(await load_demo(parts, address))
            worker = [sys.executable, "-m", "app.cli", "worker", "--parent", str(os.getpid())]
            worker += ["--data-dir", str(settings.data_dir)]
            log.info("listening on %s", address)
            app = application(parts, lambda: background(parts, worker, workers))
            await http_server(app, settings, parts.readiness.drain).serve([listener])
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
    configure_logging(settings.log_level, settings.log_format)
    _async(lambda: _work(settings, parent))


async def _work(settings: Settings, parent: int | None) -> None:
    database = await open_database(settings.url)
    try:
        harvest = HarvestSettings(
            allowed_roots=settings.roots,
            ark_naan=settings.ark_naan,
            ark_shoulder=settings.ark_shoulder,
            webhooks=settings.webhooks,
        )
        keys = keyring(settings, master_secret(settings))
        smb = SmbAccess(keyring=keys, answer=settings.smb_timeout)
        access = StorageAccess(keys, smb_answer=settings.smb_timeout, s3_answer=settings.s3_timeout)
        job = harvest_job(harvest, source_of=partial(open_source, smb=smb), store_of=store_opener(access))
        settle_garbage_collector()
        await run_worker(database, {"harvest": job}, parent=parent, longest=settings.longest_run)
    finally:
        await database.close()


@cli.command(name="migrate")
def migrate_command(data_dir: DataDir = None) -> None:
    """Bring the database to the newest schema."""
    settings = _settings(data_dir)

    async def work() -> str:
        database = await open_database(settings.url)
        try:
            return await migrate(database)
        finally:
            await database.close()

    typer.echo(f"The database is at revision {_async(work)}.")


@cli.command()
def backup(
    target: Annotated[Path, typer.Argument(help="File to write; it must not exist.")],
    data_dir: DataDir = None,
    without_secret: Annotated[bool, typer.Option("--without-secret", help="Leave the generated secret key out.")] = False,
) -> None:
    """Copy database, files and secret key into one tar file; the server may run meanwhile."""
    settings = _settings(data_dir)
    with _told(), _tidy():
        write_backup(settings, target, _say, with_secret=not without_secret)
    typer.echo(f"The backup is {target}. Keep it as secret as the data folder.")


@cli.command()
def restore(source: Annotated[Path, typer.Argument(help="A backup.")], data_dir: DataDir = None) -> None:
    """Fill an empty data folder from a backup."""
    settings = _settings(data_dir)
    with _told(), _tidy():
        header = restore_backup(settings, source, _say)
    folder = settings.data_dir.resolve()
    typer.echo(f"{folder} is as it was. Start the server: switchyard serve --data-dir {folder}")
    if header.data_dir != str(folder):
        typer.echo(f"It was {header.data_dir}: instruments and storage locations still name folders there.")
    if settings.secret_key is None and not (folder / SECRET).exists():
        typer.echo("The secret key is not in the backup: set SWITCHYARD_SECRET_KEY first, or a new one is made.")


@cli.command(name="rotate-secrets")
def rotate_secrets_command(data_dir: DataDir = None) -> None:
    """Seal every stored secret with the newest key; the server may run meanwhile, with the same settings."""
    settings = _settings(data_dir)

    async def work() -> Rotation:
        database = await open_database(settings.url)
        try:
            return await rotate_secrets(database, keyring(settings, master_secret(settings)))
        finally:
            await database.close()

    rotation = _async(work)
    typer.echo(f"{rotation.sealed} secrets were sealed with the newest key.")
    if rotation.unreadable:
        _fail("\n  ".join(["these cannot be read with any key of the settings:", *rotation.unreadable]))


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


@cli.command(name="lookup-token")
def lookup_token(
    tenants: Annotated[list[str] | None, typer.Argument(help="Tenants whose lookups it may read and edit.")] = None,
    data_dir: DataDir = None,
    subject: Annotated[str, typer.Option(help="Who it says it is.")] = "developer",
    read_only: Annotated[bool, typer.Option("--read-only", help="It may not edit.")] = False,
    edit_global: Annotated[bool, typer.Option("--global", help="It may edit global lookups, too.")] = False,
    superuser: Annotated[bool, typer.Option("--superuser", help="It may do everything in every tenant.")] = False,
    hours: Annotated[int, typer.Option(help="How long it counts.", min=1, max=24 * 366)] = 24,
    demo: Annotated[bool, typer.Option("--demo", help="For a server that was started with --demo.")] = False,
) -> None:
    """Print a token for lookups, signed with SWITCHYARD_LOOKUPS_JWT_SECRET: for development, where no issuer does it."""
    settings = _settings(data_dir)
    with _told():
        master = master_secret(settings)
        secret = lookups_secret(prepare_demo(settings, private=True) if demo else settings, master)
    if secret is None:
        _fail("set SWITCHYARD_LOOKUPS_JWT_SECRET, with which the server checks tokens of lookups")
    scopes = [ACCESS, *([] if read_only else [EDIT]), *([GLOBAL_EDIT] if edit_global else [])]
    resources = dict.fromkeys(tenants or [], scopes) | ({"*": ["authz:superuser"]} if superuser else {})
    typer.echo(issue(secret, subject, resources, hours * 3600))


@cli.command()
def routes(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """List the REST routes and the operation behind each."""
    entries = _shim().routes
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
    role: Annotated[Literal["admin", "user", "anonymous"], typer.Option(help="For whom.")] = "admin",
) -> None:
    """Show what answers a REST call: the operation, its plan and its SQL."""
    plain, _, query = path.partition("?")
    endpoint = _shim().resolve(method.upper(), plain, query)
    if endpoint is None:
        _fail(f"nothing answers {method.upper()} {path}")
    shape = () if role == "anonymous" else ((INSTRUMENTS, role), (LOOKUPS, MEMBER))
    declared = endpoint.declared
    head = (
        f"{declared.rest.method} {declared.template}  {declared.name}  {declared.place}\n\n{print_ast(declared.definition)}\n"
    )
    typer.echo(f"{head}\n{explain(endpoint.operation, shape)}")


@cli.command()
def schema(
    check: Annotated[
        bool, typer.Option("--check", help="Fail if schema/schema.graphql differs, or clients of the last release would break.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", "--introspection", help="As the introspection query answers it.")] = False,
) -> None:
    """Print the schema (SDL)."""
    built = build_schema()
    if check:
        _check_schema(sdl_of(built))
    elif as_json:
        typer.echo(json.dumps(introspection_of(built), indent=2))
    else:
        typer.echo(sdl_of(built), nl=False)


def _check_schema(sdl: str) -> None:
    """What may surprise clients is only said."""
    if not SDL_FILE.is_file() or SDL_FILE.read_text("utf-8") != sdl:
        _fail(f"{SDL_FILE} is not the schema: run `make schema` and look at the difference")
    baseline = BASELINE_FILE.read_text("utf-8")
    for each in dangerous(baseline, sdl):
        _say(f"Clients may notice: {each}")
    if found := breaking(baseline, sdl, utc_now().date()):
        _fail("\n  ".join(["clients of the last release would break (docs/clients.md says how to change the schema):", *found]))
    if without := undated(sdl):
        _fail(f"the reason of a deprecation has to name the day from which on it may be gone: {', '.join(without)}")


@cli.command()
def openapi(dialect: Annotated[str | None, typer.Option(help="Of one dialect only.")] = None) -> None:
    """Print the OpenAPI document."""
    shim = _shim()
    known = dialects(shim)
    if dialect is not None and dialect not in known:
        _fail(f"no dialect {dialect}: there are {', '.join(known)}")
    typer.echo(json.dumps(shim.openapi(TITLE, version("switchyard"), dialect), indent=2))


@cli.command()
def check() -> None:
    """Check the schema's declarations and every operation document; nothing is opened or changed."""
    typer.echo(f"{len(_shim().routes)} routes, each with its operation.")


@cli.command()
def doctor(
    data_dir: DataDir = None,
    host: Annotated[str, typer.Option(help="Address that the server listens on.")] = "127.0.0.1",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Look at settings, stores, disks, clock and queue, and say what to do; the server may run meanwhile."""
    given: dict[str, Any] = {} if data_dir is None else {"SWITCHYARD_DATA_DIR": data_dir}
    try:
        found = _async(partial(_examined, Settings(**given), host))
    except ValidationError as error:
        found = [Finding(Level.PROBLEM, "settings", _complaint(each), "Correct it") for each in error.errors()]
    ill = any(finding.level is Level.PROBLEM for finding in found)
    if as_json:
        typer.echo(json.dumps({"ok": not ill, "findings": [asdict(finding) for finding in found]}, indent=2))
    else:
        typer.echo("\n".join(map(str, found)))
    raise typer.Exit(1 if ill else 0)


async def _examined(settings: Settings, host: str) -> list[Finding]:
    return [finding async for finding in examine(settings, host)]


@cli.command()
def settings() -> None:
    """Print the table of settings (Markdown)."""
    typer.echo(settings_table())


def _settings(data_dir: Path | None = None) -> Settings:
    given: dict[str, Any] = {} if data_dir is None else {"SWITCHYARD_DATA_DIR": data_dir}
    try:
        return Settings(**given)
    except ValidationError as error:
        _fail("the settings are not right:\n" + "\n".join(f"  {_complaint(problem)}" for problem in error.errors()))


def _complaint(problem: Mapping[str, Any]) -> str:
    """Which setting, and why. Never what it was set to: that may be secret."""
    (name,) = problem["loc"]
    names = next((setting.names for setting in documented() if name in setting.names), (name,))
    return f"{' or '.join(names)}: {problem['msg'].removeprefix('Value error, ')}"


def _shim() -> RestShim:
    """The endpoints without their stores."""
    settings = _settings()
    with _told():
        return check_operations(settings)


def _fail(message: str) -> NoReturn:
    typer.echo(f"switchyard: {message}", err=True)
    raise typer.Exit(1)


@contextmanager
def _told() -> Iterator[None]:
    """What an operator can put right is said in a line, not in a traceback."""
    try:
        yield
    except OSError as error:
        place = f": {error.filename}" if error.filename else ""
        _fail(f"{error.strerror or error}{place}")
    except (DomainError, DocumentErrors, CommandError, ValueError) as error:
        _fail(str(error))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _say(text: str) -> None:
    typer.echo(text, err=True)


@contextmanager
def _tidy() -> Iterator[None]:
    """SIGTERM ends the work like Ctrl-C does: what was written aside is removed."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _async(work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run it on uvloop."""
    with _told(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work())


def _with_parts(work: Callable[[Parts], Awaitable[Result]], data_dir: Path | None) -> Result:
    settings = _settings(data_dir)

    async def main() -> Result:
        parts = await assemble(settings)
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
