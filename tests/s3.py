"""A real S3 server for tests: the shared one, or one of a test's own that may be stopped, killed and frozen."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
from botocore.config import Config

from core.vocabulary import StorageType
from storage.objects.opening import StorageAccess, open_store
from storage.objects.protocol import ObjectStore
from tests.servers import SERVERS, environment
from tests.smb import KEYRING, free_port, sealed


@dataclass
class S3:
    """A server, and a bucket that nobody else uses."""

    endpoint: str
    user: str
    password: str
    own: dict[str, str]
    bucket: str = field(default_factory=lambda: f"test-{uuid4().hex}")

    def __post_init__(self) -> None:
        self.client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=self.user,
            aws_secret_access_key=self.password,
            config=Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 2}),
        )
        self.client.create_bucket(Bucket=self.bucket)

    def location(self, base_path: str = "archive", **changes: str) -> dict[str, Any]:
        """The row of a storage location in the bucket."""
        config: dict[str, Any] = {"bucket": self.bucket, "region": "us-east-1", "access_key_id": self.user}
        config |= {"secret_access_key": self.password, "endpoint_url": self.endpoint} | changes
        return sealed(StorageType.S3, base_path, config, "secret_access_key")

    def store(self, base_path: str = "archive", *, seconds: float = 5, owner: str = "owner", **changes: str) -> ObjectStore:
        access = StorageAccess(KEYRING, connecting=seconds, smb_answer=seconds, s3_answer=seconds)
        return open_store(self.location(base_path, **changes), [], access, owner)

    def objects(self) -> dict[str, bytes]:
        """Everything in the bucket, temporary objects, too."""
        found = self.client.list_objects_v2(Bucket=self.bucket).get("Contents", ())
        return {each["Key"]: self.client.get_object(Bucket=self.bucket, Key=each["Key"])["Body"].read() for each in found}

    def uploads(self) -> list[str]:
        """The keys of uploads that were begun and not ended."""
        found = self.client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", ())
        return [each["Key"] for each in found]

    def clear(self) -> None:
        """Give the space back."""
        for each in self.client.list_objects_v2(Bucket=self.bucket).get("Contents", ()):
            self.client.delete_object(Bucket=self.bucket, Key=each["Key"])

    def do(self, verb: str) -> None:
        """Any verb of `scripts/servers/versitygw`; only of a server of the test's own."""
        assert self.own, "others use this server, too"
        subprocess.run([SERVERS / "versitygw", verb], env=os.environ | self.own, check=True, stdout=subprocess.DEVNULL)


def shared() -> S3:
    """The server that `scripts/services up versitygw` started. Skips or fails when it is down."""
    found = environment("versitygw")
    return S3(*(found[f"SWITCHYARD_TEST_S3{name}"] for name in ("", "_USER", "_PASSWORD")), own={})


@contextmanager
def own() -> Iterator[S3]:
    """A server for one test. Skips or fails when the shared one is down."""
    found = environment("versitygw")
    home = Path(tempfile.mkdtemp(prefix="s3-", dir=os.environ.get("SERVICES_DIR", "/var/tmp/switchyard-services")))
    variables = {"S3_DIR": str(home), "S3_PORT": str(free_port())}
    start(variables)
    try:
        user, password = (found[f"SWITCHYARD_TEST_S3{name}"] for name in ("_USER", "_PASSWORD"))
        yield S3(f"http://127.0.0.1:{variables['S3_PORT']}", user, password, own=variables)
    finally:
        subprocess.run([SERVERS / "versitygw", "kill9"], env=os.environ | variables, check=False, capture_output=True)
        shutil.rmtree(home)


def start(variables: dict[str, str]) -> None:
    """Start a server of a test's own."""
    subprocess.run([SERVERS / "versitygw", "start"], env=os.environ | variables, check=True, stdout=subprocess.DEVNULL)
