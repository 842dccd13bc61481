"""What is particular to buckets: keys, copies made by the server, what is left over, and what errors are called."""

from __future__ import annotations

import io
import logging
import re

import pytest
from botocore.exceptions import ClientError

from core.errors import InvalidInput
from core.secrets import Secret
from storage.objects.s3 import S3Store
from storage.objects.s3_bucket import Bucket, S3Access
from tests import s3

ACCESS = S3Access(
    bucket="raw",
    region="eu-central-1",
    key_id="AKIASESAME",
    secret=Secret("sesame"),
    endpoint="http://127.0.0.1:1",
    connecting=0.5,
    answer=0.5,
)


def store(prefix: str = "") -> S3Store:
    return S3Store(Bucket(ACCESS), prefix, "owner")


@pytest.mark.parametrize(
    ("prefix", "located"), [("", "NMR/a b"), ("/", "NMR/a b"), ("/archive/", "archive/NMR/a b"), ("a//ä", "a/ä/NMR/a b")]
)
def test_a_key_is_the_base_path_and_the_name(prefix, located):
    assert store(prefix).locate("NMR/a b") == located


@pytest.mark.parametrize("prefix", ["..", "a/../b", "a\0"])
def test_a_base_path_that_leaves_the_bucket_is_refused(prefix):
    with pytest.raises(InvalidInput):
        store(prefix)


@pytest.mark.parametrize("key", [".switchyard/x", "ä" * 513])
def test_a_key_that_cannot_be_is_refused(key):
    with pytest.raises(InvalidInput):
        store().locate(key)


def test_nothing_tells_the_secret():
    assert "sesame" not in f"{ACCESS!r}{store()!r}{store().bucket!r}".replace("AKIASESAME", "")


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("AccessDenied", PermissionError, "the access key may not do this in the bucket raw: x"),
        ("QuotaExceeded", OSError, "the bucket raw is full or its quota is used up: x"),
        ("NoSuchKey", FileNotFoundError, "not found: x"),
        ("PreconditionFailed", FileExistsError, "there is something of that name already: x"),
        ("SlowDown", BlockingIOError, "127.0.0.1:1 is too busy: x"),
        ("Odd", OSError, "127.0.0.1:1 reports Odd: x"),
        ("", OSError, "127.0.0.1:1 reports an error without a name: x"),
    ],
)
def test_what_a_server_refuses_is_said_in_words(code, kind, words):
    bucket = Bucket(ACCESS)
    with pytest.raises(kind) as caught, bucket.asking("x"):
        raise ClientError({"Error": {"Code": code, "Message": "AKIASESAME"}}, "PutObject")
    assert (caught.value.strerror, bucket.lost()) == (words, None)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("NoSuchBucket", "there is no bucket called raw on 127.0.0.1:1"),
        ("InvalidAccessKeyId", "the access key of the storage location was refused by 127.0.0.1:1 (InvalidAccessKeyId)"),
        ("PermanentRedirect", "the bucket raw is not in the region eu-central-1"),
        ("RequestTimeTooSkewed", "the clocks of this machine and of 127.0.0.1:1 differ too much"),
    ],
)
def test_what_no_retry_mends_is_the_end_of_the_bucket(code, words):
    bucket = Bucket(ACCESS)
    with pytest.raises(InvalidInput) as caught, bucket.asking("x"):
        raise ClientError({"Error": {"Code": code}}, "PutObject")
    assert (caught.value.detail, bucket.lost()) == (words, words)
    with pytest.raises(OSError, match=re.escape(words)):
        bucket.ask("head_object", "x", Key="x")


def test_a_server_that_is_not_there_is_asked_three_times_and_then_no_more(caplog):
    place = store()
    with caplog.at_level(logging.DEBUG), pytest.raises(OSError, match=r"the S3 server 127\.0\.0\.1:1 cannot be reached"):
        place.exists("x")
    assert place.lost() == "the S3 server 127.0.0.1:1 cannot be reached"
    assert "sesame" not in caplog.text.replace("AKIASESAME", "")
    place.close()


