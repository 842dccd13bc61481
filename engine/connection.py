"""Pages: the connection types of the graph and the one object that stands behind them while an operation runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import strawberry

from core.errors import InvalidInput
from engine.kinds import DEFAULT_PAGE

NodeType = TypeVar("NodeType")


@strawberry.type(description="Where a page lies in its list.")
class PageInfo:
    """Cursors are null on an empty page."""

    has_next_page: bool = strawberry.field(description="Whether more follows.")
    has_previous_page: bool = strawberry.field(description="Whether something precedes the page.")
    start_cursor: str | None = strawberry.field(description="Cursor of the first node.")
    end_cursor: str | None = strawberry.field(description="Cursor of the last node.")
    offset: int = strawberry.field(description="The `offset` that was asked for (0 without one).")
    size: int = strawberry.field(description="How many nodes were asked for.")


@strawberry.type(description="A node and its place in the list.")
class Edge(Generic[NodeType]):
    """`cursor` is made only when it is selected."""

    node: NodeType = strawberry.field(description="The node.")
    cursor: str = strawberry.field(description="For `after` and `before`, under the same filter and order.")


@strawberry.type(description="A page of a list.")
class Connection(Generic[NodeType]):
    """What is not selected costs nothing."""

    edges: list[Edge[NodeType]] = strawberry.field(description="Nodes with their cursors.")
    nodes: list[NodeType] = strawberry.field(description="The nodes alone.")
    page_info: PageInfo = strawberry.field(description="Where the page lies.")
    total_count: int | None = strawberry.field(description="How many there are in all, under the filter.")


@dataclass(frozen=True, slots=True)
class Slice:
    """Which page is asked for: arguments, checked and with defaults."""

    size: int
    offset: int
    backward: bool
    cursor: str | None = None
    place: tuple[Any, ...] | None = None
    """The sort values of the cursor's row, if there is a cursor."""

    @property
    def cursor_argument(self) -> str:
        """Which argument gave the cursor."""
        return "before" if self.backward else "after"


def slice_of(arguments: Mapping[str, Any], largest: int) -> Slice:
    """Raises `InvalidInput` for arguments that do not go together. The cursor is not read yet."""
    first, last = arguments.get("first"), arguments.get("last")
    after, before, offset = arguments.get("after"), arguments.get("before"), arguments.get("offset")
    if first is not None and last is not None:
        raise InvalidInput("give first or last, not both", field="last", value=last)
    if offset is not None and (after is not None or before is not None or last is not None):
        raise InvalidInput("offset goes with first only, not with a cursor or last", field="offset", value=offset)
    if after is not None and (before is not None or last is not None):
        raise InvalidInput("after goes with first, before goes with last", field="after", value=after)
    if before is not None and first is not None:
        raise InvalidInput("before goes with last", field="before", value=before)
    backward = last is not None or before is not None
    size = last if last is not None else first if first is not None else DEFAULT_PAGE
    return Slice(min(size, largest), offset or 0, backward, before if backward else after)


@dataclass(slots=True)
class EdgeOfPage:
    """One row of a page, with the names of `Edge`."""

    node: Any
    page: Page

    @property
    def cursor(self) -> str:
        return self.page.cursor(self.node)


@dataclass(slots=True)
class Page:
    """One page of raw rows, with the names of `Connection` and `PageInfo`. Both are this object."""

    nodes: Sequence[Any]
    has_next_page: bool
    has_previous_page: bool
    offset: int
    size: int
    cursor: Callable[[Any], str]
    total_count: int | None = None

    @property
    def edges(self) -> list[EdgeOfPage]:
        return [EdgeOfPage(node, self) for node in self.nodes]

    @property
    def page_info(self) -> Page:
        return self

    @property
    def start_cursor(self) -> str | None:
        return self.cursor(self.nodes[0]) if self.nodes else None

    @property
    def end_cursor(self) -> str | None:
        return self.cursor(self.nodes[-1]) if self.nodes else None


def page_of(rows: Sequence[Any], wanted: Slice, cursor: Callable[[Any], str], total: int | None = None) -> Page:
    """From as many rows as the slice has, and one more if there is one, in the direction in which they were read."""
    more = len(rows) > wanted.size
    nodes = rows[: wanted.size]
    if wanted.backward:
        nodes = nodes[::-1]
    behind = wanted.place is not None or wanted.offset > 0
    has_next, has_previous = (behind, more) if wanted.backward else (more, behind)
    return Page(nodes, has_next, has_previous, wanted.offset, wanted.size, cursor, total)
