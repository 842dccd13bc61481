"""A real mail server inside the tests: plain, with STARTTLS or with TLS from the start, with or without sign-in."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USERNAME, PASSWORD = "switchyard", "hunter2-mail"


@dataclass
class Received:
    """What the server was handed. `replies` are what it says to the next letters instead of taking them."""

    letters: list[EmailMessage] = field(default_factory=list)
    replies: list[str] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    tried: int = 0
    arrived: threading.Condition = field(default_factory=threading.Condition)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  # aiosmtpd's name
        with self.arrived:
            self.tried += 1
            self.arrived.notify_all()
            if self.replies:
                return self.replies.pop(0)
            self.encrypted.append(server.transport.get_extra_info("sslcontext") is not None)
            self.letters.append(message_from_bytes(envelope.content.replace(b"\r\n", b"\n"), policy=default))  # type: ignore[arg-type]
        return "250 OK"

    def until_tried(self) -> None:
        """Wait until a letter came, whether or not it was taken."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: self.tried, timeout=10)


class _Server(Controller):
    def __init__(self, received: Received, port: int, implicit: ssl.SSLContext | None, **options: Any) -> None:
        self._options = options
        super().__init__(received, hostname="127.0.0.1", port=port, ssl_context=implicit)

    def factory(self) -> SMTP:
        return SMTP(self.handler, **self._options)

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@dataclass(frozen=True)
class Running:
    """A mail server that listens."""

    port: int
    received: Received


@contextmanager
def mail_server(folder: Path, tls: str = "off", *, auth: bool = False, port: int = 0) -> Iterator[Running]:
    """`tls` is `off`, `starttls` or `implicit`; the certificate is `folder / "mail.pem"`."""
    context = None if tls == "off" else server_context(folder)
    options: dict[str, Any] = {"hostname": "mail.test", "enable_SMTPUTF8": True}
    if tls == "starttls":
        options |= {"tls_context": context, "require_starttls": True}
    if auth:
        options |= {"authenticator": _authenticate, "auth_required": True, "auth_require_tls": tls == "starttls"}
    received = Received()
    server = _Server(received, port, context if tls == "implicit" else None, **options)
    server.start()
    try:
        yield Running(server.port, received)
    finally:
        server.stop()


def _authenticate(_: Any, __: Any, ___: Any, ____: str, given: Any) -> AuthResult:
    right = isinstance(given, LoginPassword) and (given.login, given.password) == (USERNAME.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=False)


def server_context(folder: Path) -> ssl.SSLContext:
    """With a certificate for 127.0.0.1 that only who is told of it trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.test")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "mail.pem", folder / "mail.key"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(public, private)
    return context
