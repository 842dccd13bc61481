"""Objects of a bucket. A write is an object under a temporary key, read back from there and copied to its key by the server.

Temporary keys are `<prefix>/.switchyard/<owner>/<token>`, so that what a dead worker left is found by one list.
"""

from __future__ import annotations

import errno
import io
import logging
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any, BinaryIO, cast

from core.errors import DomainError, InvalidInput
from storage.objects.paths import safe_key
from storage.objects.s3_bucket import Bucket, UnknownRequestError

log = logging.getLogger(__name__)

_MEGABYTE = 1024 * 1024
_PART = 16 * _MEGABYTE
_MOST_PARTS = 9000
"""Of the 10,000 that a server takes."""

_IN_MEMORY = _PART
"""Parts of files above 144 GB are larger; what is more than this waits on the disk."""

COPIED_AT_ONCE = 5 * 1024 * _MEGABYTE
"""What a server copies in one request; larger objects are copied in ranges."""

_RANGE = 512 * _MEGABYTE

_LONGEST_KEY = 1024

_RESERVED = ".switchyard"


class S3Store:
    """Everything below one prefix of a bucket. `owner` is whose remains `sweep` removes."""

    def __init__(self, bucket: Bucket, prefix: str, owner: str) -> None:
        self.bucket = bucket
        names = [name for name in prefix.split("/") if name]
        self._prefix = f"{safe_key('/'.join(names))}/" if names else ""
        self._temporary = f"{self._prefix}{_RESERVED}/{owner}/"
        self._leftovers: list[str] = []

    def locate(self, key: str) -> str:
        path = safe_key(key)
        if path.parts[0] == _RESERVED:
            raise InvalidInput(f"{_RESERVED} is a name that this server keeps for itself")
        located = f"{self._prefix}{path}"
        if len(located.encode()) > _LONGEST_KEY:
            raise InvalidInput(f"its key would be longer than {_LONGEST_KEY} bytes")
        return located

    def begin(self, key: str, token: str, size: int = 0) -> S3Writer:
        return S3Writer(self, self.locate(key), f"{self._temporary}{token}", size)

    def flush(self) -> None:
        """What was acknowledged is durable; the temporary objects are removed, for many files in one request."""
        leftovers, self._leftovers = self._leftovers, []
        if leftovers:
            try:
                self._remove(leftovers)
            except (OSError, DomainError):
                log.warning("temporary objects could not be removed; the next harvest does it", exc_info=True)

    def discard(self, location: str, token: str) -> None:
        temporary = f"{self._temporary}{token}"
        for key in (temporary, location):
            for upload in self._uploads(key):
                if upload["Key"] == key:
                    self._abort(upload)
        self.bucket.tidy("delete_object", location, Key=temporary)

    def sweep(self) -> None:
        for upload in self._uploads(self._temporary):
            self._abort(upload)
        for page in self._pages("list_objects_v2", self._temporary):
            self._remove([found["Key"] for found in page.get("Contents", ())])

    def check(self) -> None:
        self.bucket.ask("list_objects_v2", f"list the bucket {self.bucket.name}", Prefix=self._prefix, MaxKeys=1)

    def exists(self, key: str) -> bool:
        located = self.locate(key)
        with suppress(FileNotFoundError):
            self.bucket.ask("head_object", located, Key=located)
            return True
        return False

    def open(self, key: str) -> BinaryIO:
        return cast("BinaryIO", S3Reader(self.bucket, self.locate(key)))

    def delete(self, key: str) -> None:
        located = self.locate(key)
        self.bucket.ask("delete_object", located, Key=located)

    def lost(self) -> str | None:
        return self.bucket.lost()

    def interrupt(self) -> None:
        self.bucket.interrupt()

    def close(self) -> None:
        self.bucket.close()

    def left_over(self, temporary: str) -> None:
        """To be removed at the next occasion."""
        self._leftovers.append(temporary)

    def _remove(self, keys: list[str]) -> None:
        if keys:
            objects = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
            self.bucket.tidy("delete_objects", "remove temporary objects", Delete=objects)

    def _abort(self, upload: Any) -> None:
        with suppress(FileNotFoundError):
            self.bucket.tidy("abort_multipart_upload", upload["Key"], Key=upload["Key"], UploadId=upload["UploadId"])

    def _uploads(self, prefix: str) -> Iterator[Any]:
        marker: dict[str, str] = {}
        while True:
            page = self.bucket.tidy("list_multipart_uploads", prefix, Prefix=prefix, **marker)
            yield from page.get("Uploads", ())
            if not page.get("IsTruncated"):
                return
            marker = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def _pages(self, operation: str, prefix: str) -> Iterator[Any]:
        marker: dict[str, str] = {}
        while True:
            page = self.bucket.tidy(operation, prefix, Prefix=prefix, **marker)
            yield page
            if not page.get("IsTruncated"):
                return
            marker = {"ContinuationToken": page["NextContinuationToken"]}


