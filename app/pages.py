"""Pages for people: the query explorer and the API references, served with every file they need.

A page knows no operation: in the browser it reads `/openapi.json` and asks `/graphql`, and no other host.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.staticfiles import NotModifiedResponse, PathLike, StaticFiles
from starlette.types import Scope

from rest_compat.caching import has

_BROWSER = Path(__file__).parent / "browser"
_FALLBACK = _BROWSER / "fallback"
BUNDLE = _BROWSER / "dist"

_HASHED_NAME = re.compile(r"-[\w-]{8}\.\w+$")
_FOREVER = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"

_CLOSED = {"default-src": "'none'", "base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'"}
_OWN = dict.fromkeys(("script-src", "style-src", "img-src", "connect-src"), "'self'")


def _headers(wider: dict[str, str]) -> dict[str, str]:
    """What every answer carries; `wider` opens the content policy as far as one page needs."""
    policy = _CLOSED | _OWN | wider
    return {
        "Content-Security-Policy": "; ".join(f"{directive} {sources}" for directive, sources in policy.items()),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }


STRICT = _headers({})
"""Of pages that need nothing but their own files."""

# The bundles write styles at run time, which no hash or nonce of ours could name.
_STYLED = {"style-src": "'self' 'unsafe-inline'", "img-src": "'self' data:"}


_EXPLORER = "/graphiql"


@dataclass(frozen=True)
class _Page:
    paths: tuple[str, ...]
    bundled: str
    plain: str
    needs: dict[str, str]


_PAGES = (
    _Page(
        paths=(_EXPLORER,),
        bundled="graphiql.html",
        plain="graphiql.html",
        needs=_STYLED | {"font-src": "'self' data:", "worker-src": "'self'"},
    ),
    _Page(
        paths=("/docs", "/swagger"),
        bundled="swagger.html",
        plain="operations.html",
        needs=_STYLED,
    ),
    _Page(
        paths=("/", "/redoc"),
        bundled="redoc.html",
        plain="operations.html",
        needs=_STYLED | {"worker-src": "blob:"},  # ReDoc makes the worker of its search out of a string
    ),
)


class _Files(StaticFiles):
    """The bundle's files, then those of the plain pages."""

    def __init__(self, assets: Path) -> None:
        super().__init__(directory=assets / "static", check_dir=False)
        self.all_directories.append(_FALLBACK / "static")

    def file_response(self, full_path: PathLike, stat_result: os.stat_result, scope: Scope, status_code: int = 200) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        hashed = _HASHED_NAME.search(str(full_path))
        response.headers.update(STRICT | {"Cache-Control": _FOREVER if hashed else _ASK_AGAIN})
        return response


def routes(assets: Path = BUNDLE, *, explorer: bool = True) -> list[BaseRoute]:
    """The pages as `make assets` built them into `assets`, or plain ones where it did not run. Without `explorer`, it says why."""
    files = _Files(assets)

    async def static(request: Request) -> Response:
        return await files.get_response(request.path_params["path"], request.scope)

    async def closed(_: Request) -> Response:
        return FileResponse(_FALLBACK / "no-explorer.html", 404, STRICT | {"Cache-Control": _ASK_AGAIN})

    pages = [_route(path, page, assets) for page in _PAGES for path in page.paths]
    return [*([] if explorer else [Route(_EXPLORER, closed)]), *pages, Route("/static/{path:path}", static)]


def _route(path: str, page: _Page, assets: Path) -> Route:
    bundled, plain = assets / page.bundled, _FALLBACK / page.plain
    widened = _headers(page.needs)

    async def show(request: Request) -> Response:
        # Looked for each time, so that `make assets` needs no restart.
        file, headers = (bundled, widened) if bundled.is_file() else (plain, STRICT)
        page = FileResponse(file, headers=headers | {"Cache-Control": _ASK_AGAIN}, stat_result=file.stat())
        return NotModifiedResponse(page.headers) if has(page.headers["etag"], request.headers) else page

    return Route(path, show)
