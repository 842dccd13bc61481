"""SMB shares of a real Samba: who gets in, what is left out, what is said when it does not work."""

from __future__ import annotations

import logging
import shutil
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from smbprotocol.exceptions import SMBException
from smbprotocol.file_info import FileAttributes
from smbprotocol.header import NtStatus, Smb2Flags, SMB2HeaderResponse

from core.errors import DomainError, InvalidInput, NotSupported
from core.secrets import Keyring, Secret
from jobs.sources import FileState, FoundFile, open_source
from jobs.sources.smb import _entry
from storage.objects.smb_access import Account, Address
from storage.objects.smb_share import PatientConnection
from tests import smb


@pytest.fixture
def samba() -> Iterator[smb.Samba]:
    samba = smb.shared()
    yield samba
    shutil.rmtree(samba.folder)


@contextmanager
def opened(samba: smb.Samba, **changes):
    source = samba.source(**changes)
    try:
        yield source
    finally:
        source.close()
    assert smb.threads() == []


def failure(samba: smb.Samba, **changes) -> str:
    """What is said when the share cannot be listed."""
    with opened(samba, **changes) as source, pytest.raises((OSError, DomainError)) as caught:
        list(source.discover(pytest.fail))
    error = caught.value
    return error.detail if isinstance(error, DomainError) else error.strerror


def permanent(samba: smb.Samba, **changes) -> str:
    """The same for what no retry mends."""
    with opened(samba, **changes) as source, pytest.raises(InvalidInput) as caught:
        list(source.discover(pytest.fail))
    return caught.value.detail


# Addresses and names


@pytest.mark.parametrize(
    ("text", "address", "shown"),
    [
        ("nas", Address("nas", 445), "nas:445"),
        (" nas.lab.example ", Address("nas.lab.example", 445), "nas.lab.example:445"),
        ("nas:18840", Address("nas", 18840), "nas:18840"),
        ("192.0.2.7:1", Address("192.0.2.7", 1), "192.0.2.7:1"),
        ("[2001:db8::1]", Address("2001:db8::1", 445), "[2001:db8::1]:445"),
        ("[fe80::1%eth0]:65535", Address("fe80::1%eth0", 65535), "[fe80::1%eth0]:65535"),
    ],
)
def test_hosts(text, address, shown):
    assert (Address.parse(text), str(Address.parse(text))) == (address, shown)


@pytest.mark.parametrize(
    "text",
    ["", " ", "nas:", "nas:0", "nas:65536", "nas:smb", "2001:db8::1", "[nas]", "[::1", "smb://nas", r"\\nas\share", "a b"],
)
def test_what_is_no_host(text):
    with pytest.raises(InvalidInput) as caught:
        Address.parse(text)
    assert caught.value.detail == f"the host {text!r} is no address: write it as host, host:port or [IPv6 address]:port"


@pytest.mark.parametrize(
    ("share", "base_path"),
    [
        ("ro/{folder}", None),
        ("/ro/{folder}/", "/"),
        (r"ro\{folder}", ""),
        (r"\ro\{folder}\run", None),
        ("ro", r"{folder}"),
        ("ro", r"\{folder}\run\\"),
        ("ro/{folder}", "/run"),
    ],
)
def test_share_and_base_path_in_either_notation(samba, share, base_path):
    samba.put("run/data")
    folder = samba.folder.name
    base = base_path and base_path.format(folder=folder)
    with opened(samba, cifs_share=share.format(folder=folder), cifs_base_path=base) as source:
        paths = [file.path for file in source.discover(pytest.fail)]
    assert paths == ["data" if "run" in share + (base_path or "") else "run/data"]


@pytest.mark.parametrize("changes", [{"cifs_share": ""}, {"cifs_share": "/"}, {"cifs_share": "\\"}])
def test_a_share_has_a_name(samba, changes):
    with pytest.raises(InvalidInput, match="the instrument names no share"):
        samba.source(**changes)


@pytest.mark.parametrize(
    "changes", [{"cifs_share": "../ro"}, {"cifs_share": "ro/.."}, {"cifs_base_path": "a/../.."}, {"cifs_share": "a\0b"}]
)
def test_paths_do_not_lead_up(samba, changes):
    with pytest.raises(InvalidInput, match="cannot be used as the name of a file or folder"):
        samba.source(**changes)


def test_an_address_of_the_sixth_version(samba):
    samba.put("a")
    with opened(samba, cifs_host=samba.address.replace("127.0.0.1", "[::1]")) as source:
        assert [file.path for file in source.discover(pytest.fail)] == ["a"]


# Accounts


def test_a_service_account_is_needed(samba):
    with pytest.raises(InvalidInput) as caught:
        Account.of(None, smb.KEYRING)
    assert caught.value.detail == "the instrument has no service account, which an SMB source needs"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"deleted_at": datetime(2026, 1, 1, tzinfo=UTC)}, "the service account 'Reader' has been deleted"),
        ({"username": " "}, "the service account 'Reader' has no user name"),
        (
            {"password_sealed": Keyring([b"k" * 32]).seal(Secret("x"))},
            "this worker has not the key of the service account 'Reader': enter its password again",
        ),
    ],
)
def test_accounts_that_cannot_be_used(samba, changes, message):
    with pytest.raises(InvalidInput) as caught:
        samba.source(account=samba.account(**changes))
    assert caught.value.detail == message


