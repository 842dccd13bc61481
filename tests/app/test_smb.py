"""A share from the REST routes to the copy: the server seals the password, its worker process opens it."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from tests import smb
from tests.app.test_server import serving

pytestmark = pytest.mark.slow

LOGIN = {"username": "ada@example.org", "password": "correct horse"}


def harvest(http: httpx.Client, schedule: str) -> dict:
    """The run that a trigger starts, when it has ended."""
    run = http.post(f"/api/schedules/{schedule}/trigger").json()["flow_run_id"]
    query = "query ($run: UUID!) { harvestRun(localId: $run) { state message log { nodes { message } } } }"
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = http.post("/graphql", json={"query": query, "variables": {"run": run}}).json()["data"]["harvestRun"]
        if found["state"] not in {"QUEUED", "RUNNING"}:
            return found
        time.sleep(0.1)
    raise AssertionError(found)


def command_lines(parent: int) -> str:
    return subprocess.run(["ps", "-o", "args=", "--ppid", str(parent)], capture_output=True, text=True, check=True).stdout


def test_a_share_is_harvested_and_its_password_is_told_to_nobody(tmp_path: Path):
    samba = smb.shared()
    samba.put("run 1/data.raw", b"x" * 3_000_000)
    settings = {"ADMIN_EMAIL": LOGIN["username"], "ADMIN_PASSWORD": LOGIN["password"], "SWITCHYARD_LOG_LEVEL": "debug"}
    with serving(tmp_path, "--workers", "1", **settings) as server:
        token = httpx.post(f"{server.address}/auth/jwt/login", data=LOGIN).json()["access_token"]
        with httpx.Client(base_url=server.address, headers={"authorization": f"Bearer {token}"}, timeout=30) as http:

            def create(kind: str, **fields: object) -> str:
                reply = http.post(f"/api/{kind}", json=fields)
                assert reply.status_code == 201, reply.text
                return reply.json()["id"]

            account = create("service-accounts", name="Reader", username=samba.user, password=samba.password)
            host, share = samba.address, f"ro/{samba.folder.name}"
            instrument = create("instruments", name="NMR", cifs_host=host, cifs_share=share, service_account_id=account)
            archive = tmp_path / "data/files/archive"
            location = create("storage-locations", name="Archive", type="posix", base_path=str(archive))
            ids = {"instrument_id": instrument, "default_storage_location_id": location}
            schedule = create("schedules", cron_expression="0 3 * * *", **ids)

            first = harvest(http, schedule)
            assert http.patch(f"/api/service-accounts/{account}", json={"password": "wrong horse"}).status_code == 200
            second = harvest(http, schedule)
        processes = command_lines(server.process.pid)
        code, _, log = server.end()
    shutil.rmtree(samba.folder)
    assert (first["state"], first["message"]) == ("SUCCEEDED", "1 file copied (3.0 MB)")
    assert (archive / "NMR/run 1/data.raw").read_bytes() == b"x" * 3_000_000
    assert second["state"] == "FAILED"
    assert second["message"] == f"the user name or password of the service account was refused by {samba.address}"
    assert code == 0, log
    assert "app.cli worker" in processes
    for text in (log, processes, json.dumps([first, second])):
        assert samba.password not in text
        assert "wrong horse" not in text
