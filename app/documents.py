"""Documents that are made once and stay as they are while the server runs: the schema, the descriptions of the REST routes."""

from __future__ import annotations

from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response

from rest_compat.caching import NOT_MODIFIED, has


class Document:
    """One of them, with a strong tag. A cache may give it away for some minutes; after that it asks."""

    def __init__(self, body: bytes, media_type: str) -> None:
        self._body, self._media_type = body, media_type
        self._headers = {"ETag": f'"{sha256(body).hexdigest()[:32]}"', "Cache-Control": "public, max-age=300"}

    async def __call__(self, request: Request) -> Response:
        """The document, or 304."""
        if has(self._headers["ETag"], request.headers):
            return Response(status_code=NOT_MODIFIED, headers=self._headers)
        return Response(self._body, headers=self._headers, media_type=self._media_type)
