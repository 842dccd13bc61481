"""Who is meant by the names and ids in hooks: looked up for a group of files at a time, and remembered for the harvest."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Table, exists, select, true

from core.identity import INSTRUMENTS
from core.vocabulary import GranteeType
from jobs.hooks.asking import Wish
from jobs.hooks.notes import Notes
from storage.sql.database import Database
from storage.sql.tables import groups, memberships, projects, users

_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class _Kind:
    """Where grantees of one kind are found."""

    table: Table
    name: ColumnElement[str]
    scope: ColumnElement[bool]


_KINDS = {
    GranteeType.USER: _Kind(
        users,
        users.c.email_folded,
        exists().where(memberships.c.user_id == users.c.id, memberships.c.domain == INSTRUMENTS),
    ),
    GranteeType.GROUP: _Kind(groups, groups.c.name, true()),
    GranteeType.PROJECT: _Kind(projects, projects.c.name, true()),
}


class Grantees:
    """The live ones of this domain: users by email address, groups and projects by name, all of them by id."""

    def __init__(self, database: Database, notes: Notes) -> None:
        self._database = database
        self._notes = notes
        self._known: dict[Wish, UUID | None] = {}

    async def meant_by(self, wishes: Iterable[Wish]) -> Mapping[Wish, UUID]:
        """Those that there are; the others are noted. At most two statements for each kind of grantee, and mostly none."""
        wanted = set(wishes)
        if len(self._known) > _REMEMBERED:
            self._known.clear()
        unknown = wanted - self._known.keys()
        for kind in GranteeType:
            await self._look_up(kind, [wish for wish in unknown if wish.grantee_type is kind])
        for wish in sorted(unknown, key=repr):
            if self._known[wish] is None:
                self._notes.add("Nobody to grant files to", f"Not granted: {_absent(wish)}")
        return {wish: key for wish in wanted if (key := self._known[wish]) is not None}

    async def _look_up(self, kind: GranteeType, wishes: Collection[Wish]) -> None:
        table, name = _KINDS[kind].table, _KINDS[kind].name
        by_id = await self._ids(kind, table.c.id, [wish.wanted for wish in wishes if isinstance(wish.wanted, UUID)])
        by_name = await self._ids(kind, name, [_folded(kind, wish.wanted) for wish in wishes if isinstance(wish.wanted, str)])
        for wish in wishes:
            if isinstance(wish.wanted, str):
                self._known[wish] = by_name.get(_folded(kind, wish.wanted))
            else:
                self._known[wish] = by_id.get(wish.wanted)

    async def _ids(self, kind: GranteeType, by: ColumnElement[Any], values: Collection[object]) -> Mapping[object, UUID]:
        if not values:
            return {}
        table, scope = _KINDS[kind].table, _KINDS[kind].scope
        statement = select(table.c.id.label("key"), by.label("value")).where(
            by.in_(set(values)), table.c.deleted_at.is_(None), scope
        )
        return {row["value"]: row["key"] for row in await self._database.all(statement)}


def _folded(kind: GranteeType, name: str) -> str:
    return name.casefold() if kind is GranteeType.USER else name


def _absent(wish: Wish) -> str:
    if wish.wanted is None:
        return f"the metadata has no {wish.field!r} that names a {wish.grantee_type.value}"
    return f"there is no {wish.grantee_type.value} {str(wish.wanted)!r}"
