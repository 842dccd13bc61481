"""`switchyard` with a mutation that takes files, since no domain has one yet: `python -m tests.app.uploading serve`."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Annotated
from unittest.mock import patch

import strawberry
from strawberry import Info
from strawberry.schema.config import StrawberryConfig

from core.uploads import Upload
from engine.constraints import ConstraintDirective
from engine.declare import limited, resolver
from engine.scalars import JSON, SCALARS, Long
from resolvers.context import RequestContext
from schema.inputs import INPUT
from schema.instruments.access import anyone
from schema.platform.access import anybody_known
from schema.root import Mutation, Query, Subscription


@strawberry.input(description="Files to be measured.")
class MeasureInput:
    """In every shape that an input has."""

    content: Upload | None = limited("One.", default=None)
    more: list[Upload | None] | None = limited("Several.", default=None)
    nested: list[list[Upload]] | None = limited("Lists of several.", default=None)
    note: str = limited("Something else.", default="")
    anything: JSON | None = limited("Any JSON.", default=None)
    seconds: float = limited("How long to think about it.", default=0)


@strawberry.type(description="What was found in a file.")
class Measured:
    """By reading it."""

    filename: str = strawberry.field(description="As the client calls it.")
    content_type: str = strawberry.field(description="As the client says.")
    size: Long = strawberry.field(description="Bytes.")
    sha256: str = strawberry.field(description="Of what was read.")


@strawberry.type
class UploadMutations:
    """What tests ask for."""

    @resolver("Measure files.", guard=anybody_known)
    async def measure(self, info: Info[RequestContext], given: Annotated[MeasureInput, INPUT]) -> list[Measured] | None:
        await asyncio.sleep(given.seconds)
        if given.note == "keep":
            async with info.context.sql.transaction():
                pass  # a change, for whoever marks it
        uploads = [given.content, *(given.more or ()), *(each for inner in given.nested or () for each in inner)]
        return [await _measured(each) for each in uploads if each is not None]

    @resolver("Measure a file, for anybody.", guard=anyone)
    async def measure_publicly(self, content: Annotated[Upload, strawberry.argument(description="One.")]) -> Measured | None:
        return await _measured(content)


async def _measured(upload: Upload) -> Measured:
    digest = hashlib.sha256()
    size = 0
    async for piece in upload.chunks():
        digest.update(piece)
        size += len(piece)
    assert (size, digest.hexdigest()) == (upload.size, upload.sha256)
    return Measured(filename=upload.filename, content_type=upload.content_type, size=size, sha256=upload.sha256)


@strawberry.type(description="Everything that can be changed, and measured.")
class MutationWithFiles(Mutation, UploadMutations):
    """Fields of all domains, and the test's."""


def build_schema() -> strawberry.Schema:
    return strawberry.Schema(
        query=Query,
        mutation=MutationWithFiles,
        subscription=Subscription,
        schema_directives=[ConstraintDirective],
        config=StrawberryConfig(scalar_map=SCALARS),
    )


if __name__ == "__main__":
    from app.cli import main

    with patch("app.wiring.build_schema", build_schema):
        main()
