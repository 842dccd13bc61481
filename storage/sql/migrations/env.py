"""Alembic's entry point: runs on the connection it is given."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import String

from storage.sql.tables import metadata
from storage.sql.tables.lookups import is_declared
from storage.sql.types import EnumColumn


def _render(kind: str, item: Any, autogenerate: AutogenContext) -> str | Literal[False]:
    """Name our column types in generated migrations. Enums are stored as text, so migrations say text."""
    ours = type(item).__module__.startswith("storage.")
    if kind != "type" or not (ours or isinstance(item, String)):
        return False
    autogenerate.imports.add("from storage.sql import types")
    if isinstance(item, EnumColumn):
        return "types.text()"
    return f"types.{type(item).__name__}()" if ours else f"types.text({item.length or ''})"


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    include_name=is_declared,
    render_item=_render,
    render_as_batch=True,
    compare_type=False,
)
with context.begin_transaction():
    context.run_migrations()