@pytest.mark.parametrize(
    ("username", "domain", "signs_in_as"),
    [
        ("reader", None, r"WORKGROUP\reader"),
        ("reader", "", r"WORKGROUP\reader"),
        (" reader ", "LAB", r"LAB\reader"),
        (r"OTHER\reader", "LAB", r"OTHER\reader"),
        ("reader@lab.example", "LAB", "reader@lab.example"),
    ],
)
def test_the_domain_of_an_account(samba, username, domain, signs_in_as):
    row = samba.account(username=username, domain=domain, password="p")
    assert Account.of(row, smb.KEYRING) == Account(signs_in_as, Secret("p"))


def test_a_worker_without_keys_says_so(samba):
    with pytest.raises(NotSupported, match="this worker was started without the keys that SMB sources need"):
        open_source(samba.instrument(), [], samba.account())


@pytest.mark.parametrize("account", [{"password": "wrong"}, {"username": "nobody-knows"}, {"password": ""}])
def test_a_wrong_user_name_or_password_is_told_at_once(samba, account):
    message = permanent(samba, account=samba.account(**account))
    assert message == f"the user name or password of the service account was refused by {samba.address}"


def test_the_password_is_nowhere(samba, caplog):
    caplog.set_level(logging.DEBUG)
    samba.put("a")
    password = "a-password-of-its-own"
    account = samba.account(password=password)
    with opened(samba, account=account) as source:
        with pytest.raises(InvalidInput) as caught:
            list(source.discover(pytest.fail))
        told = "".join(traceback.format_exception(caught.value))
        shown = [repr(source), repr(source._share), repr(source._share._account), repr(vars(source._share))]
    assert "LogonFailure" in told
    for text in (told, caplog.text, *shown):
        assert password not in text


def test_the_library_logs_no_packets(samba, caplog):
    caplog.set_level(logging.DEBUG)
    samba.put("a")
    with opened(samba) as source:
        list(source.discover(pytest.fail))
    assert [record.name for record in caplog.records if record.name.startswith(("smb", "spnego"))] == []


# Servers


def test_an_unknown_share(samba):
    assert failure(samba, cifs_share="nope/a") == f"there is no share called nope on {samba.address}"


def test_a_share_that_the_account_may_not_use(samba):
    assert failure(samba, cifs_share="closed") == f"the service account may not use the share closed on {samba.address}"


def test_a_folder_that_is_not_there(samba):
    path = rf"\\{samba.address}\ro\{samba.folder.name}\nope"
    assert failure(samba, cifs_base_path="nope") == f"not found: {path}"


def test_a_folder_that_is_a_file(samba):
    samba.put("a")
    assert failure(samba, cifs_base_path="a") == rf"not a folder: \\{samba.address}\ro\{samba.folder.name}\a"


def test_a_port_where_nobody_listens(samba):
    host = f"127.0.0.1:{smb.free_port()}"
    assert failure(samba, cifs_host=host) == f"the SMB server {host} does not answer: Connection refused"


def test_a_host_that_does_not_exist(samba):
    assert failure(samba, cifs_host="nas.invalid") == "there is no host called nas.invalid"


