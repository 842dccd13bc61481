"""Files that clients send, as threads read them."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator

import pytest

from core.uploads import Upload


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    yield content


@pytest.fixture
async def upload(tmp_path):
    upload = Upload()
    await upload.fill(pieces(b"one;two\r\nthree;four"), tmp_path)
    yield upload
    await upload.close()


async def test_a_reader_reads_and_goes_back(upload):
    file = upload.reader()
    assert (file.readline(), file.read(5), file.tell()) == (b"one;two\r\n", b"three", 14)
    assert (file.seek(0), file.read()) == (0, b"one;two\r\nthree;four")
    assert (file.seek(-4, io.SEEK_END), file.read(), file.read()) == (15, b"four", b"")


async def test_readers_do_not_mind_each_other(upload):
    one, other = upload.reader(), upload.reader()
    assert [one.read(3), other.read(3), one.read(4)] == [b"one", b"one", b";two"]
    one.close()
    assert other.read(4) == b";two"


async def test_what_is_closed_is_read_no_more(upload):
    file = upload.reader()
    await upload.close()
    with pytest.raises(ValueError, match="closed file"):
        file.read()
