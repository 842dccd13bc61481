"""Whether a storage location can be used: contract §5, against real servers where there are any."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from resolvers.instruments import storage_trial
from tests import s3, smb
from tests.contract.support import Api, World, told

PATH = "/api/storage-locations"


async def try_one(admin: Api, kind: str, base_path: str, config: Any = None, **fields: Any) -> tuple[int, Any]:
    """The reply for a new location."""
    row = await admin.made(PATH, name="x", type=kind, base_path=base_path, connection_config=config, **fields)
    return told(await admin.get(f"{PATH}/{row['id']}/test"))


@pytest.fixture
def root(world: World) -> Path:
    """A folder that the server may use."""
    folder = world.parts.services.allowed_roots[0] / uuid4().hex
    folder.mkdir(parents=True)
    return folder


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "storage-test"]


async def test_a_folder_that_can_be_used(admin: Api, root: Path):
    assert await try_one(admin, "posix", str(root)) == (200, {"status": "ok", "type": "posix", "name": "x"})


async def test_graphql_says_the_same(admin: Api, root: Path):
    row = await admin.made(PATH, name="x", type="posix", base_path=str(root))
    fields = "status type name storageLocation { localId }"
    reply = await admin.post("/graphql", json={"query": f'{{ testStorageLocation(localId: "{row["id"]}") {{ {fields} }} }}'})
    expected = {"status": "ok", "type": "POSIX", "name": "x", "storageLocation": {"localId": row["id"]}}
    assert reply.json() == {"data": {"testStorageLocation": expected}}


@pytest.mark.parametrize("inside", [True, False])
async def test_a_folder_that_is_not_there(admin: Api, root: Path, inside: bool):
    path = f"{root}/missing" if inside else "/not/there"
    detail = f"Path does not exist or is not a directory: {path}"
    assert await try_one(admin, "posix", path) == (502, {"detail": detail})


async def test_a_file_is_no_folder(admin: Api, root: Path):
    (root / "file").write_bytes(b"")
    detail = f"Path does not exist or is not a directory: {root}/file"
    assert await try_one(admin, "posix", f"{root}/file") == (502, {"detail": detail})


async def test_a_folder_that_may_not_be_written(admin: Api, root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert await try_one(admin, "posix", str(root)) == (502, {"detail": f"Path is not readable and writable: {root}"})


async def test_a_folder_that_the_server_may_not_use(admin: Api, tmp_path: Path):
    detail = "the storage location's base path '/etc' lies outside the folders that this server may use"
    assert await try_one(admin, "posix", "/etc") == (502, {"detail": detail})


async def test_a_disabled_one(admin: Api, root: Path):
    assert await try_one(admin, "posix", str(root), enabled=False) == (409, {"detail": "Storage location is disabled"})


async def test_one_that_is_not_there_or_deleted(admin: Api, root: Path):
    row = await admin.made(PATH, name="x", type="posix", base_path=str(root))
    await admin.delete(f"{PATH}/{row['id']}")
    for key in (row["id"], uuid4()):
        assert told(await admin.get(f"{PATH}/{key}/test")) == (404, {"detail": "Storage location not found"})


async def test_others_may_not(user: Api, world: World):
    assert told(await user.get(f"{PATH}/{uuid4()}/test")) == (403, {"detail": "Admin access required"})
    assert told(await user.get(f"{PATH}/nonsense/test")) == (403, {"detail": "Admin access required"})
    assert told(await world.anonymous().get(f"{PATH}/{uuid4()}/test")) == (401, {"detail": "Unauthorized"})


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener


async def test_an_nfs_server_that_listens_and_one_that_does_not(admin: Api, listener: socket.socket):
    config = {"host": f"127.0.0.1:{listener.getsockname()[1]}", "export_path": "/raw"}
    assert await try_one(admin, "nfs", "/mnt/raw", config) == (200, {"status": "ok", "type": "nfs", "name": "x"})
    listener.close()
    detail = f"the NFS server {config['host']} does not answer: Connection refused"
    assert await try_one(admin, "nfs", "/mnt/raw", config) == (502, {"detail": detail})


async def test_an_nfs_host_without_a_port_is_asked_at_2049(admin: Api, monkeypatch: pytest.MonkeyPatch):
    asked = []

    def connect(address: Any, timeout: float) -> Any:
        asked.append((address, timeout))
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", connect)
    config = {"host": "nas", "export_path": "/raw"}
    assert await try_one(admin, "nfs", "/mnt", config) == (
        502,
        {"detail": "the NFS server nas:2049 does not answer within 5 s"},
    )
    assert asked == [(("nas", 2049), 5)]


async def test_a_place_that_hangs_is_not_waited_for(admin: Api, root: Path, monkeypatch: pytest.MonkeyPatch):
    release = threading.Event()
    monkeypatch.setattr("storage.objects.posix.PosixStore.check", lambda _: release.wait(30))
    monkeypatch.setattr(storage_trial.try_storage_location, "__kwdefaults__", {"deadline": 0.2})
    began = time.monotonic()
    try:
        detail = "The storage location does not answer within 0.2 s"
        assert await try_one(admin, "posix", str(root)) == (502, {"detail": detail})
        assert time.monotonic() - began < 5
        for _ in range(7):
            await try_one(admin, "posix", str(root))
        detail = "Too many storage locations are being tested; try again in a minute"
        assert await try_one(admin, "posix", str(root)) == (503, {"detail": detail})
    finally:
        release.set()
        for thread in threads():
            thread.join(5)
    assert threads() == []


def bucket_config(server: s3.S3, **changes: str) -> dict[str, str]:
    config = {"bucket": server.bucket, "region": "us-east-1", "access_key_id": server.user}
    return config | {"secret_access_key": server.password, "endpoint_url": server.endpoint} | changes


@pytest.mark.slow
class TestBucket:
    async def test_one_that_can_be_used(self, admin: Api):
        reply = await try_one(admin, "s3", "archive", bucket_config(s3.shared()))
        assert reply == (200, {"status": "ok", "type": "s3", "name": "x"})

    @pytest.mark.parametrize(
        ("changes", "detail"),
        [
            ({"bucket": "no-such-bucket"}, "there is no bucket called no-such-bucket on {host}"),
            (
                {"secret_access_key": "sesame-wrong"},
                "the access key of the storage location was refused by {host} (SignatureDoesNotMatch)",
            ),
            (
                {"access_key_id": "AKIASESAME"},
                "the access key of the storage location was refused by {host} (XAdminUserNotFound)",
            ),
            ({"endpoint_url": "http://127.0.0.1:1"}, "the S3 server 127.0.0.1:1 cannot be reached"),
            ({"endpoint_url": "sesame"}, "the storage location's settings cannot be used (ValueError)"),
            ({"bucket": "not a bucket"}, "the storage location's settings cannot be used (ParamValidationError)"),
        ],
    )
    async def test_one_that_cannot(self, admin: Api, changes: dict[str, str], detail: str, caplog: pytest.LogCaptureFixture):
        server = s3.shared()
        with caplog.at_level("DEBUG"):
            status, body = await try_one(admin, "s3", "archive", bucket_config(server, **changes))
        assert (status, body) == (502, {"detail": detail.format(host=server.endpoint.removeprefix("http://"))})
        for secret in (server.password, "sesame-wrong", "AKIASESAME"):
            assert secret not in caplog.text


@pytest.mark.slow
class TestShare:
    def config(self, server: smb.Samba, **changes: str) -> dict[str, str]:
        return {"host": server.address, "share": "rw", "username": server.user, "password": server.password} | changes

    async def test_one_that_can_be_used(self, admin: Api):
        server = smb.shared()
        reply = await try_one(admin, "cifs", server.folder.name, self.config(server))
        assert reply == (200, {"status": "ok", "type": "cifs", "name": "x"})

    @pytest.mark.parametrize(
        ("changes", "detail"),
        [
            ({"share": "none"}, "there is no share called none on {host}"),
            ({"share": "closed"}, "the storage location's account may not use the share closed on {host}"),
            ({"password": "sesame-no"}, "the user name or password of the storage location's account was refused by {host}"),
            ({"host": "127.0.0.1:1"}, "the SMB server 127.0.0.1:1 does not answer: Connection refused"),
            (
                {"host": "a b"},
                "the host 'a b' is no address: write it as host, host:port or [IPv6 address]:port",
            ),
        ],
    )
    async def test_one_that_cannot(self, admin: Api, changes: dict[str, str], detail: str):
        server = smb.shared()
        reply = await try_one(admin, "cifs", "", self.config(server, **changes))
        assert reply == (502, {"detail": detail.format(host=server.address)})
        assert smb.threads() == []
