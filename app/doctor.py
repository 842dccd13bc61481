"""`switchyard doctor`: looks at settings, stores, disks, clock and queue, and says plainly what to do. Changes nothing."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from importlib.util import find_spec
from ipaddress import ip_network
from pathlib import Path

from sqlalchemy import make_url, select
from sqlalchemy.exc import DBAPIError

from app.health import LEAST_FREE
from app.mail import outbox_of
from app.metrics import QueueGauges
from app.pages import BUNDLE
from app.server import is_loopback
from app.settings import PUBLISHED, Settings, secret_names
from core.clock import Clock, utc_now
from core.errors import Unavailable
from core.vocabulary import RunState
from storage.sql.database import Database
from storage.sql.migrate import current_revision, knows, newest_revision
from storage.sql.opening import open_database
from storage.sql.tables import runs, users

GUESSED = PUBLISHED | {"switchyard-demo", "password", "postgres", "switchyard", "admin"}
"""Passwords that anybody would try first."""

LITTLE_FREE, LITTLE_SHARE = 2 * 2**30, 0.05
SKEW, MUCH_SKEW = 2.0, 10.0
"""Seconds between our clock and the database's. A lease lasts 30."""
WAITS_LONG = timedelta(minutes=5)

_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "ceph", "glusterfs", "fuse.glusterfs"})
_MOUNTS = Path("/proc/self/mounts")


class Level(StrEnum):
    """How much it matters."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, what was found, and what to do about it."""

    level: Level
    about: str
    said: str
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.level:8} {self.about:10} {self.said}{self.advice and '. ' + self.advice}"


def _ok(about: str, said: str) -> Finding:
    return Finding(Level.OK, about, said)


def _warning(about: str, said: str, advice: str) -> Finding:
    return Finding(Level.WARNING, about, said, advice)


def _problem(about: str, said: str, advice: str) -> Finding:
    return Finding(Level.PROBLEM, about, said, advice)


async def examine(settings: Settings, host: str = "127.0.0.1", clock: Clock = utc_now) -> AsyncIterator[Finding]:
    """Everything, for a server that listens on that address."""
    for finding in (
        *_profile(settings, host),
        *_secrets(settings),
        *_proxies(settings),
        *_extras(settings),
        *_data_folder(settings),
        *_roots(settings),
        *_disks(settings),
    ):
        yield finding
    async for finding in _database(settings, clock):
        yield finding
    async for finding in _lookups(settings):
        yield finding
    async for finding in _mail(settings):
        yield finding
    yield _pages()


# --- settings ----------------------------------------------------------------------------------------------------------


def _profile(settings: Settings, host: str) -> Iterator[Finding]:
    reachable, production = not is_loopback(host), settings.profile == "production"
    if reachable and not production:
        yield _problem(
            "profile", f"development, on {host}", "Set SWITCHYARD_PROFILE=production where others can reach the server"
        )
    else:
        yield _ok("profile", settings.profile)
    if not settings.cookie_secure and (reachable or production):
        yield _problem("cookie", "the session cookie goes over plain HTTP", "Remove SWITCHYARD_COOKIE_SECURE=false, use HTTPS")
    elif not settings.cookie_secure:
        yield _warning("cookie", "the session cookie goes over plain HTTP", "Good for a trial on this machine only")
    else:
        yield _ok("cookie", "for HTTPS only")
    if reachable:
        yield _warning("tls", f"plain HTTP on {host}", "Listen on 127.0.0.1 behind a proxy that speaks HTTPS")
    plain = [origin for origin in settings.origins if origin.startswith("http://")]
    if plain and production:
        yield _warning(
            "origins", f"pages without HTTPS may call: {', '.join(plain)}", "Name them in SWITCHYARD_CORS_ORIGINS as https://"
        )