def test_an_interruption_says_nothing_about_the_server():
    place = store()
    place.interrupt()
    with pytest.raises(InterruptedError):
        place.exists("x")
    assert place.lost() is None
    place.close()


@pytest.mark.slow
class TestServer:
    def test_an_object_keeps_the_time_of_its_source_as_rclone_writes_it(self):
        server = s3.shared()
        place = server.store()
        for replace in (False, True):
            place.begin("a", f"{replace}").commit(1_700_000_000_123_456_789, replace=replace)
            head = server.client.head_object(Bucket=server.bucket, Key="archive/a")
            assert head["Metadata"] == {"mtime": "1700000000.123456789"}
        place.flush()
        assert list(server.objects()) == ["archive/a"]
        place.close()

    @pytest.mark.parametrize("replace", [True, False])
    def test_what_is_too_large_for_one_copy_is_copied_in_ranges(self, monkeypatch, replace):
        monkeypatch.setattr("storage.objects.s3.COPIED_AT_ONCE", 1)
        monkeypatch.setattr("storage.objects.s3._RANGE", 5 * 1024 * 1024)
        server = s3.shared()
        place = server.store()
        content = bytes(range(256)) * 50_000
        writer = place.begin("large", "t", len(content))
        writer.write(content)
        with writer.read_back() as stream:
            assert stream.read() == content
        writer.commit(0, replace=replace)
        place.flush()
        assert server.objects() == {"archive/large": content}
        assert server.uploads() == []
        place.close()

    @pytest.mark.parametrize("content", [b"", b"late"])
    def test_a_name_that_somebody_takes_at_the_last_moment_is_not_taken_from_them(self, monkeypatch, content):
        server = s3.shared()
        place = server.store()
        writer = place.begin("a", "t")
        writer.write(content)
        writer.read_back().close()
        ask = place.bucket.ask

        def asked(operation: str, about: str, **parameters: object) -> object:
            if "IfNoneMatch" in parameters:
                server.client.put_object(Bucket=server.bucket, Key="archive/a", Body=b"theirs")
            return ask(operation, about, **parameters)

        writer._ask = place.bucket.ask = asked
        with pytest.raises(FileExistsError):
            writer.commit(0, replace=False)
        writer.abort()
        assert server.objects() == {"archive/a": b"theirs"}
        assert server.uploads() == []
        place.close()

    def test_the_remains_of_others_are_left_to_them(self):
        server = s3.shared()
        mine, others = server.store(owner="mine"), server.store(owner="others")
        writers = []
        for place in (mine, others):
            for size in (3, 17 * 1024 * 1024):
                writers.append(writer := place.begin("a", f"{size}", size))
                writer.write(b"x" * size)
                if size == 3:
                    writer.read_back().close()
        mine.sweep()
        assert list(server.objects()) == ["archive/.switchyard/others/3"]
        assert server.uploads() == ["archive/.switchyard/others/17825792"]
        others.sweep()
        assert (server.objects(), server.uploads()) == ({}, [])
        for writer in writers:
            writer.abort()
        mine.close()
        others.close()

    def test_a_dead_workers_unfinished_upload_of_the_object_itself_is_discarded(self):
        server = s3.shared()
        server.client.create_multipart_upload(Bucket=server.bucket, Key="archive/a")
        place = server.store()
        place.discard(place.locate("a"), "t")
        assert server.uploads() == []
        place.close()

    def test_content_can_be_read_from_any_place(self):
        server = s3.shared()
        place = server.store()
        server.client.put_object(Bucket=server.bucket, Key="archive/a", Body=b"0123456789")
        with place.open("a") as stream:
            assert stream.read(2) == b"01"
            assert stream.seek(-3, io.SEEK_END) == 7
            assert stream.read() == b"789"
            assert stream.seek(4) == 4
            assert (stream.read(1), stream.tell()) == (b"4", 5)
        place.close()
