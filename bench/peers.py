"""The usual ways to build such a server over the same tables: Strawberry with ORM resolvers, FastAPI with ORM and pydantic.

Both as their documentation shows it: a session per request, in which the token's holder is read, too.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, cast
from uuid import UUID

import strawberry
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field, field_validator
from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase, relationship, selectinload
from starlette.types import ASGIApp
from strawberry.asgi import GraphQL
from strawberry.dataloader import DataLoader
from strawberry.scalars import JSON

from bench.handwritten import Verify
from core.identity import INSTRUMENTS
from core.vocabulary import PersistentIdType, TransferAdapter, TransferStatus
from storage.sql import tables


class Base(DeclarativeBase):
    metadata = tables.metadata


class UserRow(Base):
    __table__ = tables.users


class MembershipRow(Base):
    __table__ = tables.memberships


class RevokedRow(Base):
    __table__ = tables.revoked_tokens


class FileRow(Base):
    __table__ = tables.file_records
    details = tables.file_records.c.metadata_
    transfers = relationship("TransferRow", order_by=tables.file_transfers.c.started_at.desc(), viewonly=True)
    instrument = relationship("InstrumentRow", viewonly=True)


class TransferRow(Base):
    __table__ = tables.file_transfers


class InstrumentRow(Base):
    __table__ = tables.instruments


NEWEST = select(FileRow).order_by(FileRow.first_discovered_at.desc(), FileRow.id.desc())


@dataclass(frozen=True)
class SignedIn:
    """Both ask for the same user, and both are asked by an admin: neither needs a predicate."""

    verify: Verify

    async def __call__(self, request: Any, session: AsyncSession) -> UserRow:
        proof = self.verify(request.headers["authorization"].partition(" ")[2])
        member = select(UserRow).join(MembershipRow, MembershipRow.user_id == UserRow.id)
        member = member.where(
            MembershipRow.domain == INSTRUMENTS,
            MembershipRow.role == "admin",
            UserRow.id == UUID(proof.subject),
            UserRow.credentials_version == proof.version,
            UserRow.is_active,
            UserRow.deleted_at.is_(None),
            ~exists().where(RevokedRow.token_id == proof.token_id),
        )
        user = (await session.scalars(member)).first()
        if user is None:
            raise HTTPException(401)
        return user


# --- Strawberry --------------------------------------------------------------------------------------------------------


@strawberry.type
class Instrument:
    local_id: UUID
    name: str
    description: str | None
    location: str | None
    pid: str | None
    cifs_host: str
    cifs_share: str
    cifs_base_path: str | None
    service_account_id: UUID | None
    transfer_adapter: TransferAdapter
    transfer_config: JSON | None
    enabled: bool
    last_harvested_at: datetime | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None

    @classmethod
    def of(cls, row: Any) -> "Instrument":
        return cls(
            local_id=row.id,
            name=row.name,
            description=row.description,
            location=row.location,
            pid=row.pid,
            cifs_host=row.cifs_host,
            cifs_share=row.cifs_share,
            cifs_base_path=row.cifs_base_path,
            service_account_id=row.service_account_id,
            transfer_adapter=row.transfer_adapter,
            transfer_config=row.transfer_config,
            enabled=row.enabled,
            last_harvested_at=row.last_harvested_at,
            created_at=row.created_at,
            updated_at=row.updated_at,
            deleted_at=row.deleted_at,
        )


@strawberry.type
class Transfer:
    status: TransferStatus
    checksum_verified: bool | None


@strawberry.type
class Transfers:
    nodes: list[Transfer]


@strawberry.type
class File:
    local_id: UUID
    persistent_id: str
    persistent_id_type: PersistentIdType
    instrument_id: UUID
    source_path: str
    filename: str
    size: float | None  # GraphQL's Int has 32 bits
    source_modified_at: datetime | None
    checksum: str | None
    sha256: str | None
    first_discovered_at: datetime
    metadata: JSON | None
    owner_id: UUID | None

    @strawberry.field
    async def instrument(self, info: strawberry.Info) -> Instrument:
        return cast("Instrument", await info.context["instruments"].load(self.instrument_id))

    @strawberry.field
    async def transfers(self, info: strawberry.Info, first: int = 3) -> Transfers:
        return Transfers(nodes=(await info.context["transfers"].load(self.local_id))[:first])

    @classmethod
    def of(cls, row: Any) -> "File":
        return cls(
            local_id=row.id,
            persistent_id=row.persistent_id,
            persistent_id_type=row.persistent_id_type,
            instrument_id=row.instrument_id,
            source_path=row.source_path,
            filename=row.filename,
            size=row.size_bytes,
            source_modified_at=row.source_mtime,
            checksum=row.xxhash,
            sha256=row.sha256,
            first_discovered_at=row.first_discovered_at,
            metadata=row.details,
            owner_id=row.owner_id,
        )


@strawberry.type
class Files:
    first: strawberry.Private[int]

    @strawberry.field
    async def total_count(self, info: strawberry.Info) -> int:
        return cast("int", await info.context["session"].scalar(select(func.count()).select_from(FileRow)))

    @strawberry.field
    async def nodes(self, info: strawberry.Info) -> list[File]:
        return [File.of(row) for row in (await info.context["session"].scalars(NEWEST.limit(self.first))).all()]


@strawberry.type
class Query:
    @strawberry.field
    def files(self, first: int) -> Files:
        return Files(first=first)

    @strawberry.field
    async def instrument(self, info: strawberry.Info, local_id: UUID) -> Instrument | None:
        row = await info.context["session"].get(InstrumentRow, local_id)
        return row and Instrument.of(row)


def strawberry_peer(engine: AsyncEngine, verify: Verify) -> ASGIApp:
    """One loader per relation."""
    schema, signed_in = strawberry.Schema(Query), SignedIn(verify)

    class Endpoint(GraphQL[Any, Any]):
        async def get_context(self, request: Any, response: Any) -> Any:
            session = request.scope["state"]["session"]
            await signed_in(request, session)

            async def instruments(keys: list[UUID]) -> list[Instrument]:
                rows = (await session.scalars(select(InstrumentRow).where(InstrumentRow.id.in_(keys)))).all()
                found = {row.id: Instrument.of(row) for row in rows}
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


# --- FastAPI -----------------------------------------------------------------------------------------------------------


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
    details: dict[str, Any] | None = Field(serialization_alias="metadata_")
    owner_id: UUID | None


class InstrumentModel(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    id: UUID
    name: str
    description: str | None
    location: str | None
    pid: str | None
    cifs_host: str
    cifs_share: str
    cifs_base_path: str | None
    service_account_id: UUID | None
    transfer_adapter: TransferAdapter
    transfer_config: dict[str, Any] | None
    enabled: bool
    last_harvested_at: datetime | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


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

    @field_validator("transfers", mode="before")
    @classmethod
    def _last_three(cls, transfers: list[Any]) -> list[Any]:
        return transfers[:3]


def fastapi_peer(engine: AsyncEngine, verify: Verify) -> ASGIApp:
    """`response_model` everywhere."""
    app, signed_in = FastAPI(), SignedIn(verify)

    async def session() -> Any:
        async with AsyncSession(engine) as opened:
            yield opened

    Session = Annotated[AsyncSession, Depends(session)]  # noqa: N806  # a type

    async def user(request: Request, opened: Session) -> UserRow:
        return await signed_in(request, opened)

    for_users = [Depends(user)]

    @app.get("/files", response_model=list[FileModel], dependencies=for_users)
    async def files(opened: Session, response: Response, limit: int) -> Any:
        response.headers["X-Total-Count"] = str(await opened.scalar(select(func.count()).select_from(FileRow)))
        return (await opened.scalars(NEWEST.limit(limit))).all()

    @app.get("/instruments/{key}", response_model=InstrumentModel, dependencies=for_users)
    async def instrument(opened: Session, key: UUID) -> Any:
        return await opened.get(InstrumentRow, key)

    @app.get("/nested", response_model=list[NestedModel], dependencies=for_users)
    async def nested(opened: Session) -> Any:
        loaded = NEWEST.limit(100).options(selectinload(FileRow.instrument), selectinload(FileRow.transfers))
        return (await opened.scalars(loaded)).all()

    return app