def _secrets(settings: Settings) -> Iterator[Finding]:
    yield _secret_key(settings)
    guessed = settings.admin_password is not None and settings.admin_password.get_secret_value().casefold() in GUESSED
    if guessed:
        yield _problem("admin", "ADMIN_PASSWORD is one that anybody would try", "Choose another, and change it for the account")
    password = make_url(settings.url).password
    if password is not None and password.casefold() in GUESSED:
        yield _problem("database", "its password is one that anybody would try", "Choose another: ALTER ROLE … PASSWORD")
    file = Path(".env")
    if file.is_file() and _others_read(file) and any(f"{name}=" in file.read_text(errors="replace") for name in secret_names()):
        yield _problem("secrets", f"others can read {file.resolve()}", f"chmod 600 {file.resolve()}")


def _secret_key(settings: Settings) -> Finding:
    if settings.secret_key is None:
        return _generated_key(settings, settings.data_dir / "secret-key")
    if len(settings.secret_key.get_secret_value()) < 32:
        advice = "Make one with `openssl rand -hex 32`; docs/security.md says how to change it"
        return _warning("secret key", "shorter than 32 characters", advice)
    return _ok("secret key", "a setting")


def _generated_key(settings: Settings, file: Path) -> Finding:
    if not file.exists():
        return _warning("secret key", "there is none yet", "The first start makes one")
    if not os.access(file, os.R_OK):
        return _problem("secret key", f"{file} cannot be read", "Run this as the user of the server, or give the file to it")
    if _others_read(file):
        return _problem("secret key", f"others can read {file}", f"chmod 600 {file}")
    if len(file.read_text().strip()) < 32:
        return _problem("secret key", f"{file} holds none", "Put it back from the backup")
    if settings.profile == "production":
        return _warning("secret key", "in the data folder", "Keep it apart from what it protects: SWITCHYARD_SECRET_KEY")
    return _ok("secret key", str(file))


