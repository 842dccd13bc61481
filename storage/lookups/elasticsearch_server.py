"""One Elasticsearch, asked by its official client: no retries, a few seconds of patience, every result looked at."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

import orjson
from elasticsearch import ApiError, AsyncElasticsearch, NotFoundError, OrjsonSerializer, TransportError, UnsupportedProductError

from core.errors import Unavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

ANSWER, LONG_ANSWER = 5.0, 20.0
"""Seconds: of a question; of what writes much or makes an index."""

WAITS = (0.25, 0.5, 1.0, 2.0)
"""Seconds between attempts to write, when the server has too much to do."""

TOO_MANY = 429

BULK: Final = 250_000
"""Bytes of a request, at most, but for one document. The connection takes each at once, and memory grows by a multiple of it."""

WINDOW: Final = 10_000
"""Rows that are skipped and given in one answer, at most; beyond, a point in time is walked."""

KEPT = "2m"
"""For so long a point in time is kept after it was last used."""

_NOT_NOW = frozenset({401, 403, 408, TOO_MANY})
"""Statuses with which a server, or what is before it, says nothing about the question: no rights, a full disk, too much to do."""

_OF_RESULTS = ("items.*.status", "items.*.error", "items.*._seq_no", "items.*._primary_term")
"""What is read of an answer: the rest of it takes longer to read than the request takes to write."""

_UNANSWERED = "the lookup store does not answer"


class _Busy(Unavailable):
    """It answers, but does not do this now. It has done nothing."""


class Gone(Exception):
    """What was asked is not there: an index, or a point in time."""


class Action(NamedTuple):
    """One document to be written, `None` to be deleted."""

    id: str
    document: Mapping[str, Any] | None
    expected: tuple[int, int] | None = None
    """The sequence number and term of what it replaces; None for a new one."""


class Result(NamedTuple):
    """What became of an action. All that is neither is raised."""

    conflict: bool
    """Somebody else came first."""
    at: tuple[int, int] | None = None
    """Sequence number and term."""


class Portion(NamedTuple):
    """What one request says about these documents."""

    ids: list[str]
    lines: list[Any]


class _Json(OrjsonSerializer):
    mimetype = "application/vnd.elasticsearch+json"


class Server:
    """Made once. Connections are opened when they are needed, so that it works again as soon as the server does."""

    def __init__(self, url: str) -> None:
        # The system's authorities, and those that SSL_CERT_FILE names: the client would ask a list of its own.
        trusted: dict[str, Any] = {"ssl_context": ssl.create_default_context()} if "https://" in url else {}
        self._client = AsyncElasticsearch(
            [each.strip() for each in url.split(",")],
            **trusted,
            max_retries=0,
            retry_on_timeout=False,
            request_timeout=ANSWER,
            serializers={_Json.mimetype: _Json()},
        )
        self._patient = self._client.options(request_timeout=LONG_ANSWER)

    async def close(self) -> None:
        """Release connections."""
        await self._client.close()

    async def version(self) -> str:
        """Of the server."""
        async with _asking():
            return str((await self._client.info())["version"]["number"])

    # --- indexes -----------------------------------------------------------------------------------------------------

    async def put_template(self, name: str, body: Callable[[str], dict[str, Any]]) -> str:
        """Made with the type of text that the server has for substrings, which is returned."""
        for kind in ("wildcard", "keyword"):
            try:
                async with _asking():
                    await self._patient.indices.put_index_template(name=name, body=body(kind))
                    return kind
            except ApiError as error:
                if kind == "keyword" or error.status_code != 400 or "wildcard" not in str(error.body):
                    raise
        raise AssertionError("one of them was put, or raised")

    async def make(self, index: str, body: dict[str, Any]) -> None:
        """One that may be there already."""
        try:
            async with _asking():
                await self._patient.indices.create(index=index, body=body)
        except ApiError as error:
            if error.error != "resource_already_exists_exception":
                raise

    async def declare(self, index: str, properties: dict[str, Any]) -> None:
        """More fields. Raises `Gone`."""
        async with _asking():
            await self._patient.indices.put_mapping(index=index, properties=properties)

    async def remove(self, index: str) -> None:
        """One that may be gone already."""
        async with _asking():
            await self._patient.indices.delete(index=index, ignore_unavailable=True)

    async def notes(self, pattern: str) -> Mapping[str, Mapping[str, Any]]:
        """What was noted of each index when it was made."""
        async with _asking():
            found = await self._client.indices.get_mapping(index=pattern, expand_wildcards="all")
        return {name: each["mappings"].get("_meta", {}) for name, each in found.items()}

    # --- reading -----------------------------------------------------------------------------------------------------

    async def get(self, index: str, ids: Sequence[str], *, without: Sequence[str] = ()) -> list[Mapping[str, Any]]:
        """The documents with these ids as they are now, where they are."""
        asked = [each for each in ids if "\0" not in each]
        if not asked:
            return []
        async with _asking():
            found = await self._client.mget(index=index, ids=asked, source_excludes=list(without))
        for each in found["docs"]:
            _check(each.get("error"), missing="index_not_found_exception")
        return [each for each in found["docs"] if each.get("found")]

    async def search(self, index: str, body: dict[str, Any]) -> Mapping[str, Any]:
        """All of it or nothing; without the index nothing is found."""
        async with _asking():
            found = await self._client.search(
                index=index, body=body, ignore_unavailable=True, allow_partial_search_results=False
            )
            return _whole(found.body)

    async def search_each(self, index: str, bodies: Sequence[dict[str, Any]]) -> list[list[Mapping[str, Any]]]:
        """What each of them finds."""
        lines: list[dict[str, Any]] = []
        for body in bodies:
            lines += [{"index": index, "ignore_unavailable": True, "allow_partial_search_results": False}, body]
        async with _asking():
            found = await self._patient.msearch(searches=lines)
        for each in found["responses"]:
            _check(each.get("error"), status=each["status"])
        return [list(_whole(each)["hits"]["hits"]) for each in found["responses"]]

    async def batches(
        self, index: str, body: dict[str, Any], after: Sequence[Any] | None = None, skip: int = 0
    ) -> AsyncGenerator[list[Mapping[str, Any]], None]:
        """All that a body finds, as it was when it began. Goes on by the last place when the server has forgotten that time."""
        moment: str | None = None
        try:
            while True:
                size = min(skip, WINDOW) or body["size"]
                asked = (
                    body | {"size": size} | ({"search_after": after} if after else {}) | ({"_source": False} if skip else {})
                )
                try:
                    moment = moment or await self._begin(index)
                    async with _asking():
                        found = await self._client.search(
                            body=asked | {"pit": {"id": moment, "keep_alive": KEPT}}, allow_partial_search_results=False
                        )
                        answer = _whole(found.body)
                except Gone:
                    if moment is None:
                        return
                    moment = None
                    continue
                moment, hits = answer["pit_id"], answer["hits"]["hits"]
                if hits and not skip:
                    yield hits
                if len(hits) < size:
                    return
                after, skip = hits[-1]["sort"][: len(body["sort"])], max(skip - size, 0)
        finally:
            if moment is not None:
                await self._end(moment)

    async def _begin(self, index: str) -> str:
        async with _asking():
            return str((await self._client.open_point_in_time(index=index, keep_alive=KEPT))["id"])

    async def _end(self, moment: str) -> None:
        try:
            async with _asking():
                await self._client.close_point_in_time(id=moment)
        except (Gone, Unavailable):
            log.debug("a point in time was not closed: it ends by itself")

    # --- writing -----------------------------------------------------------------------------------------------------

    async def bulk(self, index: str, actions: Sequence[Action], *, refresh: bool = True) -> list[Result]:
        """What became of each; the others see it afterwards. Raises `Gone` without the index, and for whatever else failed."""
        return await self.send(index, portions(actions), refresh=refresh)

    async def send(self, index: str, some: Sequence[Portion], *, refresh: bool = True) -> list[Result]:
        """As `bulk`, what was made ready for it."""
        results: list[Result] = []
        for at, portion in enumerate(some, 1):
            shown = refresh and at == len(some)
            body: Any = [b"\n".join(portion.lines)]  # which the client would do line by line
            ask = partial(self._patient.bulk, index=index, operations=body, refresh=shown, filter_path=_OF_RESULTS)
            found = await _unhurried(ask)
            if len(found["items"]) != len(portion.ids):
                raise Unavailable(_UNANSWERED)
            results += [_result(next(iter(each.values()))) for each in found["items"]]
        return results

    async def refresh(self, index: str) -> None:
        """Let searches see what was written. Raises `Gone`."""
        await _unhurried(partial(self._patient.indices.refresh, index=index))


def portions(actions: Iterable[Action]) -> list[Portion]:
    """Lines that are JSON already, which the client takes, too."""
    made: list[Portion] = []
    size = 0
    for action in actions:
        lines = _lines(action)
        more = sum(map(len, lines))
        if not made or size + more > BULK:
            made.append(Portion([], []))
            size = 0
        made[-1].ids.append(action.id)
        made[-1].lines.extend(lines)
        size += more
    return made


def _lines(action: Action) -> list[bytes]:
    about: dict[str, Any] = {"_id": action.id}
    if action.expected is not None:
        about |= {"if_seq_no": action.expected[0], "if_primary_term": action.expected[1]}
    if action.document is None:
        return [orjson.dumps({"delete": about})]
    verb = "create" if action.expected is None else "index"
    return [orjson.dumps({verb: about}), orjson.dumps(action.document)]


def _result(item: Mapping[str, Any]) -> Result:
    if item["status"] == 409:
        return Result(conflict=True)
    _check(item.get("error"), status=item["status"])
    return Result(conflict=False, at=(item["_seq_no"], item["_primary_term"]))


class Failed(Exception):
    """One of many things was refused: a mistake of this program, or of whoever set up the server."""


def _check(error: Mapping[str, Any] | None, *, status: int = 200, missing: str = "") -> None:
    """What a part of an answer says."""
    if error is None and status < 400:
        return
    kind = "" if error is None else str(error.get("type"))
    if missing and kind == missing:
        return
    if kind == "index_not_found_exception":
        raise Gone(kind)
    if status in _NOT_NOW or status >= 500 or kind.endswith("rejected_execution_exception"):
        log.warning("Elasticsearch refused a part: %s %s", status, kind)
        raise Unavailable(_UNANSWERED)
    raise Failed(f"Elasticsearch refused a part: {status} {orjson.dumps(error).decode()[:2000]}")


def _whole(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    if answer.get("timed_out") or answer.get("_shards", {}).get("failed"):
        raise Unavailable(_UNANSWERED)
    return answer


async def _unhurried(ask: Callable[[], Awaitable[T]]) -> T:
    """Again, when the server has too much to do: many large requests fill its memory faster than it frees it."""
    for wait in WAITS:
        try:
            async with _asking():
                return await ask()
        except _Busy:
            await asyncio.sleep(wait)
    async with _asking():
        return await ask()


@asynccontextmanager
async def _asking() -> AsyncIterator[None]:
    """What the client raises, in our words."""
    try:
        yield
    except NotFoundError as error:
        raise Gone(error.error) from error
    except UnsupportedProductError as error:
        log.error("SWITCHYARD_ELASTICSEARCH_URL: what answers there is not Elasticsearch")  # noqa: TRY400  # no more to say
        raise Unavailable(_UNANSWERED) from error
    except ApiError as error:
        if error.status_code in _NOT_NOW or error.status_code >= 500:
            log.warning("Elasticsearch refused: %s %s", error.status_code, error.error)
            raise (_Busy if error.status_code == TOO_MANY else Unavailable)(_UNANSWERED) from error
        raise
    except TransportError as error:
        log.warning("Elasticsearch does not answer: %s", type(error).__name__)
        raise Unavailable(_UNANSWERED) from error
