"""The pages of a web client: files of one folder, and its start page wherever the client itself knows what is meant.

It answers only what no route does, so that it hides nothing of the server.
"""

from __future__ import annotations

import os
import re
from collections.abc import Set as AbstractSet
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import PathLike, StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

_HASHED_NAME = re.compile(r"[-.][\w-]{8,}\.\w+$")
_FOREVER, _ASK_AGAIN = "public, max-age=31536000, immutable", "no-cache"
_HEADERS = {
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_INDEX = "index.html"

PAGES = frozenset({"login", "logout", "signup", "users"})
"""First segments that are reserved for routes, and that clients have pages under as well."""


class _Files(StaticFiles):
    def file_response(self, full_path: PathLike, stat_result: os.stat_result, scope: Scope, status_code: int = 200) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        hashed = _HASHED_NAME.search(str(full_path))
        response.headers.update(_HEADERS | {"Cache-Control": _FOREVER if hashed else _ASK_AGAIN})
        return response


class WebClient:
    """The folder, for paths that no route answers; `otherwise` answers what is not there either."""

    def __init__(self, root: Path, reserved: AbstractSet[str]) -> None:
        """Raises `ValueError` if there is no client."""
        if not (root / _INDEX).is_file():
            raise ValueError(f"SWITCHYARD_WEB_ROOT: there is no {_INDEX} in {root}")
        self._files = _Files(directory=root)
        self._reserved = reserved - PAGES
        self.otherwise: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._find(scope) if scope["type"] == "http" and scope["method"] in {"GET", "HEAD"} else None
        assert self.otherwise is not None, "said by the router that asks"
        await (response or self.otherwise)(scope, receive, send)

    async def _find(self, scope: Scope) -> Response | None:
        names = scope["path"].removeprefix("/").split("/")
        if any((name.startswith(".") and name != ".well-known") or "\0" in name or "\\" in name for name in names):
            return None
        found = await self._file("/".join(names) or _INDEX, scope)
        if found is not None or names[0] in self._reserved or "." in names[-1]:
            return found
        asks_for_page = "text/html" in Request(scope).headers.get("accept", "")
        return await self._file(_INDEX, scope) if asks_for_page else None

    async def _file(self, path: str, scope: Scope) -> Response | None:
        try:
            return await self._files.get_response(path, scope)
        except (HTTPException, OSError, ValueError):  # not there, or no name of a file
            return None
