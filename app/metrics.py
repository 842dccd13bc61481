"""What Prometheus asks for: requests by operation and endpoint, statements, cost, caches, queue, connections, the process.

Per request there is a fixed handful of numbers; what can be read when somebody asks is read then. No label is a client's to choose.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from ipaddress import ip_address

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import case, func, select
from starlette.requests import Request
from starlette.responses import Response

from app.observability import AD_HOC, Exchange
from app.problems import problem
from app.settings import Settings
from core.clock import Clock, utc_now
from core.errors import Unavailable
from core.vocabulary import RunState
from engine.graph import Graph
from storage.sql.database import Database
from storage.sql.tables import runs

disable_created_metrics()  # type: ignore[no-untyped-call]  # two more lines for every number

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_OPEN = (0.005, 0.05, 0.5, 5, 60, 600, 3600, 6 * 3600, 24 * 3600)
_STATEMENTS = (0, 1, 2, 3, 4, 6, 8, 12, 20, 50)
_NODES = (1, 10, 100, 1000, 10_000, 50_000)
_LAG = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5)

LOOK_EVERY = 0.5
"""How often the event loop's lag is measured."""

KEPT = 1.0
"""Seconds for which what the database said is told again, so that nobody can make it answer all the time."""

PATIENCE = 5.0
"""Seconds for the database to answer."""

LATELY = timedelta(hours=1)


