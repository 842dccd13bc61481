"""A finished reply: status, headers and bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.types import Receive, Scope, Send

from core.exact_json import write_json

JSON_TYPE = "application/json"
CSV_TYPE = "text/csv"
_VISIBLE = "".join(map(chr, range(0x20, 0x7F)))


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
        more = tuple(headers)
        return Reply(self.status, self.body, self.headers + more) if more else self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; to HEAD without its body."""
        length = [] if self.status in {204, 304} else [(b"content-length", b"%d" % len(self.body))]
        await send({"type": "http.response.start", "status": self.status, "headers": length + encoded(self.headers)})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else self.body})


def encoded(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """As ASGI sends them; whatever a header cannot hold is percent-encoded."""
    return [(name.lower().encode("ascii"), _visible(value).encode("ascii")) for name, value in headers]


def _visible(value: str) -> str:
    return value if value.isascii() and value.isprintable() else quote(value, safe=_VISIBLE)


def disposition(filename: str) -> str:
    """`Content-Disposition` for any name (RFC 6266): one that every client reads, and the name itself for those that can."""
    plain = "".join(each if each.isascii() and each.isprintable() and each not in '"\\%/' else "_" for each in filename)
    exact = quote(filename, safe="", errors="replace")
    return f'attachment; filename="{plain}"' + (f"; filename*=UTF-8''{exact}" if exact != plain else "")