@contextmanager
def peer(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """Something that listens and is no SMB server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):  # the other side may have gone
                answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


@pytest.mark.slow
def test_a_server_that_says_nothing(samba):
    with peer(lambda connection: connection.recv(1) and time.sleep(1.5)) as host:
        began = time.monotonic()
        message = failure(samba, cifs_host=host, connecting=1)
    assert message == f"the SMB server {host} does not answer within 1 s"
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 4, marks=pytest.mark.slow),  # is waited for
        b"\0\0\0\x08nonsense",
        b"\0\0\0\x40" + b"\xfeSMB" + bytes(60),
        b"\0\0\0\x24" + b"\xffSMB" + bytes(32),
    ],
    ids=["hangs up", "HTTP", "nonsense", "empty answer", "SMB 1"],
)
def test_what_is_no_smb_server(samba, answer):
    def reply(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)

    with peer(reply) as host:
        assert failure(samba, cifs_host=host) in {
            f"the connection to the SMB server {host} broke",
            f"the SMB server {host} does not answer within 2 s",
        }


# What is left out


def test_what_may_not_be_read_does_not_hide_the_rest(samba):
    samba.put("good")
    samba.put("closed/a").parent.chmod(0o700)
    samba.put("secret").chmod(0o600)
    reasons: dict[str, str] = {}
    with opened(samba) as source:
        assert [file.path for file in source.discover(reasons.__setitem__)] == ["good", "secret"]
        for ask in (source.open, lambda path: source.open(path).read()):
            with pytest.raises(PermissionError) as caught:
                ask("secret")
            assert caught.value.strerror == "access denied: secret"
        assert source.lost() is None
    assert reasons == {"closed/": "the folder may not be read"}


def test_a_folder_that_may_not_be_read_at_all(samba):
    samba.put("closed/a").parent.chmod(0o700)
    path = rf"\\{samba.address}\ro\{samba.folder.name}\closed"
    assert failure(samba, cifs_base_path="closed") == f"access denied: {path}"


def row(*, attributes: int = 0, tag: int = 0) -> dict:
    values = {
        "file_attributes": attributes,
        "ea_size": tag,
        "end_of_file": 3,
        "last_write_time": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return {name: SimpleNamespace(get_value=lambda value=value: value) for name, value in values.items()}


FOLDER, LINK = FileAttributes.FILE_ATTRIBUTE_DIRECTORY, FileAttributes.FILE_ATTRIBUTE_REPARSE_POINT
FILE = FoundFile("run/a", FileState(3, 1_767_225_600_000_000_000))


@pytest.mark.parametrize(
    ("attributes", "tag", "entries"),
    [
        (0, 0, [FILE]),
        (FOLDER, 0, ["run/a/"]),
        (LINK, 0x80000013, [FILE]),  # deduplicated
        (LINK, 0xA000000C, []),  # a symbolic link
        (FOLDER | LINK, 0xA0000003, []),  # a junction
        (FOLDER | LINK, 0x8000000A, []),  # DFS
        (LINK, 0, []),
    ],
)
def test_links_are_left_out(attributes, tag, entries):
    reasons: dict[str, str] = {}
    assert _entry("run/", "a", row(attributes=attributes, tag=tag), reasons.__setitem__) == entries
    assert reasons == ({} if entries else {"run/a": "it is a link, which may lead elsewhere"})


@pytest.mark.parametrize("name", ["..", "../../x", r"..\x", "a/b", "a\0b", "", "\ud800"])
@pytest.mark.parametrize("attributes", [0, FOLDER])
def test_names_that_no_file_has_are_left_out(name, attributes):
    reasons: dict[str, str] = {}
    assert _entry("run/", name, row(attributes=attributes), reasons.__setitem__) == []
    assert list(reasons) == [f"run/{name}"]


@pytest.mark.parametrize("path", ["../secret", r"a\..\b", "a//b", "a/./b", "\ud800"])
def test_paths_that_are_none_are_not_asked_for(samba, path):
    with opened(samba) as source:
        for ask in (source.state, source.open):
            with pytest.raises(InvalidInput):
                ask(path)


# Protection


def test_everything_is_encrypted_where_the_server_can(samba):
    samba.put("a")
    with opened(samba) as source:
        list(source.discover(pytest.fail))
        (session,) = source._share._connection.session_table.values()
        assert (session.encrypt_data, session.password) == (True, None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "dialect"),
    [
        (["server smb encrypt = off"], 0x311),
        (["server max protocol = SMB3_00"], 0x300),
        (["server max protocol = SMB2_10"], 0x210),
        (["server smb encrypt = required"], 0x311),
    ],
)
def test_older_and_stricter_servers(settings, dialect):
    with smb.own(*settings) as samba:
        samba.put("a", b"1" * 200_000)
        with opened(samba) as source:
            assert [file.path for file in source.discover(pytest.fail)] == ["a"]
            assert source.open("a").read() == b"1" * 200_000
            connection = source._share._connection
            (session,) = connection.session_table.values()
            assert connection.dialect == dialect
            assert session.encrypt_data or session.signing_required


@pytest.mark.slow
def test_a_server_that_is_too_old():
    with smb.own("server max protocol = SMB2_02") as samba:
        assert permanent(samba) == f"the SMB server {samba.address} is too old: SMB 2.1 or newer is needed"


@pytest.mark.slow
@pytest.mark.parametrize("settings", [[], ["server smb encrypt = off"]])
def test_nobody_becomes_a_guest(settings):
    with smb.own("map to guest = Bad User", *settings) as samba:
        message = permanent(samba, account=samba.account(username="nobody-knows"))
        assert message == f"{samba.address} lets the service account in as a guest only, which is not safe"


@pytest.mark.parametrize(
    ("encrypts", "flags", "status", "taken"),
    [
        (True, 0, NtStatus.STATUS_SUCCESS, False),
        (True, Smb2Flags.SMB2_FLAGS_SIGNED, NtStatus.STATUS_SUCCESS, False),
        (False, 0, NtStatus.STATUS_SUCCESS, False),
        (False, 0, NtStatus.STATUS_ACCESS_DENIED, False),
        (False, 0, NtStatus.STATUS_PENDING, True),
    ],
)
def test_an_answer_that_is_not_protected_is_not_believed(encrypts, flags, status, taken):
    connection = PatientConnection(Address("nas", 445), 1)
    connection.session_table[7] = SimpleNamespace(encrypt_data=encrypts)
    header = SMB2HeaderResponse()
    header["flags"] = flags
    header["status"] = status
    if taken:
        connection.verify_signature(header, 7)
    else:
        with pytest.raises(SMBException, match="neither encrypted nor signed"):
            connection.verify_signature(header, 7)