class Metrics:
    """One registry for one application."""

    def __init__(self, graph: Graph, database: Database, clock: Clock = utc_now) -> None:
        self.registry = CollectorRegistry()
        self._gauges: dict[str, Gauge] = {}
        self._known: dict[tuple[Histogram, tuple[str, ...]], Callable[[float], None]] = {}
        labels = ("dialect", "endpoint", "operation")
        self._requests = Histogram(
            "switchyard_request_seconds",
            "Time of requests, replies included.",
            (*labels, "status"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._statements = Histogram(
            "switchyard_request_statements",
            "SQL statements of requests, authentication included.",
            labels,
            buckets=_STATEMENTS,
            registry=self.registry,
        )
        self._cost = Histogram(
            "switchyard_operation_nodes",
            "Cost of operations: the objects that they may ask for.",
            labels,
            buckets=_NODES,
            registry=self.registry,
        )
        self._refused = Counter(
            "switchyard_documents_refused",
            "GraphQL documents that were not executed, by the limit or the kind of mistake.",
            ("reason",),
            registry=self.registry,
        )
        self._operations = Histogram(
            "switchyard_operation_seconds",
            "How long operations on WebSockets and event streams were open, by how they ended; and the looks of subscriptions.",
            ("endpoint", "operation", "kind", "outcome"),
            buckets=_OPEN,
            registry=self.registry,
        )
        self._lag = Histogram(
            "switchyard_event_loop_lag_seconds",
            "How much later than asked for the event loop goes on.",
            buckets=_LAG,
            registry=self.registry,
        )
        program = Gauge("switchyard_build_info", "The version of the program.", ("version",), registry=self.registry)
        program.labels(version("switchyard")).set(1)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self._queue = QueueGauges(database, clock)
        self.registry.register(_Read(graph, database, self._queue))

    def ended(self, exchange: Exchange) -> None:
        """Count a request, or an operation on a socket or a stream of events."""
        operation = exchange.operation if exchange.known else AD_HOC
        key = (exchange.dialect, exchange.endpoint or "other", operation)
        if exchange.ended:
            self._observe(self._operations, (*key[1:], exchange.kind, exchange.ended), exchange.seconds)
        if exchange.status is not None or not exchange.ended:
            status = "none" if exchange.status is None else f"{exchange.status // 100}xx"
            self._observe(self._requests, (*key, status), exchange.seconds)
        if exchange.kind:
            self._observe(self._statements, key, exchange.statements)
        if exchange.nodes is not None:
            self._observe(self._cost, key, exchange.nodes)
        if exchange.refused:
            self._refused.labels(exchange.refused).inc()

    def _observe(self, histogram: Histogram, labels: tuple[str, ...], value: float) -> None:
        """`labels()` costs more than counting does."""
        known = self._known.get((histogram, labels))
        if known is None:
            known = self._known[histogram, labels] = histogram.labels(*labels).observe
        known(value)

    def counts(self, name: str, meaning: str, count: Callable[[], float]) -> None:
        """Have something counted whenever somebody asks; of several applications on the same parts, the last one's."""
        if name not in self._gauges:
            self._gauges[name] = Gauge(name, meaning, registry=self.registry)
        self._gauges[name].set_function(count)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Measure the event loop meanwhile."""
        task = asyncio.create_task(self._measure_lag())
        try:
            yield
        finally:
            task.cancel()

    async def _measure_lag(self) -> None:
        while True:
            begun = time.perf_counter()
            await asyncio.sleep(LOOK_EVERY)
            self._lag.observe(max(0.0, time.perf_counter() - begun - LOOK_EVERY))

    async def page(self, accept: str) -> tuple[bytes, str]:
        """Everything in the form that the scraper prefers, and its media type."""
        await self._queue.refresh()
        try:
            encode, media = choose_encoder(accept)
        except (ValueError, TypeError):  # a version that is none
            encode, media = choose_encoder("")
        return encode(self.registry), media


# --- what is read when somebody asks -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Told:
    """What the database says of the queue, and how long that took."""

    seconds: float
    runs: Mapping[RunState, int]
    oldest: float
    """Seconds for which the first run has been waiting."""
    workers: int
    lost: int
    """Running runs whose lease has run out: their workers died, or the database was away."""
    finished: Mapping[RunState, int]


class QueueGauges:
    """The queue, for all servers and workers of the database. Asked at most once a second."""

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self._database, self._clock = database, clock
        self._asking = asyncio.Lock()
        self._asked_at = -KEPT
        self.told: Told | None = None

    async def refresh(self) -> None:
        """Ask, unless that was done a moment ago. Afterwards `told` is None if the database does not answer."""
        async with self._asking:
            if time.monotonic() - self._asked_at < KEPT:
                return
            try:
                async with asyncio.timeout(PATIENCE):
                    self.told = await self._ask()
            except (Unavailable, TimeoutError):
                self.told = None
            self._asked_at = time.monotonic()

    async def _ask(self) -> Told:
        now, begun = self._clock(), time.perf_counter()
        held = runs.c.lease_expires_at > now
        waiting = (
            select(
                runs.c.state,
                func.count().label("number"),
                func.min(runs.c.created_at).label("first"),
                func.count(case((held, runs.c.worker)).distinct()).label("workers"),
                func.count(case((~held, 1))).label("lost"),
            )
            .where(runs.c.state.in_([RunState.QUEUED, RunState.RUNNING]))
            .group_by(runs.c.state)
        )
        ended = select(runs.c.state, func.count().label("number")).where(runs.c.finished_at > now - LATELY)
        found = {row["state"]: row for row in await self._database.all(waiting)}
        finished = await self._database.all(ended.group_by(runs.c.state))
        queued, running = found.get(RunState.QUEUED), found.get(RunState.RUNNING)
        return Told(
            seconds=time.perf_counter() - begun,
            runs={RunState.QUEUED: queued["number"] if queued else 0, RunState.RUNNING: running["number"] if running else 0},
            oldest=max(0.0, (now - queued["first"]).total_seconds()) if queued else 0.0,
            workers=running["workers"] if running else 0,
            lost=running["lost"] if running else 0,
            finished={row["state"]: row["number"] for row in finished},
        )


class _Read(Collector):
    """Gauges that are nowhere counted, because they can be read."""

    def __init__(self, graph: Graph, database: Database, queue: QueueGauges) -> None:
        self._graph, self._database, self._queue = graph, database, queue

    def collect(self) -> Iterator[Metric]:
        yield from self._caches()
        used = GaugeMetricFamily(
            "switchyard_database_connections", "Connections that are in use, for plans and for changes.", labels=["pool"]
        )
        for pool, count in self._database.in_use().items():
            used.add_metric([pool], count)
        yield used
        told = self._queue.told
        up = GaugeMetricFamily("switchyard_store_up", "Whether the store answers.", labels=["store"])
        up.add_metric(["database"], told is not None)
        yield up
        if told is not None:
            yield from _queue(told)

    def _caches(self) -> Iterator[Metric]:
        asked = CounterMetricFamily(
            "switchyard_cache_requests", "How often something was found in a cache, or not.", labels=["cache", "result"]
        )
        size = GaugeMetricFamily("switchyard_cache_entries", "What is in a cache.", labels=["cache"])
        for name, cache in self._graph.caches.items():
            asked.add_metric([name, "hit"], cache.hits)
            asked.add_metric([name, "miss"], cache.misses)
            size.add_metric([name], len(cache))
        yield asked
        yield size


def _queue(told: Told) -> Iterator[Metric]:
    waiting = GaugeMetricFamily("switchyard_runs", "Runs that have not ended, by state.", labels=["state"])
    for state, number in told.runs.items():
        waiting.add_metric([state.value], number)
    finished = GaugeMetricFamily(
        "switchyard_runs_finished_last_hour", "Runs that ended within the last hour, by state.", labels=["state"]
    )
    for state in RunState:
        if state not in told.runs:
            finished.add_metric([state.value], told.finished.get(state, 0))
    yield waiting
    yield finished
    yield _gauge("switchyard_oldest_queued_run_seconds", "How long the first run has been waiting.", told.oldest)
    yield _gauge("switchyard_workers_busy", "Workers that hold the lease of a run.", told.workers)
    yield _gauge("switchyard_leases_expired", "Running runs whose worker does not renew its lease.", told.lost)
    yield _gauge("switchyard_store_seconds", "How long the database took to say so.", told.seconds)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)


# --- who may ask -------------------------------------------------------------------------------------------------------


class MetricsEndpoint:
    """`/metrics`: for whoever has the token; without one for this machine alone, and in production for nobody."""

    def __init__(self, metrics: Metrics, settings: Settings) -> None:
        self._metrics, self._settings = metrics, settings

    async def reply(self, request: Request) -> Response:
        """Answer one request."""
        token = self._settings.metrics_token
        if token is not None:
            if not _proves(request.headers.get("authorization", ""), token.get_secret_value()):
                detail = "Send the token of the setting SWITCHYARD_METRICS_TOKEN as a bearer token"
                return problem(401, detail, request.scope, {"WWW-Authenticate": "Bearer"})
        elif self._settings.profile == "production" or not _from_here(request):
            return problem(403, "Metrics need a token: the setting SWITCHYARD_METRICS_TOKEN", request.scope)
        body, media = await self._metrics.page(request.headers.get("accept", ""))
        return Response(body, headers={"Content-Type": media, "Cache-Control": "no-store"})


def _proves(authorization: str, token: str) -> bool:
    scheme, _, given = authorization.partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())


def _from_here(request: Request) -> bool:
    """Whether nobody between this machine's own processes and us has passed it on."""
    passed_on = {"forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"}
    host = request.client.host if request.client else ""
    try:
        return passed_on.isdisjoint(request.headers) and ip_address(host).is_loopback
    except ValueError:
        return False
