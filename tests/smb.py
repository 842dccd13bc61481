"""A real Samba for tests: the shared one, or one of a test's own that may be stopped, killed and frozen."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson

from core.secrets import Keyring, Secret
from core.vocabulary import StorageType, TransferAdapter
from jobs.sources import SmbAccess, Source, open_source
from storage.objects.opening import StorageAccess, open_store
from storage.objects.protocol import ObjectStore
from tests.servers import SERVERS, environment

KEYRING = Keyring([bytes(32)])


@dataclass
class Samba:
    """A server, and a folder of its shares `ro` and `rw` that nobody else uses."""

    address: str
    user: str
    password: str
    share: Path
    own: dict[str, str]

    def __post_init__(self) -> None:
        self.folder = self.share / uuid4().hex
        self.folder.mkdir(mode=0o755)

    def put(self, path: str, content: bytes = b"hello caffeine") -> Path:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file

    def instrument(self, **changes: Any) -> dict[str, Any]:
        """What an instrument's row says of the folder."""
        row = {"cifs_host": self.address, "cifs_share": f"ro/{self.folder.name}", "cifs_base_path": None}
        return {"transfer_adapter": TransferAdapter.RCLONE} | row | changes

    def account(self, **changes: Any) -> dict[str, Any]:
        """The row of a service account that may read it."""
        sealed = KEYRING.seal(Secret(changes.pop("password", self.password)))
        row = {"name": "Reader", "username": self.user, "password_sealed": sealed, "domain": None, "deleted_at": None}
        return row | changes

    def source(
        self, *, connecting: float = 2, answer: float = 2, account: dict[str, Any] | None = None, **changes: Any
    ) -> Source:
        smb = SmbAccess(keyring=KEYRING, connecting=connecting, answer=answer)
        return open_source(self.instrument(**changes), [], account or self.account(), smb)

    def location(self, base_path: str = "archive", **changes: str) -> dict[str, Any]:
        """The row of a storage location in the folder, which the account may write from now on."""
        self.folder.chmod(0o777)
        config: dict[str, Any] = {"host": self.address, "share": f"rw/{self.folder.name}", "username": self.user}
        config |= {"password": self.password, "domain": None} | changes
        return sealed(StorageType.CIFS, base_path, config, "password")

    def store(self, base_path: str = "archive", *, seconds: float = 2, owner: str = "owner", **changes: str) -> ObjectStore:
        access = StorageAccess(KEYRING, connecting=seconds, smb_answer=seconds)
        return open_store(self.location(base_path, **changes), [], access, owner)

    def clear(self) -> None:
        """Give the space back."""
        shutil.rmtree(self.folder)

    def do(self, verb: str) -> None:
        """Any verb of `scripts/servers/samba`; only of a server of the test's own."""
        assert self.own, "others use this server, too"
        subprocess.run([SERVERS / "samba", verb], env=os.environ | self.own, check=True, stdout=subprocess.DEVNULL)

    def running(self) -> int:
        """The server's process; 0 if it has ended."""
        status = subprocess.run([SERVERS / "samba", "status"], env=os.environ | self.own, check=False, capture_output=True)
        return int(status.stdout or 0)


def shared() -> Samba:
    """The server that `scripts/services up samba` started. Skips or fails when it is down."""
    found = environment("samba")
    names = ("", "_USER", "_PASSWORD", "_FOLDER")
    address, user, password, share = (found[f"SWITCHYARD_TEST_SMB{name}"] for name in names)
    return Samba(address, user, password, Path(share), {})


def sealed(kind: StorageType, base_path: str, config: dict[str, Any], secret: str) -> dict[str, Any]:
    """A storage location's columns as they are stored."""
    return {
        "name": "Archive",
        "type": kind,
        "base_path": base_path,
        "connection_config": config | {secret: "****"},
        "secrets_sealed": KEYRING.seal(Secret(orjson.dumps({secret: config[secret]}).decode())),
    }


@contextmanager
def own(*settings: str) -> Iterator[Samba]:
    """A server for one test, with further settings. Skips or fails when the shared one is down."""
    other = shared()
    shutil.rmtree(other.folder)
    home = Path(tempfile.mkdtemp(prefix="smb-", dir=other.share.parent.parent))
    port = free_port()
    variables = {"SMB_DIR": str(home), "SMB_PORT": str(port), "SMB_GLOBAL": "\n".join(settings)}
    (home / "share").mkdir()
    samba = Samba(f"127.0.0.1:{port}", other.user, other.password, home / "share", variables)
    samba.do("start")
    try:
        yield samba
    finally:
        subprocess.run([SERVERS / "samba", "kill9"], env=os.environ | variables, check=False, capture_output=True)
        shutil.rmtree(home)


def free_port() -> int:
    """A port of the loopback that nobody listens at."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def threads() -> list[str]:
    """The threads that SMB connections have left."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("msg_worker-")]
