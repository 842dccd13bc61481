"""Mail: letters wait in memory and go out by SMTP, beside the requests that asked for them.

A request never waits for the mail server. Letters that are not sent when the process dies are lost: people ask again.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr
from urllib.parse import quote, urlsplit

import aiosmtplib

from app.settings import Settings
from core.errors import DomainError
from core.secrets import Secret
from resolvers.context import Letter

MOST = 200
"""Letters that wait, and are a few hundred bytes each."""

AT_ONCE = 4
"""Connections to the mail server."""

PAUSES = (5.0, 60.0)
"""Seconds before another try, when the mail server did not take a letter and may do so later."""

LAST_CALL = 5.0
"""Seconds that letters have when the server ends."""

Compose = Callable[[], Awaitable[Letter | None]]

log = logging.getLogger("switchyard")


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """Where letters are handed over, and in whose name."""

    host: str
    port: int
    sender: str
    username: str | None = None
    password: Secret | None = None
    tls: str = "starttls"
    """`starttls`, `implicit` or `off`. The first is a must: a server that does not offer it gets nothing."""
    timeout: float = 20
    context: ssl.SSLContext | None = field(default=None, repr=False)

    def client(self, public_url: str) -> aiosmtplib.SMTP:
        """Connects, encrypts and signs in when it is entered."""
        return aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port,
            username=self.username,
            password=self.password.reveal() if self.password else None,
            use_tls=self.tls == "implicit",
            start_tls=self.tls == "starttls",
            tls_context=self.context,
            timeout=self.timeout,
            local_hostname=urlsplit(public_url).hostname or "localhost",  # its default asks the name service, and waits
        )


class Outbox:
    """The `resolvers.context.Mail` of the application. Without a mail server nothing is composed, and nothing sent."""

    def __init__(
        self,
        server: MailServer | None = None,
        public_url: str = "",
        *,
        most: int = MOST,
        pauses: Sequence[float] = PAUSES,
        last_call: float = LAST_CALL,
    ) -> None:
        self._server, self._public_url = server, public_url.rstrip("/")
        self._most, self._pauses, self._last_call = most, (*pauses, None), last_call
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._waiting: set[asyncio.Task[None]] = set()
        self._ending = asyncio.Event()

    @property
    def enabled(self) -> bool:
        """Whether letters are sent."""
        return self._server is not None

    def link(self, page: str, token: str) -> str:
        """`https://switchyard.example.org/reset-password?token=…`."""
        return f"{self._public_url}/{page}?token={quote(token)}"

    def later(self, compose: Compose) -> None:
        """Beyond so many that wait, letters are dropped, and the log says so."""
        if self._server is None:
            return
        if len(self._waiting) >= self._most or self._ending.is_set():
            log.error("a mail was dropped: %d are waiting", len(self._waiting))
            return
        task = asyncio.get_running_loop().create_task(self._deliver(self._server, compose))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def greet(self) -> str | None:
        """Connect and sign in as for a letter; why that does not work."""
        if self._server is None:
            return None
        try:
            async with self._server.client(self._public_url):
                return None
        except (aiosmtplib.SMTPException, OSError) as error:
            return _reason(error)

    async def close(self) -> None:
        """Try what waits once more, for a bounded time."""
        self._ending.set()
        if not self._waiting:
            return
        _, left = await asyncio.wait(self._waiting, timeout=self._last_call)
        for task in left:
            task.cancel()
        if left:
            log.error("%d mails were not sent: the server ends", len(left))
            await asyncio.wait(left)

    async def _deliver(self, server: MailServer, compose: Compose) -> None:
        for pause in self._pauses:
            last = pause is None or self._ending.is_set()
            try:
                async with self._turn:
                    await _composed_and_sent(server, compose, self._public_url)
            except Exception as error:  # noqa: BLE001  # nobody else would see it
                if last or _is_final(error):
                    log.error("a mail was not sent: %s", _reason(error))  # noqa: TRY400  # a traceback could show the letter
                    return
                log.warning("a mail was not taken and is tried again: %s", _reason(error))
                await self._pause(pause or 0)
            else:
                return

    async def _pause(self, seconds: float) -> None:
        """The end of the server cuts it short."""
        try:
            await asyncio.wait_for(self._ending.wait(), seconds)
        except TimeoutError:
            return


async def _composed_and_sent(server: MailServer, compose: Compose, public_url: str) -> None:
    async with asyncio.timeout(server.timeout):
        letter = await compose()
    if letter is None:
        return
    async with server.client(public_url) as client:
        await client.send_message(_message(server.sender, letter))


def _message(sender: str, letter: Letter) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, letter.to, letter.subject
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=parseaddr(sender)[1].rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no replies of absent people
    message.set_content(letter.text)
    return message


def _is_final(error: Exception) -> bool:
    """Whether the same would happen again."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return all(each.code >= 500 for each in error.recipients)
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return error.code >= 500
    return not isinstance(error, aiosmtplib.SMTPException | DomainError | OSError)


def _reason(error: Exception) -> str:
    """Without what the mail server said, which names the person."""
    kind = type(error).__name__
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return f"{kind} {', '.join(str(each.code) for each in error.recipients)}"
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return f"{kind} {error.code}"
    return f"{kind}: {error}" if isinstance(error, aiosmtplib.SMTPException | DomainError | OSError) else kind


def outbox_of(settings: Settings) -> Outbox:
    """Raises `ValueError` unless the settings say all that it takes."""
    if not settings.smtp_enabled:
        return Outbox()
    missing = [
        name
        for name, value in (
            ("SWITCHYARD_SMTP_HOST", settings.smtp_host),
            ("SWITCHYARD_SMTP_FROM", settings.smtp_from),
            ("SWITCHYARD_PUBLIC_URL", settings.public_url),
        )
        if not value
    ]
    if missing:
        raise ValueError(f"SWITCHYARD_SMTP_ENABLED needs {', '.join(missing)}")
    tls = settings.smtp_tls
    if tls == "off" and settings.smtp_username:
        raise ValueError("SWITCHYARD_SMTP_USERNAME needs SWITCHYARD_SMTP_TLS: a password is not sent in plain")
    if tls == "auto":
        tls = "implicit" if settings.smtp_port == 465 else "starttls"
    server = MailServer(
        host=settings.smtp_host or "",
        port=settings.smtp_port,
        sender=settings.smtp_from or "",
        username=settings.smtp_username,
        password=Secret(settings.smtp_password.get_secret_value()) if settings.smtp_password else None,
        tls=tls,
        context=ssl.create_default_context() if tls != "off" else None,
    )
    return Outbox(server, settings.public_url or "")
