"""Alembic's entry point: runs on the connection it is given."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from storage.sql.tables import metadata


def _render(kind: str, item: Any, autogenerate: AutogenContext) -> str | Literal[False]:
    """Name our column types in generated migrations. Enums are stored as text, so migrations say text."""
    name = type(item).__name__
    if kind != "type" or not type(item).__module__.startswith("storage."):
        return False
    if name == "EnumColumn":
        return "sa.Text()"
    autogenerate.imports.add("from storage.sql import types")
    return f"types.{name}()"


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_item=_render,
    render_as_batch=True,
    compare_type=False,
)
with context.begin_transaction():
    context.run_migrations()
