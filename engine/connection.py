"""Pages: the connection types of the graph and the one object that stands behind them while an operation runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import strawberry

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
