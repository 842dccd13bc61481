"""Functions that every database has in its own words."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from storage.sql.types import UuidColumn


class random_uuid(FunctionElement[UUID]):  # noqa: N801  # a function
    """A new UUIDv4 for each row, for keys of rows that one statement makes of others."""

    type = UuidColumn()
    inherit_cache = True


_DIGITS = "hex(randomblob({}))"
_SQLITE = " || '-' || ".join(
    (
        _DIGITS.format(4),
        _DIGITS.format(2),
        f"'4' || substr({_DIGITS.format(2)}, 2)",
        f"substr('89AB', 1 + (random() & 3), 1) || substr({_DIGITS.format(2)}, 2)",
        _DIGITS.format(6),
    )
)


@compiles(random_uuid, "sqlite")
def _of_random_digits(_element: random_uuid, _compiler: SQLCompiler, **_options: Any) -> str:
    return f"lower({_SQLITE})"


@compiles(random_uuid, "postgresql")
def _built_in(_element: random_uuid, _compiler: SQLCompiler, **_options: Any) -> str:
    return "gen_random_uuid()"
