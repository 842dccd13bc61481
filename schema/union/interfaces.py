"""What things of different domains are to each other: work and what starts it, data and where it came from, people.

An interface has the fields that all of its types have; each type says itself where it finds them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from core.vocabulary import RunState
from engine.declare import Node, shared
from engine.kinds import DEFAULT_PAGE
from engine.scalars import Long

RunRef = Annotated["Run", strawberry.lazy("schema.union.interfaces")]
DataAssetRef = Annotated["DataAsset", strawberry.lazy("schema.union.interfaces")]


@strawberry.interface(description="A piece of background work: a harvest, for example.")
class Run(Node):
    """From the queue to its end."""

    state: RunState = shared("Where it stands; the same states for every kind of work.")
    message: str | None = shared("How it ended, in words.")
    created_at: datetime = shared("When it was queued.")
    started_at: datetime | None = shared("When it began.")
    finished_at: datetime | None = shared("When it ended.")


@strawberry.interface(description="What runs are started for: a schedule, for example.")
class Runnable(Node):
    """It fires by itself, or when somebody asks."""

    enabled: bool = shared("Whether it fires by itself.")
    created_at: datetime = shared("When it was made.")


@strawberry.interface(description="Data with a known size, content and origin: a file, for example.")
class DataAsset(Node):
    """Where it came from is what was written down when it was made, never a guess."""

    size: Long | None = shared("Size in bytes.")
    checksum: str | None = shared("XXH64 (seed 0) of the content, 16 hex digits.")
    produced_by: RunRef | None = shared("The run that made it, or copied it last; null where you may not see that.")
    consumed_by: list[RunRef] = shared(f"Runs that read it, newest first; at most {DEFAULT_PAGE}.")
    upstream: list[DataAssetRef] = shared(f"What it was made from, newest first; at most {DEFAULT_PAGE}.")
    downstream: list[DataAssetRef] = shared(f"What was made from it, newest first; at most {DEFAULT_PAGE}.")


@strawberry.interface(description="Somebody who does something: a person, for example.")
class Actor(Node):
    """A person of any domain."""

    email: str = shared("Address to log in with.")
