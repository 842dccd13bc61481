"""Backups: complete and never half visible, restored as they were, and refused when they are not what they say."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import time
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Self

import httpx
import pytest
from sqlalchemy import select

from app import backup
from app.backup import BackupError, restore_backup, write_backup
from app.settings import Settings
from core.vocabulary import RunState, TransferStatus
from jobs.queue import Queue
from storage.sql.migrate import newest_revision
from storage.sql.opening import open_database
from storage.sql.tables import file_records, file_transfers, runs
from tests import postgres
from tests.app.test_server import serving
from tests.docs.support import blocks
from tests.jobs.conftest import Laboratory

ROOT = Path(__file__).parents[2]
ODD_NAMES = ("a\nline", "back\\slash", "ünïcode", "long" * 50, b"not-utf-8-\xff".decode(errors="surrogateescape"))


def settings_for(folder: Path, **others) -> Settings:
    return Settings(_env_file=None, SWITCHYARD_DATA_DIR=folder, **others)


@pytest.fixture
def data(tmp_path, migrated, environment) -> Path:
    """A data folder with a few files."""
    folder = tmp_path / "data"
    (folder / "files" / "empty").mkdir(parents=True)
    (folder / "files" / "archive" / "deep").mkdir(parents=True)
    shutil.copy(migrated, folder / "switchyard.db")
    (folder / "secret-key").write_text("s" * 64)
    (folder / "secret-key").chmod(0o600)
    (folder / "files" / "archive" / "spectrum").write_bytes(bytes(range(256)) * 8192)
    (folder / "files" / "archive" / "deep" / "empty").touch(mode=0o640)
    os.utime(folder / "files" / "archive" / "spectrum", ns=(1, 1_700_000_000_123_456_789))
    return folder


class Said(list):
    def __call__(self, text: str) -> None:
        self.append(text)


def back_up(data: Path, **options) -> tuple[Path, Said]:
    said, target = Said(), data.parent / "backup.tar"
    write_backup(settings_for(data), target, said, **options)
    return target, said


def restored(target: Path, name: str = "restored") -> Path:
    folder = target.parent / name
    restore_backup(settings_for(folder), target, Said())
    return folder


def tree(folder: Path) -> dict[str, tuple[int, int, bytes] | None]:
    """Every entry: its mode, time and content; None for a folder."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.stat().st_mtime_ns, path.read_bytes())
        if path.is_file()
        else None
        for path in sorted(folder.rglob("*"))
    }


def rows(database: Path, text: str) -> list[tuple]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(text).fetchall()


# --- what is in a backup -----------------------------------------------------------------------------------------------


def test_a_restored_folder_is_what_was_backed_up(data):
    for name in ODD_NAMES:
        (data / "files" / name).write_text(f"the content of {name!r}")
    target, _ = back_up(data)
    folder = restored(target)
    assert tree(folder / "files") == tree(data / "files")
    assert (folder / "secret-key").read_text() == "s" * 64
    assert rows(folder / "switchyard.db", "SELECT version_num FROM alembic_version") == [(newest_revision(),)]
    assert rows(folder / "switchyard.db", "SELECT * FROM sqlite_master") == rows(
        data / "switchyard.db", "SELECT * FROM sqlite_master"
    )
    assert sorted(path.name for path in folder.iterdir()) == ["files", "secret-key", "switchyard.db"]
    assert [(folder / name).stat().st_mode & 0o777 for name in ("", "secret-key", "switchyard.db")] == [0o700, 0o600, 0o600]


def test_only_its_owner_may_read_it_and_nothing_else_is_left(data):
    target, _ = back_up(data)
    assert target.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in target.parent.iterdir()) == ["backup.tar", "data"]
    with tarfile.open(target) as tar:
        modes = {member.name: member.mode for member in tar}
    assert (modes["switchyard.db"], modes["secret-key"], modes["SHA256SUMS"]) == (0o600, 0o600, 0o644)


