"""The content of files through `content` and `/download/…`: who gets it, in which parts, and what is said when there is none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio
import xxhash
from sqlalchemy import delete, update

from core.secrets import Secret
from core.vocabulary import GranteeType, StorageType, TransferStatus
from storage.sql.tables import file_access_grants, file_transfers, user_instrument_access, users
from tests.contract.instruments.records import add_file, add_instrument, add_location, add_transfer, give_access, grant
from tests.contract.support import UNKNOWN, Api, World

CONTENT = bytes(range(256)) * 4096  # a megabyte: more than is read at once
ETAG = f'"xxh64-{xxhash.xxh64(CONTENT).hexdigest()}"'
LINK = "query($file: UUID!) { file(localId: $file) { content } }"


class Shelf:
    """A file with one copy, on an instrument that nobody has access to."""

    def __init__(self, world: World, instrument: UUID, file: UUID, copy: Path) -> None:
        self.world, self.instrument, self.file, self.copy = world, instrument, file, copy

    async def link(self, who: Api) -> str | None:
        reply = await who.post("/graphql", json={"query": LINK, "variables": {"file": str(self.file)}})
        found: dict[str, Any] = reply.json()["data"]["file"]
        link: str | None = found["content"]
        return link

    async def fetch(self, who: Api, method: str = "GET", **headers: str) -> httpx.Response:
        link = await self.link(who)
        assert link is not None
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.world.anonymous().request(method, link, headers=given)


def put(copy: Path) -> Path:
    copy.parent.mkdir(parents=True)
    copy.write_bytes(CONTENT)
    return copy


async def shelf_of(world: World, folder: Path, name: str = "run 001.csv", **columns: Any) -> Shelf:
    copy = put(folder / "copy.bin")
    instrument = await add_instrument(world)
    file = await add_file(world, instrument, filename=name, size_bytes=len(CONTENT))
    location = await add_location(world, base_path=str(folder))
    done = {"destination_path": str(copy), "bytes_transferred": len(CONTENT), "dest_checksum": ETAG[7:-1]}
    await add_transfer(world, file, location, **done | columns)
    return Shelf(world, instrument, file, copy)


@pytest.fixture
def folder(world: World) -> Path:
    """Within what this server may read."""
    return world.parts.settings.roots[0] / f"copies {uuid4()}"


@pytest_asyncio.fixture(loop_scope="session")
async def shelf(world: World, folder: Path) -> Shelf:
    return await shelf_of(world, folder)


def told(reply: httpx.Response) -> tuple[int, str]:
    """Of a problem."""
    assert reply.headers["content-type"] == "application/problem+json"
    return reply.status_code, reply.json()["detail"]


# --- what comes --------------------------------------------------------------------------------------------------------


async def test_the_whole_content(shelf: Shelf, admin: Api):
    reply = await shelf.fetch(admin)
    assert (reply.status_code, reply.content) == (200, CONTENT)
    del reply.headers["x-request-id"]
    assert {name: value for name, value in reply.headers.items() if not name.startswith("ratelimit")} == {
        "content-type": "application/octet-stream",
        "content-disposition": "attachment; filename=\"run 001.csv\"; filename*=UTF-8''run%20001.csv",
        "content-length": str(len(CONTENT)),
        "etag": ETAG,
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache, no-transform",
        "content-security-policy": "default-src 'none'; sandbox",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }


@pytest.mark.parametrize(
    ("asked", "begin", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-", 10, len(CONTENT)),
        ("bytes=300000-900000", 300000, 900001),
        ("bytes=-7", len(CONTENT) - 7, len(CONTENT)),
        ("bytes=5-99999999", 5, len(CONTENT)),
    ],
)
async def test_a_part_of_it(shelf: Shelf, admin: Api, asked: str, begin: int, end: int):
    reply = await shelf.fetch(admin, range=asked)
    assert (reply.status_code, reply.content) == (206, CONTENT[begin:end])
    assert reply.headers["content-range"] == f"bytes {begin}-{end - 1}/{len(CONTENT)}"
    assert reply.headers["content-length"] == str(end - begin)


async def test_a_range_outside(shelf: Shelf, admin: Api):
    reply = await shelf.fetch(admin, range=f"bytes={len(CONTENT)}-")
    assert told(reply) == (416, "The range lies outside the file")
    assert reply.headers["content-range"] == f"bytes */{len(CONTENT)}"


@pytest.mark.parametrize("given", [ETAG, '"other"'])
async def test_the_rest_only_of_what_was_begun(shelf: Shelf, admin: Api, given: str):
    reply = await shelf.fetch(admin, range="bytes=10-", if_range=given)
    assert (reply.status_code, reply.content) == ((206, CONTENT[10:]) if given == ETAG else (200, CONTENT))


async def test_only_the_head(shelf: Shelf, admin: Api):
    reply = await shelf.fetch(admin, "HEAD")
    assert (reply.status_code, reply.content) == (200, b"")
    assert (reply.headers["content-length"], reply.headers["etag"]) == (str(len(CONTENT)), ETAG)


async def test_nothing_for_who_has_it(shelf: Shelf, admin: Api):
    reply = await shelf.fetch(admin, if_none_match=ETAG)
    assert (reply.status_code, reply.content, reply.headers["etag"]) == (304, b"", ETAG)


async def test_an_empty_file(world: World, folder: Path, admin: Api):
    shelf = await shelf_of(world, folder, bytes_transferred=0)
    shelf.copy.write_bytes(b"")
    reply = await shelf.fetch(admin)
    assert (reply.status_code, reply.content, reply.headers["content-length"]) == (200, b"", "0")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Ünïcode.csv", "filename=\"_n_code.csv\"; filename*=UTF-8''%C3%9Cn%C3%AFcode.csv"),
        ('a"; filename=b.exe', "filename=\"a_; filename=b.exe\"; filename*=UTF-8''a%22%3B%20filename%3Db.exe"),
        ("a\r\nSet-Cookie: x", "filename=\"a__Set-Cookie: x\"; filename*=UTF-8''a%0D%0ASet-Cookie%3A%20x"),
    ],
)
async def test_any_name(world: World, folder: Path, admin: Api, name: str, shown: str):
    shelf = await shelf_of(world, folder, name)
    assert (await shelf.fetch(admin)).headers["content-disposition"] == f"attachment; {shown}"


# --- who gets it -------------------------------------------------------------------------------------------------------


async def test_a_link_is_for_whoever_may_see_the_file(world: World, shelf: Shelf, user: Api):
    assert user.id is not None
    reply = await user.post("/graphql", json={"query": LINK, "variables": {"file": str(shelf.file)}})
    assert reply.json() == {"data": {"file": None}}
    await give_access(world, user.id, shelf.instrument)
    assert (await shelf.fetch(user)).content == CONTENT


async def test_who_lost_the_right_gets_nothing(world: World, shelf: Shelf, user: Api):
    assert user.id is not None
    await grant(world, shelf.file, GranteeType.USER, user.id)
    link = await shelf.link(user)
    assert link is not None
    async with world.parts.database.transaction() as tx:
        await tx.execute(delete(file_access_grants))
        await tx.execute(delete(user_instrument_access))
    assert told(await world.anonymous().get(link)) == (404, "File not found")


@pytest.mark.parametrize("change", [{"is_active": False}, {"deleted_at": "now"}])
async def test_who_is_gone_gets_nothing(world: World, shelf: Shelf, admin: Api, change: dict[str, Any]):
    link = await shelf.link(admin)
    assert link is not None
    columns = {name: world.clock.now if value == "now" else value for name, value in change.items()}
    async with world.parts.database.transaction() as tx:
        await tx.execute(update(users).where(users.c.id == admin.id).values(columns))
    assert told(await world.anonymous().get(link)) == (404, "File not found")


async def test_a_link_ends(world: World, shelf: Shelf, admin: Api):
    link = await shelf.link(admin)
    assert link is not None
    world.clock.advance(seconds=301)
    assert told(await world.anonymous().get(link)) == (403, "This link is not valid, or not any more: ask for a new one")


async def test_a_link_is_for_one_file_and_cannot_be_made(world: World, shelf: Shelf, admin: Api):
    link = await shelf.link(admin)
    assert link is not None
    path, _, token = link.partition("?token=")
    session = world.parts.services.tokens.issue(admin.id, 1)  # type: ignore[arg-type]  # she has an id
    for forged in (
        f"/download/{UNKNOWN}?token={token}",
        f"/download/x?token={token}",
        f"{path}?token={token[:-2]}",
        f"{path}?token={session}",
        f"{path}?token=",
        path,
    ):
        assert (await admin.get(forged)).status_code == 403, forged


# --- when there is none ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [{"status": TransferStatus.FAILED}, {"destination_path": None}])
async def test_without_a_copy_there_is_no_link(world: World, folder: Path, admin: Api, columns: dict[str, Any]):
    assert await (await shelf_of(world, folder, **columns)).link(admin) is None


async def test_a_copy_that_is_gone(shelf: Shelf, admin: Api):
    shelf.copy.unlink()
    assert told(await shelf.fetch(admin)) == (410, "The copy of this file is no longer where it was put")


async def test_a_copy_that_was_changed(shelf: Shelf, admin: Api):
    shelf.copy.write_bytes(CONTENT[:-1])
    assert told(await shelf.fetch(admin)) == (502, "The copy of this file is not what was put there")


async def test_an_older_copy_does_as_well(world: World, shelf: Shelf, admin: Api):
    await add_transfer(world, shelf.file, destination_path="/gone/copy.bin", completed_at=world.clock.now, bytes_transferred=1)
    assert (await shelf.fetch(admin)).content == CONTENT


@pytest.mark.parametrize("kind", ["outside", "link", "folder", "pipe"])
async def test_only_files_of_the_allowed_folders_are_read(world: World, shelf: Shelf, admin: Api, tmp_path: Path, kind: str):
    secret = tmp_path / "secret"
    secret.write_bytes(CONTENT)
    shelf.copy.unlink()
    if kind == "link":
        shelf.copy.symlink_to(secret)
    elif kind == "folder":
        shelf.copy.mkdir()
    elif kind == "pipe":
        os.mkfifo(shelf.copy)
    else:
        async with world.parts.database.transaction() as tx:
            await tx.execute(update(file_transfers).values(destination_path=str(secret)))
    assert told(await shelf.fetch(admin)) == (502, "The copy of this file cannot be read at the moment")


async def test_a_place_that_does_not_answer(world: World, admin: Api):
    file = await add_file(world)
    sealed = world.parts.services.keyring.seal(Secret('{"password": "x"}'))
    config = {"host": "127.0.0.1:1", "share": "data/sub", "username": "x", "domain": None, "password": "****"}
    location = await add_location(world, type=StorageType.CIFS, connection_config=config, secrets_sealed=sealed, base_path="x")
    await add_transfer(world, file, location, destination_path="x/y", bytes_transferred=1)
    reply = await Shelf(world, file, file, Path()).fetch(admin)
    assert told(reply) == (502, "The copy of this file cannot be read at the moment")


async def test_only_so_many_at_a_time(world: World, shelf: Shelf, admin: Api, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(world.parts.downloads, "under_way", 32)
    reply = await shelf.fetch(admin)
    assert told(reply) == (503, "Too many downloads at the moment: try again in a moment")
    assert reply.headers["retry-after"] == "5"


async def test_every_download_ends(world: World, shelf: Shelf, admin: Api):
    await shelf.fetch(admin)
    await shelf.fetch(admin, range="bytes=99999999-")
    shelf.copy.unlink()
    await shelf.fetch(admin)
    assert world.parts.downloads.under_way == 0


async def test_no_token_is_logged(shelf: Shelf, admin: Api, caplog: pytest.LogCaptureFixture):
    caplog.set_level("DEBUG")
    await shelf.fetch(admin)
    assert f"GET /download/{shelf.file} " in caplog.text
    assert "token" not in caplog.text
