"""Letters: handed to a real mail server behind the request, encrypted, tried again, and never in anybody's way."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import time
from pathlib import Path

import pytest

from app import doctor
from app.mail import MailServer, Outbox, outbox_of
from app.settings import Settings
from core.errors import Unavailable
from core.secrets import Secret
from resolvers.context import Letter
from tests.smtp import PASSWORD, USERNAME, mail_server

TOKEN = "eyJ-very-secret"
LETTER = Letter("eve@example.org", "Hello", f"https://switchyard.example.org/reset-password?token={TOKEN}\n")


SAID = {
    "SMTP_ENABLED": "true",
    "SMTP_HOST": "mail.example.org",
    "SMTP_FROM": "Switchyard <sw@example.org>",
    "SWITCHYARD_PUBLIC_URL": "https://switchyard.example.org/",
}


def server_at(port: int, **options) -> MailServer:
    return MailServer(**{"host": "127.0.0.1", "port": port, "sender": "Switchyard <sw@example.org>", "tls": "off", **options})


async def compose() -> Letter | None:
    return LETTER


async def nothing() -> Letter | None:
    return None


def outbox(server: MailServer | None, **options) -> Outbox:
    return Outbox(server, "https://switchyard.example.org/", **{"pauses": (0.01, 0.01), **options})


async def settled(box: Outbox) -> None:
    """Every letter was sent, or was given up."""
    while box._waiting:
        await asyncio.wait(box._waiting)


def trusting(folder: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=folder / "mail.pem")


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


# --- sending -------------------------------------------------------------------------------------------------------------


async def test_a_letter_arrives(tmp_path):
    with mail_server(tmp_path) as running:
        box = outbox(server_at(running.port))
        box.later(compose)
        await settled(box)

    (letter,) = running.received.letters
    shown = {name: letter[name] for name in ("From", "To", "Subject", "Auto-Submitted", "Content-Type")}
    assert shown == {
        "From": "Switchyard <sw@example.org>",
        "To": "eve@example.org",
        "Subject": "Hello",
        "Auto-Submitted": "auto-generated",
        "Content-Type": 'text/plain; charset="utf-8"',
    }
    assert letter["Message-ID"].endswith("@example.org>")
    assert letter["Date"]
    assert letter.get_content() == LETTER.text


async def test_an_address_beyond_ascii(tmp_path):
    async def to_zoe() -> Letter:
        return Letter("zoë@exämple.org", "Grüße", "ä\n")

    with mail_server(tmp_path) as running:
        box = outbox(server_at(running.port))
        box.later(to_zoe)
        await settled(box)

    (letter,) = running.received.letters
    assert (letter["Subject"], letter.get_content()) == ("Grüße", "ä\n")


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # aiosmtpd only counts STARTTLS
@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_it_is_encrypted_and_signed_in(tmp_path, tls):
    with mail_server(tmp_path, tls, auth=True) as running:
        password = Secret(PASSWORD)
        box = outbox(server_at(running.port, tls=tls, context=trusting(tmp_path), username=USERNAME, password=password))
        box.later(compose)
        await settled(box)

    assert (len(running.received.letters), running.received.encrypted) == (1, [True])


async def test_a_server_that_nobody_vouches_for_gets_nothing(tmp_path, caplog):
    for tls in ("starttls", "implicit"):
        with mail_server(tmp_path, tls) as running:
            box = outbox(server_at(running.port, tls=tls, context=ssl.create_default_context()))
            box.later(compose)
            await settled(box)
        assert (running.received.tried, "CERTIFICATE_VERIFY_FAILED" in caplog.text) == (0, True)
        caplog.clear()


async def test_a_server_that_does_not_encrypt_gets_nothing(tmp_path, caplog):
    with mail_server(tmp_path) as running:
        box = outbox(server_at(running.port, tls="starttls", context=ssl.create_default_context()))
        box.later(compose)
        await settled(box)

    assert running.received.tried == 0
    assert "a mail was not sent" in caplog.text


async def test_a_wrong_password_is_not_tried_again(tmp_path, caplog):
    with mail_server(tmp_path, "starttls", auth=True) as running:
        box = outbox(
            server_at(running.port, tls="starttls", context=trusting(tmp_path), username=USERNAME, password=Secret("wrong-one"))
        )
        box.later(compose)
        await settled(box)

    assert caplog.messages == ["a mail was not sent: SMTPAuthenticationError 535"]


async def test_nothing_to_say_is_nothing_to_send(tmp_path):
    with mail_server(tmp_path) as running:
        box = outbox(server_at(running.port))
        box.later(nothing)
        await settled(box)

    assert running.received.tried == 0


# --- when it does not work -------------------------------------------------------------------------------------------------


async def test_a_letter_that_is_not_taken_yet_is_tried_again(tmp_path, caplog):
    with mail_server(tmp_path) as running:
        running.received.replies += ["451 try <eve@example.org> later", "421 as well"]
        box = outbox(server_at(running.port))
        box.later(compose)
        await settled(box)

    assert (running.received.tried, len(running.received.letters)) == (3, 1)
    assert caplog.messages == [
        "a mail was not taken and is tried again: SMTPDataError 451",
        "a mail was not taken and is tried again: SMTPDataError 421",
    ]


async def test_a_letter_that_is_refused_is_not(tmp_path, caplog):
    with mail_server(tmp_path) as running:
        running.received.replies.append("554 no such <eve@example.org>")
        box = outbox(server_at(running.port))
        box.later(compose)
        await settled(box)

    assert (running.received.tried, caplog.messages) == (1, ["a mail was not sent: SMTPDataError 554"])


async def test_a_server_that_is_down_is_in_nobodys_way(free_port, caplog):
    box = outbox(server_at(free_port))
    begun = time.monotonic()
    box.later(compose)
    assert time.monotonic() - begun < 0.1
    await settled(box)

    assert len(caplog.messages) == 3
    assert caplog.messages[-1].startswith("a mail was not sent: SMTPConnectError: ")


async def test_a_server_that_is_back_gets_the_letter(tmp_path, free_port):
    box = outbox(server_at(free_port), pauses=(0.05,) * 100)
    box.later(compose)
    await asyncio.sleep(0.1)
    with mail_server(tmp_path, port=free_port) as running:
        await settled(box)

    assert len(running.received.letters) == 1


async def test_a_server_that_says_nothing_is_left(free_port, caplog):
    with socket.create_server(("127.0.0.1", free_port)):
        box = outbox(server_at(free_port, timeout=0.05), pauses=())
        box.later(compose)
        await settled(box)

    assert caplog.messages[0].startswith("a mail was not sent: SMTP")


@pytest.mark.parametrize("error", [Unavailable("the database does not answer"), RuntimeError(TOKEN)])
async def test_a_letter_that_cannot_be_composed_is_told_of(free_port, caplog, error):
    async def fail() -> Letter:
        raise error

    box = outbox(server_at(free_port), pauses=())
    box.later(fail)
    await settled(box)

    told = "Unavailable: the database does not answer" if isinstance(error, Unavailable) else "RuntimeError"
    assert caplog.messages == [f"a mail was not sent: {told}"]


async def test_a_letter_that_takes_too_long_to_compose_is_left(caplog):
    async def wait() -> Letter:
        await asyncio.sleep(3600)
        return LETTER

    box = outbox(server_at(1, timeout=0.05), pauses=())
    box.later(wait)
    await settled(box)

    assert caplog.messages == ["a mail was not sent: TimeoutError: "]


async def test_no_token_and_no_address_is_logged(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    with mail_server(tmp_path) as running:
        running.received.replies += ["451 <eve@example.org>"] * 3
        box = outbox(server_at(running.port))
        box.later(compose)
        await settled(box)

    ours = " ".join(record.getMessage() for record in caplog.records if record.name != "mail.log")  # the mail server's
    assert "not sent" in ours
    assert TOKEN not in ours
    assert "eve@" not in ours


async def test_beyond_a_bound_letters_are_dropped(free_port, caplog):
    waiting = asyncio.Event()

    async def wait() -> None:
        await waiting.wait()

    box = outbox(server_at(free_port), most=2)
    for _ in range(3):
        box.later(wait)  # type: ignore[arg-type]

    assert (len(box._waiting), caplog.messages) == (2, ["a mail was dropped: 2 are waiting"])
    waiting.set()
    await settled(box)


async def test_few_are_sent_at_a_time(tmp_path):
    under_way, most = 0, 0

    async def count() -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1

    box = outbox(server_at(1))
    for _ in range(20):
        box.later(count)  # type: ignore[arg-type]
    await settled(box)

    assert most == 4


# --- the end of the server -------------------------------------------------------------------------------------------------


async def test_what_waits_is_tried_once_more(tmp_path):
    with mail_server(tmp_path) as running:
        running.received.replies.append("451 later")
        box = outbox(server_at(running.port), pauses=(3600,))
        box.later(compose)
        await asyncio.to_thread(running.received.until_tried)
        await box.close()

    assert len(running.received.letters) == 1


async def test_the_end_is_not_held_up(free_port, caplog):
    with socket.create_server(("127.0.0.1", free_port)):
        box = outbox(server_at(free_port), last_call=0.1)
        box.later(compose)
        begun = time.monotonic()
        await box.close()

    assert time.monotonic() - begun < 1
    assert (box._waiting, caplog.messages[-1]) == (set(), "1 mails were not sent: the server ends")


async def test_nothing_is_taken_on_after_the_end(free_port, caplog):
    box = outbox(server_at(free_port))
    await box.close()
    box.later(compose)

    assert box._waiting == set()


# --- the doctor -------------------------------------------------------------------------------------------------------------


async def told(folder: Path, port: int, **given: str) -> list[str]:
    """What the doctor says of the mail server."""
    settings = Settings(
        _env_file=None, SWITCHYARD_DATA_DIR=folder, **{**SAID, "SMTP_HOST": "127.0.0.1", "SMTP_PORT": port}, **given
    )
    return [str(finding) async for finding in doctor._mail(settings)]


async def test_the_doctor_signs_in(tmp_path, environment):
    with mail_server(tmp_path, "starttls", auth=True) as running:
        environment.setenv("SSL_CERT_FILE", str(tmp_path / "mail.pem"))
        right = await told(tmp_path, running.port, SMTP_USERNAME=USERNAME, SMTP_PASSWORD=PASSWORD)
        wrong = await told(tmp_path, running.port, SMTP_USERNAME=USERNAME, SMTP_PASSWORD="wrong")
    assert right == ["ok       mail       127.0.0.1 lets us in"]
    advice = "Look at SWITCHYARD_SMTP_HOST, _PORT, _TLS, _USERNAME, _PASSWORD"
    assert wrong == [f"problem  mail       127.0.0.1: SMTPAuthenticationError 535. {advice}"]


async def test_the_doctor_finds_nobody(tmp_path, free_port, environment):
    (line,) = await told(tmp_path, free_port)
    assert line.startswith("problem  mail       127.0.0.1: SMTPConnectError: ")


async def test_the_doctor_says_what_is_missing(tmp_path, environment):
    (line,) = await told(tmp_path, 25, SMTP_TLS="off", SMTP_USERNAME="sw")
    assert "a password is not sent in plain" in line


async def test_without_mail_the_doctor_says_nothing(tmp_path, environment):
    assert await told(tmp_path, 25, SWITCHYARD_SMTP_ENABLED="false") == []


# --- settings --------------------------------------------------------------------------------------------------------------


def of(**settings: str) -> Outbox:
    return outbox_of(Settings(_env_file=None, **settings))


@pytest.mark.usefixtures("environment")
class TestSettings:
    def test_by_default_there_is_no_mail(self):
        assert of().enabled is False
        assert of(**{**SAID, "SMTP_ENABLED": "false"}).enabled is False

    async def test_without_a_mail_server_nothing_is_composed(self):
        async def fail() -> Letter:
            raise AssertionError

        box = of()
        box.later(fail)
        assert box._waiting == set()

    def test_links(self):
        assert of(**SAID).link("reset-password", "a.b-c_d") == "https://switchyard.example.org/reset-password?token=a.b-c_d"
        below = of(**{**SAID, "SWITCHYARD_PUBLIC_URL": "https://example.org/files"})
        assert below.link("verify-email", "x") == "https://example.org/files/verify-email?token=x"

    @pytest.mark.parametrize("name", ["SMTP_HOST", "SMTP_FROM", "SWITCHYARD_PUBLIC_URL"])
    def test_what_is_missing_stops_the_start(self, name):
        ours = name if name.startswith("SWITCHYARD_") else f"SWITCHYARD_{name}"
        with pytest.raises(ValueError, match=f"^SWITCHYARD_SMTP_ENABLED needs {ours}$"):
            of(**{other: value for other, value in SAID.items() if other != name})

    @pytest.mark.parametrize(
        ("said", "port", "meant"),
        [
            (None, "587", "starttls"),
            ("true", "25", "starttls"),
            ("True", "465", "implicit"),
            ("auto", "465", "implicit"),
            ("implicit", "8465", "implicit"),
            ("starttls", "465", "starttls"),
            ("false", "25", "off"),
            ("off", "25", "off"),
        ],
    )
    def test_encryption(self, said, port, meant):
        server = of(**SAID, SMTP_PORT=port, **({} if said is None else {"SMTP_TLS": said}))._server
        assert server is not None
        assert (server.tls, server.context is None) == (meant, meant == "off")

    def test_no_password_goes_in_plain(self):
        with pytest.raises(ValueError, match="a password is not sent in plain"):
            of(**SAID, SMTP_TLS="off", SMTP_USERNAME="sw", SMTP_PASSWORD="x")

    @pytest.mark.parametrize("sender", ["Switchyard", "a@b\r\nBcc: c@d.org", "<@>"])
    def test_a_sender_has_an_address(self, sender):
        with pytest.raises(ValueError, match="SMTP_FROM"):
            of(**{**SAID, "SMTP_FROM": sender})

    @pytest.mark.parametrize(
        "url", ["switchyard.example.org", "https://example.org/?a", "https://a b", "https://u@example.org"]
    )
    def test_the_public_url_is_one(self, url):
        with pytest.raises(ValueError, match="SWITCHYARD_PUBLIC_URL"):
            of(**{**SAID, "SWITCHYARD_PUBLIC_URL": url})

    def test_the_password_is_not_shown(self):
        box = of(**SAID, SMTP_USERNAME="sw", SMTP_PASSWORD="hunter2-mail")
        assert "hunter2" not in repr(box._server)
