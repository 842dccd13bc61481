"""Links between things, whatever their domains, as columns that lead to the other end."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, Select, Text, cast, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from engine.kinds import DEFAULT_PAGE
from storage.sql.tables import links


class LinkKind(StrEnum):
    """What a thing is to another, as the links between domains say it: `FileRecord produced_by HarvestRun`."""

    PRODUCED_BY = "produced_by"
    CONSUMED_BY = "consumed_by"
    DERIVED_FROM = "derived_from"


def linked(type_name: str, key: ColumnElement[Any], kind: LinkKind) -> ScalarSelect[str]:
    """`Type:key` of what a thing is linked to; of several, the newest. For an edge, which asks who may see it."""
    return _targets(type_name, key, kind).limit(1).correlate(key.table).scalar_subquery()


def all_linked(type_name: str, key: ColumnElement[Any], kind: LinkKind, *, reverse: bool = False) -> ScalarSelect[str]:
    """`Type:key` of all, one a line; in reverse, of what is linked to the thing."""
    found = _targets(type_name, key, kind, reverse=reverse).limit(DEFAULT_PAGE).correlate(key.table).subquery()
    return select(_Lines(found.c.target)).correlate(key.table).scalar_subquery()


def _targets(type_name: str, key: ColumnElement[Any], kind: LinkKind, *, reverse: bool = False) -> Select[tuple[str]]:
    ends = [(links.c.from_type, links.c.from_id), (links.c.to_type, links.c.to_id)]
    (own_type, own_id), (type_, id_) = reversed(ends) if reverse else ends
    found = select((type_ + ":" + id_).label("target"))
    found = found.where(own_type == type_name, own_id == cast(key, Text), links.c.kind == kind.value)
    return found.order_by(links.c.created_at.desc(), links.c.id.desc())


class _Lines(FunctionElement[str]):
    """The texts of all rows, one a line."""

    type = Text()
    inherit_cache = True


@compiles(_Lines)
def _group_concat(element: _Lines, compiler: SQLCompiler, **options: Any) -> str:
    return f"group_concat({compiler.process(element.clauses, **options)}, char(10))"


@compiles(_Lines, "postgresql")
def _string_agg(element: _Lines, compiler: SQLCompiler, **options: Any) -> str:
    return f"string_agg({compiler.process(element.clauses, **options)}, chr(10))"
