"""The Elasticsearch of tests: indexes of a test's own on the one that is up, or a server of its own that may die."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from uuid import uuid4

from storage.lookups.elasticsearch_server import Server
from tests.servers import SERVERS, address
from tests.smb import free_port


@asynccontextmanager
async def own_indexes() -> AsyncIterator[tuple[Server, str]]:
    """The server that `scripts/services up elasticsearch` started, and a prefix of indexes, which are removed afterwards."""
    server, prefix = Server(address("elasticsearch")), f"t{uuid4().hex[:12]}-"
    try:
        yield server, prefix
        await remove_all(server, prefix)
    finally:
        await server.close()


async def remove_all(server: Server, prefix: str) -> None:
    """Every index whose name begins so."""
    if names := await server.notes(f"{prefix}*"):
        await server.remove(",".join(names))


@dataclass(frozen=True)
class Elasticsearch:
    """A server of a test's own."""

    url: str
    variables: dict[str, str]

    def do(self, verb: str) -> None:
        """Any verb of `scripts/servers/elasticsearch`."""
        script = SERVERS / "elasticsearch"
        subprocess.run([script, verb], env=os.environ | self.variables, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def own_server() -> Iterator[Elasticsearch]:
    """Skips or fails when the shared one is down: then there is no JDK, either."""
    address("elasticsearch")
    home, port = tempfile.mkdtemp(prefix="es-", dir="/var/tmp"), free_port()
    variables = {"ES_DIR": home, "ES_PORT": str(port)}
    own = Elasticsearch(f"http://127.0.0.1:{port}", variables)
    try:
        own.do("start")
        yield own
    finally:
        subprocess.run([SERVERS / "elasticsearch", "kill9"], env=os.environ | variables, check=False, capture_output=True)
        shutil.rmtree(home, ignore_errors=True)