def _others_read(file: Path) -> bool:
    return bool(file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def _proxies(settings: Settings) -> Iterator[Finding]:
    named = [each.strip() for each in settings.trusted_proxies.split(",") if each.strip()]
    if any(_everybody(each) for each in named):
        yield _problem(
            "proxies", "everybody is believed", "Name the proxies in SWITCHYARD_TRUSTED_PROXIES: anyone can claim any address"
        )
    else:
        yield _ok("proxies", f"{', '.join(named) or 'nobody'} may say whom a request is from")


def _everybody(proxy: str) -> bool:
    try:
        return proxy == "*" or ip_network(proxy, strict=False).prefixlen == 0
    except ValueError:
        return False


def _extras(settings: Settings) -> Iterator[Finding]:
    if settings.traces is not None and find_spec("opentelemetry") is None:
        yield _problem(
            "traces", "OpenTelemetry is not installed", "pip install 'switchyard[tracing]', or unset SWITCHYARD_TRACES"
        )
    if settings.elasticsearch_url is not None and find_spec("elasticsearch") is None:
        yield _problem(
            "lookups",
            "the client of Elasticsearch is not installed",
            "pip install 'switchyard[elasticsearch]', or unset SWITCHYARD_ELASTICSEARCH_URL",
        )
    if settings.trusted_documents is not None and not settings.trusted_documents.exists():
        place = settings.trusted_documents
        yield _problem("documents", f"{place} is not there", "Set SWITCHYARD_TRUSTED_DOCUMENTS to where they are")


async def _mail(settings: Settings) -> AsyncIterator[Finding]:
    """Nothing, where no mails are sent."""
    try:
        outbox = outbox_of(settings)
    except ValueError as error:
        yield _problem("mail", str(error), "The server does not start like that; docs/operations.md has an example")
        return
    if not outbox.enabled:
        return
    reason = await outbox.greet()
    if reason is None:
        yield _ok("mail", f"{settings.smtp_host} lets us in")
    else:
        yield _problem(
            "mail", f"{settings.smtp_host}: {reason}", "Look at SWITCHYARD_SMTP_HOST, _PORT, _TLS, _USERNAME, _PASSWORD"
        )


# --- folders -----------------------------------------------------------------------------------------------------------


def _data_folder(settings: Settings) -> Iterator[Finding]:
    folder = settings.data_dir.resolve()
    if not folder.exists():
        yield _warning("data", f"{folder} is not there yet", "The first start makes it")
    elif not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        yield _problem("data", f"{folder} cannot be written", "Give it to the user of the server")
    elif settings.url.startswith("sqlite") and filesystem(folder) in _NETWORK:
        yield _problem("data", f"{folder} is on a network file system", "SQLite needs a local disk; or use PostgreSQL")
    else:
        yield _ok("data", str(folder))


def filesystem(folder: Path) -> str:
    """Its type, as the kernel calls it; empty where there is no telling."""
    if not _MOUNTS.exists():
        return ""
    mounts = [line.split() for line in _MOUNTS.read_text().splitlines()]
    above = [(len(mount[1]), mount[2]) for mount in mounts if folder.is_relative_to(mount[1])]
    return max(above, default=(0, ""))[1]


def _roots(settings: Settings) -> Iterator[Finding]:
    for root in settings.roots:
        if not root.is_dir():
            said = "is not there" if not root.exists() else "is no folder"
            made = _problem if settings.allowed_roots else _warning
            yield made("files", f"{root} {said}", "Make it or mount it, or take it out of SWITCHYARD_ALLOWED_ROOTS")
        elif not os.access(root, os.W_OK | os.X_OK):
            yield _warning(
                "files", f"{root} cannot be written", "Harvests can read from it; to store there, give it to the server's user"
            )
        else:
            yield _ok("files", str(root))


def _disks(settings: Settings) -> Iterator[Finding]:
    seen: set[int] = set()
    for folder in (settings.data_dir.resolve(), *settings.roots):
        there = next(each for each in (folder, *folder.parents) if each.exists())
        device = there.stat().st_dev
        if device not in seen:
            seen.add(device)
            yield _disk(folder, there)


def _disk(folder: Path, there: Path) -> Finding:
    usage = shutil.disk_usage(there)
    said = f"{usage.free / 2**30:.1f} GiB of {usage.total / 2**30:.1f} GiB free for {folder}"
    if usage.free < LEAST_FREE:
        return _problem(
            "disk", said, "Make room: changes and harvests fail when it is full, and go on by themselves afterwards"
        )
    if usage.free < LITTLE_FREE or usage.free < usage.total * LITTLE_SHARE:
        return _warning("disk", said, "Make room soon")
    return _ok("disk", said)


def _pages() -> Finding:
    if not (BUNDLE / "graphiql.html").is_file():
        return _warning("pages", "plain ones: the explorer and references were not built", "With npm installed: make assets")
    return _ok("pages", "built")


# --- the store of lookups' items -----------------------------------------------------------------------------------------


async def _lookups(settings: Settings) -> AsyncIterator[Finding]:
    if settings.elasticsearch_url is None or find_spec("elasticsearch") is None:
        return
    from storage.lookups.elasticsearch_server import Server

    server, begun = Server(settings.elasticsearch_url.get_secret_value()), time.perf_counter()
    try:
        yield _ok(
            "lookups", f"Elasticsearch {await server.version()}, {(time.perf_counter() - begun) * 1000:.0f} ms to connect"
        )
    except Unavailable:
        yield _problem("lookups", "Elasticsearch does not answer", "Look at SWITCHYARD_ELASTICSEARCH_URL, and into its log")
    finally:
        await server.close()


# --- the database ------------------------------------------------------------------------------------------------------


async def _database(settings: Settings, clock: Clock) -> AsyncIterator[Finding]:
    url = make_url(settings.url)
    if url.get_backend_name() == "sqlite" and url.database and not os.path.exists(url.database):  # noqa: ASYNC240, PTH110  # a command waits for nobody
        yield _warning("database", f"{url.database} is not there yet", "The first start makes it")
        return
    begun = time.perf_counter()
    try:
        database = await open_database(settings.url)
    except (Unavailable, ValueError) as error:
        advice = "Is it running? Address, user, password, and max_connections or the file's owner have to be right"
        yield _problem("database", str(error), advice)
        return
    try:
        version = await _scalar(database, "SELECT sqlite_version()", "SELECT current_setting('server_version')")
        name = "PostgreSQL" if database.dialect.name == "postgresql" else "SQLite"
        yield _ok("database", f"{name} {version}, {(time.perf_counter() - begun) * 1000:.0f} ms to connect")
        schema = await _schema(database)
        yield schema
        yield await _clock(database, clock, current=schema.level is Level.OK)
        if schema.level is Level.OK:
            async for finding in _contents(settings, database, clock):
                yield finding
    except (Unavailable, DBAPIError) as error:
        yield _problem("database", f"it does not answer: {error}", "Look into its log")
    finally:
        await database.close()


async def _contents(settings: Settings, database: Database, clock: Clock) -> AsyncIterator[Finding]:
    generated = settings.data_dir / "secret-key"
    used = await database.first(select(users.c.id).limit(1)) is not None
    if used and settings.secret_key is None and not generated.exists():  # a command waits for nobody
        advice = "Put it back from the backup, or stored credentials cannot be read"
        yield _problem("secret key", f"{generated} is gone, and the database was used with one", advice)
    async for finding in _queue(database, clock):
        yield finding


async def _scalar(database: Database, sqlite: str, postgresql: str) -> object:
    (row,) = await database.fetch(postgresql if database.dialect.name == "postgresql" else sqlite, ())
    return row[0]


async def _schema(database: Database) -> Finding:
    found, needed = await current_revision(database), newest_revision()
    if found == needed:
        return _ok("schema", f"revision {found}")
    if found is None:
        return _warning("schema", "the database is empty", "The first start makes its tables, or `switchyard migrate`")
    if not knows(found):
        return _problem("schema", f"revision {found} is of a newer program", "Install that version, or restore a backup")
    return _problem(
        "schema", f"revision {found}, but {needed} is needed", "Make a backup, stop all servers, `switchyard migrate`"
    )


async def _clock(database: Database, clock: Clock, *, current: bool) -> Finding:
    before = clock()
    theirs = await _scalar(
        database,
        "SELECT (julianday('now') - 2440587.5) * 86400.0",
        "SELECT extract(epoch FROM clock_timestamp())::double precision",
    )
    after = clock()
    assert isinstance(theirs, float)
    skew = theirs - (before.timestamp() + after.timestamp()) / 2
    if abs(skew) >= SKEW:
        made = _problem if abs(skew) >= MUCH_SKEW else _warning
        return made("clock", f"the database's is {abs(skew):.1f} s {'ahead' if skew > 0 else 'behind'}", "Let NTP set both")
    newest = await database.first(select(runs.c.created_at).order_by(runs.c.number.desc()).limit(1)) if current else None
    if newest is not None and newest["created_at"] > after + timedelta(seconds=MUCH_SKEW):
        return _problem(
            "clock",
            f"the last run was made later than now, at {newest['created_at']}",
            "The clock was set back: let NTP set it",
        )
    return _ok("clock", f"{abs(skew) * 1000:.0f} ms from the database's")


async def _queue(database: Database, clock: Clock) -> AsyncIterator[Finding]:
    gauges = QueueGauges(database, clock)
    await gauges.refresh()
    told = gauges.told
    if told is None:
        raise Unavailable("the database did not answer in time")
    queued, running = told.runs[RunState.QUEUED], told.runs[RunState.RUNNING]
    said = f"{queued} queued, {running} running, {told.workers} workers busy"
    if told.lost:
        advice = "A running server takes them back within seconds: start one, or look into its log"
        yield _problem("queue", f"{told.lost} runs whose worker is gone", advice)
    if queued and told.oldest > WAITS_LONG.total_seconds() and not told.workers:
        advice = "No worker takes it: start the server with --workers 1, or `switchyard worker`, and look into its log"
        yield _problem("queue", f"the first of {queued} runs has waited {told.oldest / 60:.0f} minutes", advice)
    elif not told.lost:
        yield _ok("queue", said)
    failed = told.finished.get(RunState.FAILED, 0)
    if failed:
        yield _warning("runs", f"{failed} failed within the last hour", "Ask for harvestRuns(state: FAILED): each says why")
