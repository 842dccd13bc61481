"""Backup and restore of the embedded stores: database, files and generated secret in one tar file.

The first member says what it is, the last one has the checksums of all others. A backup is written aside and renamed when it
is complete; a restored folder is checked as a whole before anything in it gets its name.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import sqlite3
import stat
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from fnmatch import fnmatch
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO, BinaryIO, Literal

from pydantic import AwareDatetime, BaseModel, ValidationError
from sqlalchemy import make_url

from app.settings import Settings
from core.clock import utc_now
from storage.sql.migrate import knows

HEADER, DATABASE, SECRET, FILES, SUMS = "backup.json", "switchyard.db", "secret-key", "files", "SHA256SUMS"
CHUNK = 1 << 20

Say = Callable[[str], None]
"""Told in words how far it is, and what an operator has to know."""


class BackupError(ValueError):
    """There is no backup, or nothing was restored; says why, in words for an operator."""


class Header(BaseModel):
    """What a backup says of itself."""

    format: Literal[1]
    switchyard: str
    revision: str
    created_at: AwareDatetime
    data_dir: str


# --- backup ------------------------------------------------------------------------------------------------------------


def write_backup(settings: Settings, target: Path, say: Say, *, with_secret: bool = True) -> None:
    """Write `target`, which must not exist. Whoever else uses the stores goes on meanwhile."""
    database, data_dir = embedded_database(settings), settings.data_dir.resolve()
    if not database.is_file():
        raise BackupError(f"there is no database {database}")
    target = target.absolute()
    if not target.parent.is_dir():
        raise BackupError(f"there is no folder {target.parent}")
    if target.resolve().is_relative_to(data_dir):
        raise BackupError(f"{target} lies in the data folder itself: choose a place that is not lost together with it")
    _must_be_new(target)
    # Files in a temporary folder of mode 0700: until the rename there is nothing that anybody could take for a backup.
    with TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as name:
        aside = Path(name)
        unfinished = aside / "unfinished"
        with os.fdopen(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), "w+b") as file:
            _archive(file, aside, settings, database, say, with_secret=with_secret)
            file.flush()
            os.fsync(file.fileno())
        _must_be_new(target)
        unfinished.rename(target)
        _sync(target.parent)


def embedded_database(settings: Settings) -> Path:
    """The SQLite file. Raises `BackupError` with what to do instead when the database is another."""
    url = make_url(settings.url)
    if url.get_backend_name() != "sqlite" or not url.database:
        raise BackupError(_ANOTHER_DATABASE.format(settings.data_dir))
    return Path(url.database).resolve()


_ANOTHER_DATABASE = """\
this copies the embedded database only, and yours is PostgreSQL: use its own tools, the database first and then the files
  pg_dump --format=custom --file=switchyard.dump postgresql://USER@HOST/NAME
  tar --create --file=switchyard-files.tar --exclude='.switchyard-*.part' --directory={} .
