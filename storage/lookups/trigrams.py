"""SQLite's trigrams of what filters look into, in step with the items: the same transaction writes both.

PostgreSQL keeps its index by itself. FTS5 goes to the disk whenever a number is lower than the one before, hence the order.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, column, func, insert, literal, select, table

from storage.sql.database import Transaction
from storage.sql.tables import lookup_items
from storage.sql.tables.lookups import SEARCH

_I = lookup_items.c
_SEARCH = table(SEARCH, column(SEARCH), column("rowid"), column("search_text"))


class Trigrams:
    """Of the items of all lookups."""

    def __init__(self, dialect: str) -> None:
        self._ours = dialect == "sqlite"

    async def forget(self, transaction: Transaction, *which: ColumnElement[bool]) -> None:
        """Before these items are changed or removed."""
        if self._ours:
            texts = select(literal("delete"), _I.number, _I.search_text).where(*which).order_by(_I.number)
            await transaction.execute(insert(_SEARCH).from_select([SEARCH, "rowid", "search_text"], texts))

    async def newest(self, transaction: Transaction) -> int:
        """The number after which come those of the items that this transaction will add."""
        return int(await transaction.scalar(select(func.coalesce(func.max(_I.number), 0)))) if self._ours else 0

    async def learn(self, transaction: Transaction, *which: ColumnElement[bool]) -> None:
        """After these items were added or changed."""
        if self._ours:
            texts = select(_I.number, _I.search_text).where(*which).order_by(_I.number)
            await transaction.execute(insert(_SEARCH).from_select(["rowid", "search_text"], texts))