def test_it_says_what_it_is(data):
    target, said = back_up(data)
    with tarfile.open(target) as tar:
        names = tar.getnames()
        header = json.load(tar.extractfile("backup.json"))
    assert (names[0], names[-1]) == ("backup.json", "SHA256SUMS")
    assert header == {
        "format": 1,
        "switchyard": "0.1.0",
        "revision": newest_revision(),
        "created_at": header["created_at"],
        "data_dir": str(data),
    }
    assert datetime.now(UTC) - datetime.fromisoformat(header["created_at"]) < timedelta(minutes=1)
    assert said[-1].startswith("5 files, ")


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
def test_other_tools_can_check_and_unpack_it(data, tmp_path):
    for name in ODD_NAMES:
        (data / "files" / name).write_text(name, errors="surrogateescape")
    target, _ = back_up(data)
    (tmp_path / "unpacked").mkdir()
    subprocess.run(["tar", "-xf", target, "-C", tmp_path / "unpacked"], check=True)
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=tmp_path / "unpacked", check=True)
    assert tree(tmp_path / "unpacked" / "files").keys() == tree(data / "files").keys()


def test_what_is_in_the_write_ahead_log_is_in_the_backup(data):
    with closing(sqlite3.connect(data / "switchyard.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE fresh AS SELECT 42 AS answer")
        assert (data / "switchyard.db-wal").stat().st_size > 0
        target, _ = back_up(data)
        connection.execute("INSERT INTO fresh VALUES (43)")
    assert rows(restored(target) / "switchyard.db", "SELECT answer FROM fresh") == [(42,)]


def test_a_database_that_a_setting_names(data, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (data / "switchyard.db").rename(tmp_path / "elsewhere" / "some.db")
    settings = settings_for(data, SWITCHYARD_DATABASE_URL=f"sqlite+aiosqlite:///{tmp_path}/elsewhere/some.db")
    write_backup(settings, tmp_path / "backup.tar", Said())
    assert (restored(tmp_path / "backup.tar") / "switchyard.db").is_file()
    with pytest.raises(BackupError, match="unset SWITCHYARD_DATABASE_URL"):
        restore_backup(settings, tmp_path / "backup.tar", Said())


def test_without_the_secret(data):
    target, said = back_up(data, with_secret=False)
    assert f"without {data}/secret-key: keep it elsewhere, or the stored credentials are lost" in said
    assert not (restored(target) / "secret-key").exists()


def test_the_secret_may_be_a_setting(data):
    (data / "secret-key").unlink()
    _, said = back_up(data)
    assert "without a secret key: it is a setting, which has to be kept as well" in said


def test_folders_elsewhere_are_named(data, tmp_path):
    said = Said()
    settings = settings_for(data, SWITCHYARD_ALLOWED_ROOTS=f"{data}/files/archive:{tmp_path}/share")
    write_backup(settings, tmp_path / "backup.tar", said)
    assert [text for text in said if "not included" in text] == [
        f"not included: {tmp_path}/share, which SWITCHYARD_ALLOWED_ROOTS names"
    ]


def test_the_files_folder_may_be_a_link_to_another_disk(data, tmp_path):
    (data / "files").rename(tmp_path / "disk")
    (data / "files").symlink_to(tmp_path / "disk")
    target, said = back_up(data)
    assert tree(restored(target) / "files") == tree(tmp_path / "disk")
    assert not [text for text in said if "not included" in text]


def test_what_cannot_be_in_a_backup_is_named(data):
    files = data / "files"
    (files / "link").symlink_to("/etc")
    (files / "archive" / "link").symlink_to("spectrum")
    os.mkfifo(files / "pipe")
    (files / "archive" / ".switchyard-0123.part").write_text("half a copy")
    target, said = back_up(data)
    assert sorted(text for text in said if text.startswith("left out")) == [
        "left out: files/archive/link is a link",
        "left out: files/link is a link",
        "left out: files/pipe is no regular file",
    ]
    assert sorted(tree(restored(target) / "files")) == [
        "archive",
        "archive/deep",
        "archive/deep/empty",
        "archive/spectrum",
        "empty",
    ]


def test_files_that_change_meanwhile(data, monkeypatch):
    archive = data / "files" / "archive"
    for name in ("grows", "shrinks"):
        (archive / name).write_bytes(b"x" * 100_000)
    (archive / "vanishes").touch()
    plain = backup._member

    def member(name, found, *kind):
        if name == "files/archive":  # by now its entries are listed
            (archive / "vanishes").unlink()
        if name.endswith("/grows"):
            with (archive / "grows").open("ab") as file:
                file.write(b"y")
        if name.endswith("/shrinks"):
            os.truncate(archive / "shrinks", 10)
        return plain(name, found, *kind)

    monkeypatch.setattr(backup, "_member", member)
    target, said = back_up(data)
    folder = restored(target) / "files" / "archive"
    assert sorted(text for text in said if "files/archive/" in text) == [
        "changed while it was read: files/archive/grows",
        "changed while it was read: files/archive/shrinks",
        "left out: files/archive/vanishes was removed meanwhile",
    ]
    assert (folder / "grows").read_bytes() == b"x" * 100_000
    assert (folder / "shrinks").read_bytes() == b"x" * 10 + bytes(99_990)
    assert not (folder / "vanishes").exists()


# --- what is refused ---------------------------------------------------------------------------------------------------


def test_an_existing_file_stays(data):
    (data.parent / "backup.tar").write_text("last week's")
    with pytest.raises(BackupError, match=r"backup\.tar exists already"):
        back_up(data)
    assert (data.parent / "backup.tar").read_text() == "last week's"


@pytest.mark.parametrize("name", ["switchyard.db", "backup.json", "SHA256SUMS"])
def test_any_name_will_do(data, tmp_path, name):
    write_backup(settings_for(data), tmp_path / name, Said())
    assert tree(restored(tmp_path / name) / "files") == tree(data / "files")


def test_a_file_that_appears_meanwhile_stays(data, monkeypatch):
    monkeypatch.setattr(backup, "_archive", lambda *_, **__: (data.parent / "backup.tar").write_text("another's"))
    with pytest.raises(BackupError, match=r"backup\.tar exists already"):
        back_up(data)
    assert (data.parent / "backup.tar").read_text() == "another's"


def test_places_where_no_backup_belongs(data, tmp_path):
    for place, said in (
        (data / "files" / "backup.tar", "lies in the data folder itself"),
        (tmp_path / "nothing" / "backup.tar", f"there is no folder {tmp_path}/nothing"),
    ):
        with pytest.raises(BackupError, match=said):
            write_backup(settings_for(data), place, Said())
    assert not (data / "files" / "backup.tar").exists()


def test_a_database_that_is_not_there_or_damaged(data):
    database = data / "switchyard.db"
    content = database.read_bytes()
    for damaged, said in (
        (content[:4096] + bytes(4096) + content[8192:], "is damaged|cannot be copied"),
        (b"no database" * 1000, "cannot be copied: file is not a database"),
        (b"", "cannot be copied: no such table"),
    ):
        database.write_bytes(damaged)
        with pytest.raises(BackupError, match=said):
            back_up(data)
    database.unlink()
    with pytest.raises(BackupError, match=f"there is no database {database}"):
        back_up(data)
    assert [path.name for path in data.parent.iterdir()] == ["data"]


def test_another_database(data):
    settings = settings_for(data, SWITCHYARD_DATABASE_URL="postgresql+asyncpg://me:hunter2@db/x")
    for work in (
        lambda: write_backup(settings, data.parent / "backup.tar", Said()),
        lambda: restore_backup(settings, data.parent / "backup.tar", Said()),
    ):
        with pytest.raises(BackupError, match="pg_dump --format=custom") as refusal:
            work()
        assert "hunter2" not in str(refusal.value)


def test_a_folder_with_something_in_it_is_not_restored_to(data):
    target, _ = back_up(data)
    before = tree(data)
    with pytest.raises(BackupError, match="data is not empty"):
        restore_backup(settings_for(data), target, Said())
    assert tree(data) == before


@pytest.fixture
def refused(tmp_path):
    """Restore from such a file; what is said. Nothing may be left of it."""

    def refuse(content: bytes) -> str:
        (tmp_path / "bad.tar").write_bytes(content)
        folder = tmp_path / "refused"
        with pytest.raises(BackupError) as refusal:
            restore_backup(settings_for(folder), tmp_path / "bad.tar", Said())
        assert list(folder.iterdir()) == []
        return str(refusal.value)

    return refuse


@pytest.mark.parametrize("content", [b"", b"no tar", bytes(10240), os.urandom(4096)], ids=["empty", "text", "zeros", "noise"])
def test_what_is_no_backup(refused, environment, content):
    assert "no backup of Switchyard" in (said := refused(content)) or "damaged, or it is none" in said


def test_a_truncated_backup(data, refused):
    target, _ = back_up(data)
    content = target.read_bytes()
    end = content.rindex(b"SHA256SUMS")
    for size in (600, 1024, 4096, len(content) // 3, len(content) // 2 // 512 * 512, end, end + 600):
        assert "damaged" in refused(content[:size]), size


def test_a_damaged_backup(data, refused):
    """One byte is another one: in the header, in each stored file, in a name, in the list of checksums."""
    target, _ = back_up(data)
    content = target.read_bytes()
    with tarfile.open(target) as tar:
        places = {member.name: member.offset_data + member.size // 2 for member in tar if member.size}
        places |= {f"name of {member.name}": member.offset_data - 512 + 2 for member in tar if member.size}
    assert len(places) == 10
    for name, place in places.items():
        damaged = bytearray(content)
        damaged[place] ^= 1
        said = refused(bytes(damaged))
        assert any(reason in said for reason in ("is damaged", "no backup of Switchyard", "does not know")), (name, said)


def crafted(*members: tarfile.TarInfo, header: bytes | None = None) -> bytes:
    """A tar file with a header that is right, and then these."""
    if header is None:
        stated = {"format": 1, "switchyard": "9", "revision": newest_revision(), "created_at": "2026-01-01T00:00Z"}
        header = json.dumps(stated | {"data_dir": "/"}).encode()
    first = tarfile.TarInfo("backup.json")
    first.size = len(header)
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        tar.addfile(first, io.BytesIO(header))
        for member in members:
            tar.addfile(member, io.BytesIO(bytes(member.size)))
    return file.getvalue()


def entry(name: str, kind: bytes = tarfile.REGTYPE, **values) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    for key, value in values.items():
        setattr(member, key, value)
    return member


@pytest.mark.parametrize(
    "member",
    [
        entry("../evil"),
        entry("/tmp/evil"),
        entry("files/../../evil"),
        entry("evil"),
        entry("files2/evil"),
        entry("..", tarfile.DIRTYPE),
        entry("switchyard.db", tarfile.DIRTYPE),
        entry("files", tarfile.SYMTYPE, linkname="/etc"),
        entry("files/link", tarfile.SYMTYPE, linkname="../secret-key"),
        entry("files/link", tarfile.LNKTYPE, linkname="/etc/passwd"),
        entry("files/device", tarfile.CHRTYPE, devmajor=1, devminor=3),
        entry("files/pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda member: f"{member.name} {member.type.decode()}",
)
def test_members_that_have_no_place_in_a_data_folder(refused, environment, tmp_path, member):
    folder = entry("files", tarfile.DIRTYPE)
    before = [folder] if member.name.startswith("files/") else []
    assert refused(crafted(*before, member)) == f"the backup holds {member.name!r}, which has no place in a data folder"
    assert not (tmp_path / "evil").exists()


def test_a_member_that_is_there_twice(environment, tmp_path):
    (tmp_path / "bad.tar").write_bytes(crafted(entry("secret-key"), entry("secret-key")))
    with pytest.raises(FileExistsError):
        restore_backup(settings_for(tmp_path / "refused"), tmp_path / "bad.tar", Said())
    assert list((tmp_path / "refused").iterdir()) == []


def test_backups_of_other_programs(refused, environment):
    stated = {"format": 1, "switchyard": "9.9", "revision": "9999", "created_at": "2026-01-01T00:00Z", "data_dir": "/"}
    assert refused(crafted(header=json.dumps(stated).encode())) == (
        "the backup was made by Switchyard 9.9 at revision 9999, which is newer than this program (0.1.0): use that version"
    )
    for other in ({"format": 2}, {"revision": None}, {"created_at": "yesterday"}):
        assert "of a kind that this program does not know" in refused(crafted(header=json.dumps(stated | other).encode()))
    assert "of a kind that this program does not know" in refused(crafted(header=b"{"))


def test_a_backup_without_a_database(refused, environment):
    header = crafted()[512:]
    digest = backup.hashlib.sha256(header[: header.index(b"\0")]).hexdigest()
    sums = f"{digest}  backup.json\n".encode()
    file = io.BytesIO(crafted())
    with tarfile.open(fileobj=file, mode="a") as tar:
        tar.addfile(entry("SHA256SUMS", size=len(sums)), io.BytesIO(sums))
    assert refused(file.getvalue()) == "the backup has no database"


# --- a full disk -------------------------------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path, size: str):
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root can mount a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("size", ["100k", "1500k"], ids=["for the database", "for the files"])
def test_a_full_disk_leaves_no_backup(data, tmp_path, size):
    with small_disk(tmp_path / "disk", size):
        with pytest.raises((OSError, BackupError), match=r"No space left on device|disk is full"):
            write_backup(settings_for(data), tmp_path / "disk" / "backup.tar", Said())
        assert list((tmp_path / "disk").iterdir()) == []


def test_a_full_disk_leaves_nothing_restored(data, tmp_path):
    target, _ = back_up(data)
    with small_disk(tmp_path / "disk", "1500k"):
        with pytest.raises(OSError, match="No space left on device"):
            restore_backup(settings_for(tmp_path / "disk"), target, Said())
        assert list((tmp_path / "disk").iterdir()) == []
        shutil.rmtree(data / "files")
        (tmp_path / "small.tar").unlink(missing_ok=True)
        write_backup(settings_for(data), tmp_path / "small.tar", Said())
        restore_backup(settings_for(tmp_path / "disk"), tmp_path / "small.tar", Said())  # a disk of its own is fine
        assert (tmp_path / "disk" / "switchyard.db").is_file()


# --- processes ---------------------------------------------------------------------------------------------------------


def command(*arguments: object, **options) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "app.cli", *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def done(*arguments: object) -> tuple[str, str]:
    """What a command that succeeds prints."""
    process = command(*arguments)
    output, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    return output, said


@pytest.mark.slow
def test_the_commands(data, tmp_path):
    target, other = tmp_path / "backup.tar", tmp_path / "other"
    output, said = done("backup", target, "--without-secret", "--data-dir", data)
    assert output == f"The backup is {target}. Keep it as secret as the data folder.\n"
    assert "without " in said
    output, said = done("restore", target, "--data-dir", other)
    assert output == (
        f"{other} is as it was. Start the server: switchyard serve --data-dir {other}\n"
        f"It was {data}: instruments and storage locations still name folders there.\n"
        "The secret key is not in the backup: set SWITCHYARD_SECRET_KEY first, or a new one is made.\n"
    )
    assert said.startswith("made 20")
    process = command("backup", target, "--data-dir", data)
    assert (*process.communicate(timeout=60), process.returncode) == ("", f"switchyard: {target} exists already\n", 1)
    process = command("restore", tmp_path / "nothing.tar", "--data-dir", tmp_path / "third")
    assert (*process.communicate(timeout=60), process.returncode) == (
        "",
        f"switchyard: No such file or directory: {tmp_path}/nothing.tar\n",
        1,
    )


@pytest.fixture
def large(data) -> Path:
    """Enough to be interrupted."""
    with (data / "files" / "large").open("wb") as file:
        file.truncate(8 << 30)
    return data


def under_way(target: Path) -> Path:
    """The hidden folder of a backup, once it has written some of it."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for each in target.parent.glob(f".{target.name}-*/unfinished"):
            if each.stat().st_size > 20_000_000:
                return each.parent
        time.sleep(0.01)
    raise AssertionError("no backup is under way")


@pytest.mark.slow
def test_a_backup_that_is_killed_is_never_seen(large, tmp_path):
    target = tmp_path / "backup.tar"
    process = command("backup", target, "--data-dir", large)
    aside = under_way(target)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not target.exists()
    assert aside.stat().st_mode & 0o777 == 0o700
    (large / "files" / "large").unlink()
    shutil.rmtree(aside)
    done("backup", target, "--data-dir", large)
    assert tree(restored(target) / "files") == tree(large / "files")


@pytest.mark.slow
def test_a_backup_that_is_told_to_end_leaves_nothing(large, tmp_path):
    target = tmp_path / "backup.tar"
    process = command("backup", target, "--data-dir", large)
    under_way(target)
    process.send_signal(signal.SIGTERM)
    assert (process.communicate(timeout=60)[0], process.returncode) == ("", 130)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.slow
def test_a_restore_that_is_killed_shows_nothing(large, tmp_path):
    os.truncate(large / "files" / "large", 400 << 20)
    target, _ = back_up(large)
    folder = tmp_path / "restored"
    process = command("restore", target, "--data-dir", folder)
    end = time.monotonic() + 60
    while not any(path.stat().st_size > 20_000_000 for path in folder.glob(".restore-*/files/large")):
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert [path.name.partition("-")[0] for path in folder.iterdir()] == [".restore"]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_files(large, tmp_path):
    """300 MB in one file and 10,000 empty ones, backed up and restored in 16 MB more than nothing takes."""
    os.truncate(large / "files" / "large", 300 << 20)
    for number in range(10_000):
        (large / "files" / "archive" / "deep" / f"{number}").touch()
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    shutil.copy(large / "switchyard.db", nothing)

    def peak(*arguments: object) -> int:
        """Kilobytes."""
        program = (
            "import resource, sys; from app.cli import cli; cli(sys.argv[1:], standalone_mode=False); "
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        measured = [sys.executable, "-c", program, *map(str, arguments)]
        return int(subprocess.run(measured, capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()[-1])

    before = peak("backup", tmp_path / "nothing.tar", "--data-dir", nothing)
    assert peak("backup", tmp_path / "all.tar", "--data-dir", large) < before + 16 * 1024
    shutil.rmtree(large)
    assert peak("restore", tmp_path / "all.tar", "--data-dir", tmp_path / "restored") < before + 16 * 1024
    assert (tmp_path / "restored" / "files" / "large").stat().st_size == 300 << 20


LOGIN = {"username": "ada@example.org", "password": "correct horse"}
ADMIN = {"ADMIN_EMAIL": LOGIN["username"], "ADMIN_PASSWORD": LOGIN["password"]}


def signed_in(address: str) -> httpx.Client:
    token = httpx.post(f"{address}/auth/jwt/login", data=LOGIN).json()["access_token"]
    return httpx.Client(base_url=address, headers={"authorization": f"Bearer {token}"}, timeout=30)


class Writers:
    """Create storage locations until they are told to stop; what was acknowledged, and the longest wait for it."""

    def __init__(self, address: str) -> None:
        self.acknowledged: list[str] = []
        self.longest = 0.0
        self.failures: list[object] = []
        self._stop = Event()
        self._threads = [Thread(target=self._write, args=(address, number)) for number in range(3)]

    def _write(self, address: str, number: int) -> None:
        with signed_in(address) as http:
            count = 0
            while not self._stop.is_set():
                name = f"{number}-{(count := count + 1)}"
                begun = time.monotonic()
                reply = http.post("/api/storage-locations", json={"name": name, "type": "posix", "base_path": f"/x/{name}"})
                self.longest = max(self.longest, time.monotonic() - begun)
                if reply.status_code == 201:
                    self.acknowledged.append(name)
                else:
                    self.failures.append(reply.text)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def locations(http: httpx.Client) -> set[str]:
    """All of them: a page holds 500."""
    found: set[str] = set()
    while True:
        body = http.get("/api/storage-locations", params={"skip": len(found), "limit": 500}).json()
        found |= {each["name"] for each in body["items"]}
        if len(found) >= body["total"]:
            return found


@pytest.mark.slow
def test_a_backup_of_a_server_that_is_written_to(tmp_path):
    """What was acknowledged before the backup began is in it; nobody waits for it; the restored server serves it."""
    kept: set[str] = set()
    with serving(tmp_path, "--workers", "0", **ADMIN) as server:
        with Writers(server.address) as writers:
            for round_ in range(3):
                while len(writers.acknowledged) < 20 * (round_ + 1):
                    time.sleep(0.01)
                kept = set(writers.acknowledged)
                done("backup", tmp_path / f"{round_}.tar", "--data-dir", tmp_path / "data")
        written = set(writers.acknowledged)
        assert writers.failures == []
        assert writers.longest < 5
        server.process.send_signal(signal.SIGKILL)
    shutil.rmtree(tmp_path / "data")
    done("restore", tmp_path / "2.tar", "--data-dir", tmp_path / "data")
    with serving(tmp_path, "--workers", "0") as server, signed_in(server.address) as http:
        names = locations(http)
        assert server.end()[0] == 0
    assert kept <= names <= written | {f"{thread}-{count}" for thread in range(3) for count in range(1, len(written) + 2)}


def documented(beginning: str, **variables: str) -> None:
    """Run that block of docs/operations.md, with `/srv/switchyard` being another folder."""
    (text,) = [block.text for block in blocks(ROOT / "docs/operations.md") if block.text.startswith(beginning)]
    folder = variables.pop("folder")
    script = text.replace("/srv/switchyard", folder)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(folder).parent,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pg_dump") is None, reason="pg_dump is not installed")
def test_the_documented_commands_for_postgresql(tmp_path):
    """Dumped while it is written to, restored into another database and folder, served from there."""
    with postgres.empty() as url, postgres.empty() as other:
        plain, another = [each.replace("+asyncpg", "") for each in (url, other)]
        with serving(tmp_path, "--workers", "0", SWITCHYARD_DATABASE_URL=url, **ADMIN) as server:
            with Writers(server.address) as writers:
                while len(writers.acknowledged) < 20:
                    time.sleep(0.01)
                kept = set(writers.acknowledged)
                documented("pg_dump", DATABASE=plain, folder=str(tmp_path / "data"))
            assert writers.failures == []
        shutil.rmtree(tmp_path / "data")
        documented("pg_restore", DATABASE=another, folder=str(tmp_path / "data"))
        with serving(tmp_path, "--workers", "0", SWITCHYARD_DATABASE_URL=other) as server, signed_in(server.address) as http:
            assert kept <= locations(http)
            assert server.end()[0] == 0
        assert [path.name for path in (tmp_path / "data").iterdir()] == ["secret-key"]


@pytest.mark.slow
async def test_a_harvest_goes_on_after_the_restore(data, tmp_path):
    """Backed up in the middle, lost, restored: as after a crash, and every file is there once."""
    url, files = f"sqlite+aiosqlite:///{data}/switchyard.db", data / "files"
    database = await open_database(url)
    laboratory = Laboratory(database, files)
    await laboratory.set_up(lambda: datetime.now(UTC))
    for number in range(6):
        laboratory.put(f"{number}", bytes([number]) * (3 << 20))
    run_id = await laboratory.trigger()

    def start_worker() -> subprocess.Popen[bytes]:
        script = ROOT / "tests" / "jobs" / "slow_worker.py"
        return subprocess.Popen(
            [sys.executable, script, url, files, str(os.getpid()), "0.1"], env=os.environ | {"PYTHONPATH": str(ROOT)}
        )

    async def transfers() -> list[TransferStatus]:
        return [row["status"] for row in await database.all(select(file_transfers).order_by(file_transfers.c.started_at))]

    def wait() -> None:
        assert time.monotonic() < end
        time.sleep(0.02)

    worker, end = start_worker(), time.monotonic() + 60
    while (await transfers()).count(TransferStatus.COMPLETED) < 2:
        wait()
    write_backup(settings_for(data), tmp_path / "backup.tar", Said())
    worker.kill()
    worker.wait()
    await database.close()
    shutil.rmtree(data)

    restore_backup(settings_for(data), tmp_path / "backup.tar", Said())
    shutil.copytree(files / "share", tmp_path / "share")
    database = await open_database(url)
    assert [row["state"] for row in await database.all(select(runs))] == [RunState.RUNNING]
    statuses = await transfers()
    assert 2 <= statuses.count(TransferStatus.COMPLETED) < 6
    assert await Queue(database, clock=lambda: datetime.now(UTC) + timedelta(seconds=31)).recover() == 1
    worker, end = start_worker(), time.monotonic() + 60
    try:
        while any(row["finished_at"] is None for row in await database.all(select(runs))):
            wait()
        assert [(row["id"], row["state"]) for row in await database.all(select(runs))] == [(run_id, RunState.SUCCEEDED)]
        assert (await transfers()).count(TransferStatus.COMPLETED) == 6
        assert len(await database.all(select(file_records))) == 6
    finally:
        worker.kill()
        worker.wait()
        await database.close()
    copies = {path.name: path.read_bytes() for path in (files / "archive").rglob("*") if path.is_file()}
    assert copies.pop("spectrum")
    assert copies.pop("empty") == b""
    assert copies == {f"{number}": bytes([number]) * (3 << 20) for number in range(6)}
