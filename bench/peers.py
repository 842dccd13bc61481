"""The usual ways to build such a server over the same tables: Strawberry with ORM resolvers, FastAPI with ORM and pydantic."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import strawberry
from fastapi import Depends, FastAPI, Request
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase, relationship, selectinload
from starlette.types import ASGIApp
from strawberry.asgi import GraphQL
from strawberry.dataloader import DataLoader

from app.wiring import Parts
from core.identity import INSTRUMENTS
from core.vocabulary import PersistentIdType, TransferStatus
from storage.sql import tables


class Base(DeclarativeBase):
    metadata = tables.metadata


class FileRow(Base):
    __table__ = tables.file_records
    details = tables.file_records.c.metadata_
    transfers = relationship("TransferRow", order_by=tables.file_transfers.c.started_at.desc(), viewonly=True)
    instrument = relationship("InstrumentRow", viewonly=True)


class TransferRow(Base):
    __table__ = tables.file_transfers


class InstrumentRow(Base):
    __table__ = tables.instruments


# --- Strawberry, as its documentation shows it -------------------------------------------------------------------------


@strawberry.type
class Instrument:
    local_id: UUID
    name: str


@strawberry.type
class Transfer:
    status: TransferStatus
    checksum_verified: bool | None


@strawberry.type
class File:
    local_id: UUID
    persistent_id: str
    persistent_id_type: PersistentIdType
    instrument_id: UUID
    source_path: str
    filename: str
    size: int | None
    source_modified_at: datetime | None
    checksum: str | None
    first_discovered_at: datetime

    @strawberry.field
    async def instrument(self, info: strawberry.Info) -> Instrument:
        return await info.context["instruments"].load(self.instrument_id)

    @strawberry.field
    async def transfers(self, info: strawberry.Info, first: int = 3) -> list[Transfer]:
        return (await info.context["transfers"].load(self.local_id))[:first]


@strawberry.type
class Query:
    @strawberry.field
    async def files(self, info: strawberry.Info, first: int) -> list[File]:
        newest = select(FileRow).order_by(FileRow.first_discovered_at.desc(), FileRow.id.desc()).limit(first)
        rows = (await info.context["session"].scalars(newest)).all()
        return [
            File(
                local_id=row.id,
                persistent_id=row.persistent_id,
                persistent_id_type=row.persistent_id_type,
                instrument_id=row.instrument_id,
                source_path=row.source_path,
                filename=row.filename,
                size=row.size_bytes,
                source_modified_at=row.source_mtime,
                checksum=row.xxhash,
                first_discovered_at=row.first_discovered_at,
            )
            for row in rows
        ]

    @strawberry.field
    async def instrument(self, info: strawberry.Info, local_id: UUID) -> Instrument | None:
        row = await info.context["session"].get(InstrumentRow, local_id)
        return row and Instrument(local_id=row.id, name=row.name)


def strawberry_peer(parts: Parts, engine: AsyncEngine) -> ASGIApp:
    """One session per request, one loader per relation."""
    schema = strawberry.Schema(Query)

    class Endpoint(GraphQL[Any, Any]):
        async def get_context(self, request: Any, response: Any) -> Any:
            principals = await parts.contexts.schemes.authenticate(request.headers, request.cookies)
            assert principals.of(INSTRUMENTS) is not None
            session = request.scope["state"]["session"]

            async def instruments(keys: list[UUID]) -> list[Instrument]:
                rows = (await session.scalars(select(InstrumentRow).where(InstrumentRow.id.in_(keys)))).all()
                found = {row.id: Instrument(local_id=row.id, name=row.name) for row in rows}
                return [found[key] for key in keys]

            async def transfers(keys: list[UUID]) -> list[list[Transfer]]:
                newest = select(TransferRow).where(TransferRow.file_id.in_(keys)).order_by(TransferRow.started_at.desc())
                found: dict[UUID, list[Transfer]] = {key: [] for key in keys}
                for row in (await session.scalars(newest)).all():
                    found[row.file_id].append(Transfer(status=row.status, checksum_verified=row.checksum_verified))
                return [found[key] for key in keys]

            return {
                "session": session,
                "instruments": DataLoader(load_fn=instruments),
                "transfers": DataLoader(load_fn=transfers),
            }

    endpoint = Endpoint(schema)

    async def with_session(scope: Any, receive: Any, send: Any) -> None:
        async with AsyncSession(engine) as session:
            await endpoint({**scope, "state": {"session": session}}, receive, send)

    return with_session


# --- FastAPI, as its documentation shows it ----------------------------------------------------------------------------


class FileModel(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    id: UUID
    persistent_id: str
    persistent_id_type: PersistentIdType
    instrument_id: UUID
    source_path: str
    filename: str
    size_bytes: int | None
    source_mtime: datetime | None
    xxhash: str | None
    sha256: str | None
    first_discovered_at: datetime
    details: dict[str, Any] | None
    owner_id: UUID | None


class InstrumentModel(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    id: UUID
    name: str
    description: str | None
    cifs_host: str
    cifs_share: str
    enabled: bool
    transfer_config: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime


class TransferModel(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    status: TransferStatus
    checksum_verified: bool | None


class NamedModel(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    name: str


class NestedModel(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    filename: str
    persistent_id: str
    instrument: NamedModel
    transfers: list[TransferModel]


def fastapi_peer(parts: Parts, engine: AsyncEngine) -> ASGIApp:
    """One session per request, `response_model` everywhere."""
    app = FastAPI()

    async def signed_in(request: Request) -> None:
        principals = await parts.contexts.schemes.authenticate(request.headers, request.cookies)
        assert principals.of(INSTRUMENTS) is not None

    async def session() -> Any:
        async with AsyncSession(engine) as opened:
            yield opened

    Session = Annotated[AsyncSession, Depends(session)]  # noqa: N806  # a type
    newest = select(FileRow).order_by(FileRow.first_discovered_at.desc(), FileRow.id.desc())

    @app.get("/files", response_model=list[FileModel], dependencies=[Depends(signed_in)])
    async def files(opened: Session, limit: int) -> Any:
        return (await opened.scalars(newest.limit(limit))).all()

    @app.get("/instruments/{key}", response_model=InstrumentModel, dependencies=[Depends(signed_in)])
    async def instrument(opened: Session, key: UUID) -> Any:
        return await opened.get(InstrumentRow, key)

    @app.get("/nested", response_model=list[NestedModel], dependencies=[Depends(signed_in)])
    async def nested(opened: Session) -> Any:
        loaded = newest.limit(100).options(selectinload(FileRow.instrument), selectinload(FileRow.transfers))
        return (await opened.scalars(loaded)).all()

    return app