docs/operations.md says how, and how to restore them"""


def _archive(file: BinaryIO, aside: Path, settings: Settings, database: Path, say: Say, *, with_secret: bool) -> None:
    # The database first: a copy that it calls completed was in its place by then, and copies are never written again, so
    # that each of them is found below. The other way round, those that were made in between would be missing.
    revision = _snapshot(database, aside / DATABASE)
    header = Header(
        format=1,
        switchyard=version("switchyard"),
        revision=revision,
        created_at=utc_now(),
        data_dir=str(settings.data_dir.resolve()),
    )
    (aside / HEADER).write_text(header.model_dump_json(indent=2) + "\n")
    secret, files = settings.data_dir / SECRET, settings.data_dir.resolve() / FILES
    with tarfile.open(fileobj=file, mode="w", encoding="utf-8") as tar, (aside / SUMS).open("w+b") as sums:
        archive = _Archive(tar, sums, say)
        archive.add_path(HEADER, aside / HEADER)
        archive.add_path(DATABASE, aside / DATABASE)
        (aside / DATABASE).unlink()
        if not secret.is_file():
            say("without a secret key: it is a setting, which has to be kept as well")
        elif with_secret:
            archive.add_path(SECRET, secret)
        else:
            say(f"without {secret}: keep it elsewhere, or the stored credentials are lost")
        if files.is_dir():
            archive.add_tree(FILES, files.resolve())
        for root in settings.roots:
            if not root.is_relative_to(files.resolve()):
                say(f"not included: {root}, which SWITCHYARD_ALLOWED_ROOTS names")
        sums.flush()
        archive.report()
        archive.add_path(SUMS, aside / SUMS)


def _snapshot(database: Path, copy: Path) -> str:
    """The database as it is at one moment; its schema revision.

    One step: a copy in several begins anew whenever another process has written. In WAL mode it holds up no writer.
    """
    copy.touch(0o600)
    try:
        with (
            closing(sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True, timeout=15)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
            (verdict,) = target.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise BackupError(f"the database {database} is damaged: {verdict}")
            (revision,) = target.execute("SELECT version_num FROM alembic_version").fetchone()
            return str(revision)
    except sqlite3.Error as error:
        raise BackupError(f"the database {database} cannot be copied: {error}") from error


class _Archive:
    """Adds members to a tar file, and a line for each to the list of checksums."""

    def __init__(self, tar: tarfile.TarFile, sums: BinaryIO, say: Say) -> None:
        self._tar, self._sums, self._say = tar, sums, say
        self._files = self._bytes = 0
        self._reported = time.monotonic()

    def add_path(self, name: str, path: Path) -> None:
        with path.open("rb") as stream:
            self._add_file(name, stream)

    def add_tree(self, name: str, root: Path) -> None:
        """Folders and regular files, without following a link; what cannot be in a backup is named."""
        for path, folders, names, descriptor in os.fwalk(root, onerror=self._unreadable):
            inside = PurePosixPath(name) / Path(path).relative_to(root).as_posix()
            self._add(_member(str(inside), os.fstat(descriptor), tarfile.DIRTYPE))
            for each in [*folders, *names]:
                if not fnmatch(each, ".switchyard-*.part"):  # a copy that is being made: a harvest will make it again
                    self._add_entry(f"{inside}/{each}", each, descriptor)

    def report(self) -> None:
        """Say how far it is."""
        self._reported = time.monotonic()
        self._say(f"{self._files:,} files, {self._bytes:,} bytes")

    def _add_entry(self, shown: str, name: str, folder: int) -> None:
        try:
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                return
            if not stat.S_ISREG(mode):
                self._say(f"left out: {shown} is {'a link' if stat.S_ISLNK(mode) else 'no regular file'}")
                return
            with os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder), "rb") as stream:
                self._add_file(shown, stream)
        except FileNotFoundError:
            self._say(f"left out: {shown} was removed meanwhile")
        except OSError as error:
            if error.filename == name:
                error.filename = shown
            raise

    def _add_file(self, name: str, stream: BinaryIO) -> None:
        found = os.fstat(stream.fileno())
        reader = _Reader(stream, self._advance)
        self._add(_member(name, found), reader)
        after = os.fstat(stream.fileno())
        if (after.st_size, after.st_mtime_ns) != (found.st_size, found.st_mtime_ns):
            self._say(f"changed while it was read: {name}")
        self._sums.write(_line(reader.digest.hexdigest(), name))
        self._files += 1

    def _add(self, member: tarfile.TarInfo, reader: _Reader | None = None) -> None:
        self._tar.addfile(member, reader)  # type: ignore[arg-type]  # it needs no more than `read`
        self._tar.members.clear()  # type: ignore[attr-defined]  # kept for lookups by name, which nobody makes here

    def _advance(self, size: int) -> None:
        self._bytes += size
        if time.monotonic() > self._reported + 5:
            self.report()

    def _unreadable(self, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error


class _Reader:
    """Hashes what is read. A file that has become shorter goes on with zeros: its size is in the archive already."""

    def __init__(self, stream: BinaryIO, watch: Callable[[int], None]) -> None:
        self.digest = hashlib.sha256()
        self._stream, self._watch = stream, watch

    def read(self, size: int) -> bytes:
        chunk = self._stream.read(size).ljust(size, b"\0")
        self.digest.update(chunk)
        self._watch(size)
        return chunk


def _member(name: str, found: os.stat_result, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    """Without its owner: whoever restores it owns it."""
    member = tarfile.TarInfo(name)
    member.type, member.mode = kind, stat.S_IMODE(found.st_mode) & 0o777
    member.size = found.st_size if kind == tarfile.REGTYPE else 0
    member.pax_headers = {"mtime": f"{Decimal(found.st_mtime_ns).scaleb(-9):f}"}  # exact: as a float it loses the nanoseconds
    return member


def _line(digest: str, name: str) -> bytes:
    """A line as `sha256sum --check` reads it."""
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n")
    mark = "" if escaped == name else "\\"
    return f"{mark}{digest}  {escaped}\n".encode(errors="surrogateescape")


# --- restore -----------------------------------------------------------------------------------------------------------


def restore_backup(settings: Settings, source: Path, say: Say) -> Header:
    """Fill the data folder, which must be empty or missing, from a backup."""
    folder = settings.data_dir.resolve()
    if embedded_database(settings) != folder / DATABASE:
        raise BackupError(f"the settings name another database than {folder / DATABASE}: unset SWITCHYARD_DATABASE_URL")
    if folder.exists() and any(folder.iterdir()):
        raise BackupError(f"{folder} is not empty")
    with source.open("rb") as file:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Inside the data folder, since a folder beside it may be on another disk: names must change places at once.
        with TemporaryDirectory(prefix=".restore-", dir=folder) as name:
            aside = Path(name)
            header = _unpack(file, aside, say)
            os.sync()
            for each in (FILES, SECRET, DATABASE):  # the database last: without it nothing is there yet
                if (aside / each).exists():
                    (aside / each).rename(folder / each)
    _sync(folder)
    return header


def _unpack(file: BinaryIO, aside: Path, say: Say) -> Header:
    with _explained(), tarfile.open(fileobj=file, mode="r|", bufsize=CHUNK, encoding="utf-8") as tar:
        members = _members(tar)
        header, line = _read_header(next(members, None), tar)
        say(f"made {header.created_at:%F %T} UTC by Switchyard {header.switchyard}, at revision {header.revision}")
        with (aside / SUMS).open("w+b") as sums:
            sums.write(line)
            for member in members:
                if member.name == SUMS:
                    sums.seek(0)
                    _compare(sums, _content(tar, member))
                    break
                sums.write(_extract(tar, member, aside))
            else:
                raise BackupError("the backup ends early: it is truncated or damaged")
    if not (aside / DATABASE).is_file():
        raise BackupError("the backup has no database")
    return header


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, ArithmeticError) as error:
        raise BackupError(f"the backup is damaged, or it is none: {error}") from error


def _members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    while (member := tar.next()) is not None:
        yield member
        tar.members.clear()  # type: ignore[attr-defined]  # as above


def _read_header(member: tarfile.TarInfo | None, tar: tarfile.TarFile) -> tuple[Header, bytes]:
    if member is None or member.name != HEADER or not member.isreg() or member.size > CHUNK:
        raise BackupError("this is no backup of Switchyard")
    text = _content(tar, member).read()
    try:
        header = Header.model_validate_json(text)
    except ValidationError as error:
        raise BackupError("the backup is of a kind that this program does not know") from error
    if not knows(header.revision):
        raise BackupError(
            f"the backup was made by Switchyard {header.switchyard} at revision {header.revision}, which is newer than "
            f"this program ({version('switchyard')}): use that version"
        )
    return header, _line(hashlib.sha256(text).hexdigest(), HEADER)


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, aside: Path) -> bytes:
    """Write a member below `aside`; its line in the list of checksums. No member can be a link, so no path leads out."""
    parts = PurePosixPath(member.name).parts
    inside = parts[:1] == (FILES,) and ".." not in parts
    if member.isdir() and inside:
        (aside / member.name).mkdir(mode=member.mode & 0o777 | 0o700)
        return b""
    if not member.isreg() or not (inside or parts in {(DATABASE,), (SECRET,)}):
        raise BackupError(f"the backup holds {member.name!r}, which has no place in a data folder")
    mode = member.mode & 0o777 if inside else 0o600
    digest = hashlib.sha256()
    with os.fdopen(os.open(aside / member.name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        content = _content(tar, member)
        while chunk := content.read(CHUNK):
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fchmod(file.fileno(), mode)
        moment = int(Decimal(member.pax_headers.get("mtime", member.mtime)).scaleb(9))
        os.utime(file.fileno(), ns=(moment, moment))
    return _line(digest.hexdigest(), member.name)


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(member)
    assert content is not None  # it is a regular file
    return content


def _compare(found: IO[bytes], stated: IO[bytes]) -> None:
    for ours, theirs in itertools.zip_longest(found, stated, fillvalue=b""):
        if ours != theirs:
            name = (ours or theirs).decode(errors="replace").strip().partition("  ")[2]
            raise BackupError(f"the backup is damaged: {name} is not what was stored")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _must_be_new(target: Path) -> None:
    if os.path.lexists(target):
        raise BackupError(f"{target} exists already")
