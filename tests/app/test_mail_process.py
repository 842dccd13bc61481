"""Mails of a real server process: sent behind its replies, and never what it waits for when it is told to end."""

from __future__ import annotations

import re
import socket
import time
from typing import Any

import httpx
import pytest

from tests.app.test_server import serving
from tests.smtp import PASSWORD, USERNAME, mail_server

pytestmark = pytest.mark.slow

EVE = {"email": "eve@example.org", "password": "correct horse"}


def settings(port: int, **others: Any) -> dict[str, Any]:
    said = {
        "SWITCHYARD_SMTP_ENABLED": "true",
        "SWITCHYARD_SMTP_HOST": "127.0.0.1",
        "SWITCHYARD_SMTP_PORT": str(port),
        "SWITCHYARD_SMTP_FROM": "sw@example.org",
        "SWITCHYARD_PUBLIC_URL": "https://switchyard.example.org",
    }
    return said | others


def test_a_forgotten_password(tmp_path):
    with mail_server(tmp_path, "starttls", auth=True) as mails:
        secret = {"SWITCHYARD_SMTP_USERNAME": USERNAME, "SWITCHYARD_SMTP_PASSWORD": PASSWORD}
        trust = {"SSL_CERT_FILE": str(tmp_path / "mail.pem")}
        with serving(tmp_path, "--workers", "0", **settings(mails.port, **secret, **trust)) as server:
            httpx.post(f"{server.address}/auth/register", json=EVE)
            asked = httpx.post(f"{server.address}/auth/forgot-password", json={"email": "eve@example.org"})
            assert (asked.status_code, asked.text) == (202, "null")
            mails.received.until_tried()
            (letter,) = mails.received.letters
            (token,) = re.findall(r"reset-password\?token=(\S+)", letter.get_content())
            reset = httpx.post(f"{server.address}/auth/reset-password", json={"token": token, "password": "battery staple"})
            assert (reset.status_code, reset.text) == (200, "null")
            code, _, log = server.end()

    assert code == 0, log
    assert token not in log
    assert "eve@example.org" not in log
    assert PASSWORD not in log


def test_a_mail_server_that_hangs_holds_nobody_up(tmp_path):
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        serving(tmp_path, "--workers", "0", **settings(silent.getsockname()[1], SWITCHYARD_SMTP_TLS="off")) as server,
    ):
        httpx.post(f"{server.address}/auth/register", json=EVE)
        begun = time.monotonic()
        asked = httpx.post(f"{server.address}/auth/forgot-password", json={"email": "eve@example.org"})
        assert (asked.status_code, time.monotonic() - begun < 2) == (202, True)
        begun = time.monotonic()
        code, _, log = server.end()

    assert (code, time.monotonic() - begun < 12) == (0, True), log
    assert "1 mails were not sent: the server ends" in log