class S3Writer:
    """An object under a temporary key: one request if it is small, parts if it is not."""

    def __init__(self, store: S3Store, key: str, temporary: str, expected: int) -> None:
        self._store = store
        self._ask = store.bucket.ask
        self._key = key
        self._temporary = temporary
        self._part_size = max(_PART, -(-expected // _MOST_PARTS))
        self._part = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115  # closed by `_seal` and `abort`
        self._size = 0
        self._upload: Upload | None = None
        self._sealed = False

    def write(self, chunk: bytes) -> None:
        rest = memoryview(chunk)
        while rest:
            room = self._part_size - self._part.tell()
            if room == 0:
                self._send_part()
                continue
            self._part.write(rest[:room])
            self._size += len(rest[:room])
            rest = rest[room:]

    def read_back(self) -> BinaryIO:
        self._seal()
        return cast("BinaryIO", S3Reader(self._store.bucket, self._temporary))

    def commit(self, modified_ns: int, *, replace: bool = True) -> None:
        self._seal()
        known = {"mtime": f"{modified_ns // 10**9}.{modified_ns % 10**9:09}"}  # as rclone writes it
        if replace and self._size <= COPIED_AT_ONCE:
            source = {"Bucket": self._store.bucket.name, "Key": self._temporary}
            self._ask("copy_object", self._key, Key=self._key, CopySource=source, Metadata=known, MetadataDirective="REPLACE")
        else:
            self._copy(known, {} if replace else {"IfNoneMatch": "*"})
        self._store.left_over(self._temporary)

    def abort(self) -> None:
        self._part.close()
        with suppress(OSError, DomainError):  # what ended the write is worth more to the caller
            if self._upload is not None:
                self._upload.abort()
            self._store.bucket.tidy("delete_object", self._key, Key=self._temporary)

    def _send_part(self) -> None:
        if self._upload is None:
            self._upload = Upload(self._store.bucket, self._temporary)
        self._part.seek(0)
        self._upload.send(self._part)
        self._part.seek(0)
        self._part.truncate()

    def _seal(self) -> None:
        if self._sealed:
            return
        if self._upload is None:
            self._part.seek(0)
            self._ask("put_object", self._key, Key=self._temporary, Body=self._part)
        else:
            self._send_part()
            self._upload.complete()
            self._upload = None
        self._sealed = True
        self._part.close()

    def _copy(self, known: dict[str, str], condition: dict[str, str]) -> None:
        """Copy by ranges, since only the end of an upload can be told to take nothing but a free name."""
        if condition:  # for servers that do not know the condition
            with suppress(FileNotFoundError):
                self._ask("head_object", self._key, Key=self._key)
                raise FileExistsError(errno.EEXIST, f"there is something of that name already: {self._key}")
        if not self._size:  # there is no range of nothing
            self._conditionally("put_object", condition, Body=b"", Metadata=known)
            return
        upload = Upload(self._store.bucket, self._key, known)
        try:
            size = max(_RANGE, -(-self._size // _MOST_PARTS))
            for start in range(0, self._size, size):
                upload.copy(self._temporary, start, min(start + size, self._size) - 1)
            self._conditionally("complete_multipart_upload", condition, **upload.parts())
        except BaseException:
            with suppress(OSError, DomainError):
                upload.abort()
            raise

    def _conditionally(self, operation: str, condition: dict[str, str], **parameters: Any) -> None:
        try:
            self._ask(operation, self._key, Key=self._key, **parameters, **condition)
        except UnknownRequestError:
            if not condition:
                raise
            self._ask(operation, self._key, Key=self._key, **parameters)


class Upload:
    """A multipart upload: an object that is not there before it is complete."""

    def __init__(self, bucket: Bucket, key: str, known: dict[str, str] | None = None) -> None:
        self._bucket = bucket
        self._key = key
        self._id = bucket.ask("create_multipart_upload", key, Key=key, Metadata=known or {})["UploadId"]
        self._tags: list[str] = []

    def send(self, content: Any) -> None:
        """The next part."""
        self._tags.append(self._next("upload_part", Body=content)["ETag"])

    def copy(self, source: str, first: int, last: int) -> None:
        """The next part, from another object."""
        where = {"CopySource": {"Bucket": self._bucket.name, "Key": source}, "CopySourceRange": f"bytes={first}-{last}"}
        self._tags.append(self._next("upload_part_copy", **where)["CopyPartResult"]["ETag"])

    def parts(self) -> dict[str, Any]:
        """What completes it."""
        parts = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(self._tags, 1)]
        return {"UploadId": self._id, "MultipartUpload": {"Parts": parts}}

    def complete(self) -> None:
        """Make it an object."""
        self._bucket.ask("complete_multipart_upload", self._key, Key=self._key, **self.parts())

    def abort(self) -> None:
        """Forget it."""
        self._bucket.tidy("abort_multipart_upload", self._key, Key=self._key, UploadId=self._id)

    def _next(self, operation: str, **what: Any) -> Any:
        return self._bucket.ask(operation, self._key, Key=self._key, UploadId=self._id, PartNumber=len(self._tags) + 1, **what)


class S3Reader(io.RawIOBase):
    """An object's content, from any place in it."""

    def __init__(self, bucket: Bucket, key: str) -> None:
        self._bucket = bucket
        self._key = key
        self._place = 0
        self._body: Any = None
        self._size = self._request()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        if place != self._place:
            self._let_go()
            self._place = place
        return place

    def tell(self) -> int:
        return self._place

    def read(self, size: int = -1) -> bytes:
        """The next bytes, perhaps fewer than asked for."""
        if size < 0:
            return self.readall()
        if self._place >= self._size:
            return b""
        if self._body is None:
            self._request()
        with self._bucket.asking(self._key):
            content: bytes = self._body.read(size)
        if not content:
            raise OSError(errno.EIO, f"the content ends early: {self._key}")
        self._place += len(content)
        return content

    def close(self) -> None:
        self._let_go()
        super().close()

    def _request(self) -> int:
        """Ask for what follows; the size of the rest."""
        where = {"Range": f"bytes={self._place}-"} if self._place else {}
        answer = self._bucket.ask("get_object", self._key, Key=self._key, **where)
        self._body = answer["Body"]
        size: int = answer["ContentLength"]
        return size

    def _let_go(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            with suppress(Exception), closing(body):
                pass
