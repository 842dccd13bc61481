"""A finished reply: status, headers and bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from core.exact_json import write_json

JSON_TYPE = "application/json"
_VISIBLE = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back to the client, but for the headers that a use case adds."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def json(
        cls,
        status: int,
        content: object,
        headers: Iterable[tuple[str, str]] = (),
        default: Callable[[Any], object] | None = None,
    ) -> Reply:
        """With a JSON body; `default` writes what JSON does not know."""
        return cls(status, write_json(content, default), (("content-type", JSON_TYPE), *headers))

    def with_headers(self, headers: Iterable[tuple[str, str]]) -> Reply:
        """The same reply with more headers."""
        return Reply(self.status, self.body, (*self.headers, *headers))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; to HEAD without its body."""
        response = Response(self.body, self.status)
        response.raw_headers += encoded(self.headers)
        await response(scope, receive, without_body(send) if scope["method"] == "HEAD" else send)


def encoded(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """As ASGI sends them; whatever a header cannot hold is percent-encoded."""
    return [(name.lower().encode("ascii"), quote(value, safe=_VISIBLE + "%").encode("ascii")) for name, value in headers]


def without_body(send: Send) -> Send:
    """Sends the headers of a reply and none of its bytes."""

    async def send_head(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return send_head
