"""Files over GraphQL, by the multipart request specification: operations and map come first, then the files.

No file is read before it is known that the operation takes it, and that whoever asks may begin that operation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any

from starlette.requests import Request

from app.graphql_request import Asked, BadRequest, asked_in, media_type, parsed, preflighted
from core.errors import TooLarge, UnsupportedMedia
from core.uploads import Room, Upload
from rest_compat.bodies import limited
from rest_compat.multipart import FRAMING, MULTIPART, BrokenMultipart, Parts, bounded

FILES = 20
"""Most of one request."""
LONGEST_PATH = 500

_NOT_PREFLIGHTED = (
    f"{MULTIPART} needs a bearer token, or the header GraphQL-Preflight with any value, "
    "since a page of any origin can send it without them"
)


class Uploads(Room):
    """The room for them, for every transport."""

    __slots__ = ()

    @asynccontextmanager
    async def form(self, request: Request, body: int) -> AsyncIterator[Form]:
        """What the request holds, whose files are gone afterwards. Operations and map have at most so many bytes together."""
        if not preflighted(request.headers):
            raise BadRequest(400, _NOT_PREFLIGHTED)
        with _explained():
            form = Form(self, request, body)
        try:
            yield form
        finally:
            await form.close()


class Form:
    """One multipart request: first `asked`, then `files`."""

    def __init__(self, uploads: Uploads, request: Request, body: int) -> None:
        self._uploads, self._body, self._body_left = uploads, body, body
        sent = limited(request, uploads.largest + body + FRAMING).stream()
        self._parts = Parts(request.headers["content-type"], sent)
        self._files: dict[str, Upload] = {}
        """By the names of their parts."""

    async def asked(self, batch: int) -> Asked | list[Asked]:
        """The operations. Where the map says so, a variable is an upload, which is empty until `files`."""
        with _explained():
            operations, paths = await self._json("operations"), await self._json("map")
        taken = self._place(operations, _named(paths))
        asked = asked_in(operations, batch)
        if isinstance(asked, list):
            return [replace(each, uploads=frozenset(taken[number])) for number, each in enumerate(asked)]
        return replace(asked, uploads=frozenset(taken[None]))

    async def files(self) -> None:
        """Read them."""
        missing = dict(self._files)
        with _explained():
            left = self._uploads.largest
            while (part := await self._parts.next()) is not None:
                upload = missing.pop(part.name, None)
                if upload is None:
                    twice = part.name in self._files
                    raise BadRequest(400, f"the file {part.name!r} was sent {'twice' if twice else 'and is not in the map'}")
                upload.filename, upload.content_type = part.filename or "", part.content_type
                await upload.fill(
                    bounded(part, left, f"the files are larger than {self._uploads.largest} bytes"), self._uploads.folder
                )
                left -= upload.size
        if missing:
            raise BadRequest(400, f"the file {next(iter(missing))!r} is in the map and was not sent")

    async def close(self) -> None:
        """Remove the files."""
        for upload in self._files.values():
            await upload.close()

    async def _json(self, name: str) -> Any:
        part = await self._parts.next()
        if part is None or part.name != name:
            raise BadRequest(400, f"the part {name!r} is missing: send operations, then map, then the files")
        text = bytearray()
        async for piece in bounded(part, self._body_left, f"operations and map are larger than {self._body} bytes"):
            text += piece
        self._body_left -= len(text)
        return parsed(bytes(text), name)

    def _place(self, operations: Any, named: Mapping[str, list[str]]) -> Mapping[int | None, set[str]]:
        """Put uploads into the operations; the variables that have some, by the number of the operation in its batch."""
        taken: dict[int | None, set[str]] = defaultdict(set)
        seen: set[str] = set()
        for name, paths in named.items():
            upload = self._files[name] = Upload()
            for path in paths:
                if path in seen:
                    raise BadRequest(400, f"the map names {path} twice")
                seen.add(path)
                number, variable = _put(operations, path, upload)
                taken[number].add(variable)
        return taken


def is_multipart(request: Request) -> bool:
    """Whether the body has parts."""
    return media_type(request.headers) == MULTIPART


def _named(given: Any) -> Mapping[str, list[str]]:
    """The map: paths into the operations by the names of parts."""
    if not isinstance(given, dict):
        raise BadRequest(400, "map has to be an object: names of files, and for each the list of its places in operations")
    if len(given) > FILES:
        raise BadRequest(400, f"the map names {len(given)} files; at most {FILES} are allowed")
    for name, paths in given.items():
        if not isinstance(paths, list) or not paths or not all(isinstance(path, str) for path in paths):
            raise BadRequest(400, f"the file {name!r} needs a list of its places in operations")
    return given


def _put(operations: Any, path: str, upload: Upload) -> tuple[int | None, str]:
    """Where there is null now. The number of the operation, if there are several, and its variable."""
    if len(path) > LONGEST_PATH:
        raise BadRequest(400, f"the map has a place of more than {LONGEST_PATH} characters")
    steps, number, inside = path.split("."), None, operations
    if isinstance(operations, list):
        number = _index(steps.pop(0), operations)
        inside = None if number is None else operations[number]
    if len(steps) < 2 or steps[0] != "variables":
        raise BadRequest(
            400, f"the map names {path}: a place of a file begins with {'0.' * isinstance(operations, list)}variables."
        )
    for step in steps[:-1]:
        key = _key(step, inside)
        inside = None if key is None else inside[key]
    key = _key(steps[-1], inside)
    if key is None:
        raise BadRequest(400, f"the map names {path}, which is not in operations")
    if inside[key] is not None:
        raise BadRequest(400, f"the map names {path}, which is not null in operations")
    inside[key] = upload
    return number, steps[1]


def _key(step: str, inside: Any) -> str | int | None:
    """By which something is found there; None if nothing is."""
    if isinstance(inside, list):
        return _index(step, inside)
    return step if isinstance(inside, dict) and step in inside else None


def _index(step: str, inside: list[Any]) -> int | None:
    number = int(step) if step.isascii() and step.isdecimal() and len(step) < 9 else len(inside)
    return number if number < len(inside) else None


@contextmanager
def _explained() -> Iterator[None]:
    """What is wrong with the body, as its sender is told."""
    try:
        yield
    except TooLarge as error:
        raise BadRequest(413, error.detail, error.code) from error
    except UnsupportedMedia as error:
        raise BadRequest(415, error.detail, error.code) from error
    except BrokenMultipart as error:
        raise BadRequest(400, str(error)) from error
