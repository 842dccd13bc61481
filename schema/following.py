"""Subscriptions that follow one thing: how far a run is, what it logs, what becomes of a node."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import strawberry
from sqlalchemy import ColumnElement

from core.context import Context
from core.errors import InvalidInput, NotFound, NotSupported
from core.ids import GlobalId, decode_global_id
from core.policy import Verb
from core.sql import Row
from core.vocabulary import AuditAction
from engine.declare import Node, Round, Topic, live, one, some
from engine.kinds import One, Stored
from engine.relations import OneRelation, Projection
from engine.scalars import Long
from resolvers import following
from resolvers.context import RequestContext
from schema.instruments.access import may
from schema.instruments.file_record import FileRecord
from schema.instruments.group import Group
from schema.instruments.harvest_run import HarvestRun, RunLogLine
from schema.instruments.instrument import Instrument
from schema.instruments.project import Project
from schema.instruments.schedule import HarvestSchedule
from schema.instruments.service_account import ServiceAccount
from schema.instruments.storage_location import StorageLocation
from schema.instruments.transfer import Transfer
from schema.instruments.user import User
from schema.platform.access import anybody_known
from storage.sql.tables import runs


class Followed:
    """The rows of one stored type, deleted or not, as far as the viewer sees them."""

    def __init__(self, kind: Any, *columns: ColumnElement[Any]) -> None:
        self.stored: Stored = kind.__stored__
        self._projection = Projection()
        self._indices = [self._projection.index(column) for column in columns]
        self._relations: dict[str, OneRelation] = {}

    async def columns(self, ctx: Context, key: object) -> list[Any]:
        """Of the row with that key. Raises `NotFound` where the viewer sees none."""
        dialect = ctx.sql.dialect
        relation = self._relations.get(dialect.name)
        if relation is None:
            relation = OneRelation(self.stored, One(), self._projection, dialect, name="subscription")
            self._relations[dialect.name] = relation
        row: Row | None
        (row,) = await relation.fetch(ctx, [key])
        if row is None:
            raise NotFound(f"{self.stored.noun} not found")
        return [row[index] for index in self._indices]

    def topic(self, key: object) -> Topic:
        """By which the feed of changes tells of the row."""
        return self.stored.table.name, str(key)


_RUN = Followed(HarvestRun, runs.c.finished_at)
_NODES = {
    kind.__name__: Followed(kind)
    for kind in (
        Instrument,
        ServiceAccount,
        StorageLocation,
        HarvestSchedule,
        HarvestRun,
        FileRecord,
        Transfer,
        User,
        Group,
        Project,
    )
}


# --- runs --------------------------------------------------------------------------------------------------------------


@strawberry.type(description="How far a run is.")
class RunProgress:
    """As it is now: of several changes that come fast only the last is told."""

    key: strawberry.Private[UUID]
    run: HarvestRun | None = one("key", "The run as it is now.")


@strawberry.type(description="Lines that a run has logged.")
class RunLines:
    """In their order, without gaps; `after` the last `line` goes on from there."""

    keys: strawberry.Private[list[UUID]]
    lines: list[RunLogLine] = some("keys", "In the order in which they were written.")


def _run_topic(arguments: Mapping[str, Any]) -> Topic:
    return _RUN.topic(arguments["local_id"])


async def _progress(ctx: RequestContext, arguments: Mapping[str, Any], _: Any) -> Round:
    key = arguments["local_id"]
    (finished_at,) = await _RUN.columns(ctx, key)
    return Round(RunProgress(key=key), None, ended=finished_at is not None)


async def _log(ctx: RequestContext, arguments: Mapping[str, Any], place: int | None) -> Round:
    key, line = arguments["local_id"], arguments.get("after") or 0 if place is None else place
    (finished_at,) = await _RUN.columns(ctx, key)  # first: what is written before the end is read after it
    found = await following.lines_after(ctx, key, line)
    more = len(found) == following.LINES
    if not found:
        return Round(None, line, ended=finished_at is not None)
    value = RunLines(keys=[row["id"] for row in found])
    return Round(value, found[-1]["line"], ended=finished_at is not None and not more, more=more)


# --- nodes -------------------------------------------------------------------------------------------------------------


@strawberry.type(description="One change of a node.")
class Change:
    """Without what it was like before: history is the audit log's."""

    cursor: Long = strawberry.field(description="Its place among all changes; grows.")
    action: AuditAction = strawberry.field(description="What was done.")
    at: datetime = strawberry.field(description="When.")


@strawberry.type(description="What has changed of a node, and the node as it is now.")
class NodeChanges:
    """The first event has no changes if `after` was not given: it says from where on they are told."""

    followed: strawberry.Private[GlobalId]
    cursor: Long = strawberry.field(description="Give it as `after` to go on from here.")
    changes: list[Change] = strawberry.field(description="In the order in which they were made.")
    node: Node | None = one("followed", "The node as it is now, deleted or not.")


def _followed(arguments: Mapping[str, Any]) -> tuple[GlobalId, Followed]:
    wanted = decode_global_id(arguments["id"])
    found = _NODES.get(wanted.type_name)
    if found is None:
        raise NotSupported(f"changes are told of {', '.join(_NODES)}", field="id")
    try:
        key = found.stored.key.type.python_type(wanted.local_id)
    except ValueError as error:
        raise InvalidInput("not a global id", field="id", value=arguments["id"]) from error
    return GlobalId(wanted.type_name, str(key)), found


def _node_topic(arguments: Mapping[str, Any]) -> Topic:
    wanted, found = _followed(arguments)
    return found.topic(wanted.local_id)


async def _changes(ctx: RequestContext, arguments: Mapping[str, Any], place: int | None) -> Round:
    wanted, found = _followed(arguments)
    await found.columns(ctx, wanted.local_id)
    first, after = place is None, arguments.get("after")
    if place is None:
        if after is None:
            place = await following.from_now(ctx)
        else:
            await following.require_kept(ctx, after)
            place = after
    rows = await following.changes_after(ctx, found.stored.table.name, wanted.local_id, place)
    if rows:
        place = rows[-1]["number"]
    elif not first:
        return Round(None, place)
    told = [Change(cursor=row["number"], action=row["action"], at=row["at"]) for row in rows]
    return Round(NodeChanges(followed=wanted, cursor=place, changes=told), place, more=len(rows) == following.CHANGES)


# --- the fields --------------------------------------------------------------------------------------------------------

_RUN_ID = {"local_id": (UUID, "The run.")}


@strawberry.type
class FollowingSubscription:
    """Each begins with how things are, and goes on until there is nothing more to tell."""

    run_progress: RunProgress = live(
        _progress,
        "A run as it is, and again whenever it has changed; ends with the run.",
        topic=_run_topic,
        guard=may(Verb.READ, "harvest run"),
        arguments=_RUN_ID,
    )
    run_log: RunLines = live(
        _log,
        "What a run has logged, and what it logs; ends with the run.",
        topic=_run_topic,
        guard=may(Verb.READ, "harvest run"),
        arguments=_RUN_ID | {"after": (int | None, "Only lines after this one; all if it is not given.")},
    )
    changes: NodeChanges = live(
        _changes,
        "What becomes of an instrument, a service account, a storage location, a schedule, a harvest, a file, a transfer, a user, "
        "a group or a project.",
        topic=_node_topic,
        guard=anybody_known,
        arguments={
            "id": (strawberry.ID, "A global id."),
            "after": (
                Long | None,
                "Only changes after this cursor; from now on if it is not given. Cursors are good for a day.",
            ),
        },
    )
