"""The demonstration: sample instruments of four laboratories, harvested every minute, and four sample lookups.

Loading it twice changes nothing: what is there already stays as it is.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from pydantic import SecretStr
from sqlalchemy import select

from app.settings import Settings, master_secret
from app.wiring import Parts
from core.errors import Conflict
from core.identity import INSTRUMENTS, LOOKUPS, Principal, Principals
from core.policy import ACCESS, ADMIN, EDIT, MEMBER, SUPERUSER
from core.secrets import derive_key
from core.vocabulary import HookImplementation, HookTrigger, StorageType
from resolvers.context import RequestContext
from resolvers.instruments.hooks import NewHook, create_hook
from resolvers.instruments.instruments import NewInstrument, create_instrument
from resolvers.instruments.schedules import NewSchedule, create_schedule
from resolvers.instruments.storage_locations import NewStorageLocation, create_storage_location
from resolvers.lookups.lookups import create_lookup
from resolvers.lookups.uploading import upload
from storage.sql.tables import instruments, memberships, users

SAMPLES = Path(__file__).parent.parent / "demo" / "instruments"
LOOKUP_SAMPLES = SAMPLES.with_name("lookups")
TENANT, GLOBAL_SAMPLE = "standard", "macvendors"
"""Whose lookups the samples are, but for one that is everybody's."""

NOBODY = UUID(int=0)
EMAIL, PASSWORD = "admin@example.org", "switchyard-demo"

FOLDERS = {"acquisition": {"folders": ["*"], "settle_seconds": 10}}
"""Every folder is one measurement. Samples that were unpacked a moment ago are soon harvested."""

INSTRUMENTS_OF_THE_DEMO = (
    ("Bruker Avance NMR 500", "nmr-bruker", "Nuclear magnetic resonance", "Building A, room 101", FOLDERS),
    ("Titan Themis TEM", "tem-titan", "Transmission electron microscope", "Building B, room 015", None),
    ("Orbitrap Eclipse MS", "ms-orbitrap", "Mass spectrometer", "Building A, room 214", None),
    ("Waters Alliance HPLC", "hplc-waters", "Liquid chromatography", "Building A, room 210", None),
)

DATE_AND_SAMPLE = {"rules": [{"pattern": "(?:^|/)(?P<date>[0-9]{8})_(?P<sample>[A-Za-z]+)"}]}
"""What names of the sample files say; the lookup `samples` knows more."""


def prepare_demo(settings: Settings, *, private: bool) -> Settings:
    """Settings of a demonstration; what is set already stays. Only a private one has the password that everybody knows."""
    wanted: dict[str, Any] = {"admin_email": EMAIL, "cookie_secure": False}
    if settings.lookups_jwks is None:
        secret = derive_key(master_secret(settings), "demonstration of lookups").hex()
        wanted["lookups_jwt_secret"] = SecretStr(secret)
    if private:
        wanted["admin_password"] = SecretStr(PASSWORD)
    return settings.model_copy(update={name: value for name, value in wanted.items() if name not in settings.model_fields_set})


async def load_demo(parts: Parts, address: str) -> str:
    """Register the sample instruments with a storage location and a schedule each; what to try, as text."""
    admin = await parts.database.first(
        select(users).where(users.c.email_folded == (parts.settings.admin_email or "").casefold())
    )
    if admin is not None and await parts.database.first(select(instruments.c.id)) is None:
        principal = Principal(INSTRUMENTS, admin["id"], ADMIN, admin["email"])
        ctx = parts.contexts.context(Principals([principal]))
        await _register(ctx, parts.settings.roots[0])
        await _admit(ctx, principal.subject)
    await _declare(parts.contexts.context(Principals([Principal(LOOKUPS, NOBODY, SUPERUSER, "demo", is_person=False)])))
    return _greeting(address, parts.settings)


async def _register(ctx: RequestContext, root: Path) -> None:
    shares, archive = root / "demo" / "instruments", root / "demo" / "archive"
    shutil.copytree(SAMPLES, shares, dirs_exist_ok=True)
    archive.mkdir(parents=True, exist_ok=True)
    location = await create_storage_location(
        ctx,
        NewStorageLocation(name="Archive", type=StorageType.POSIX, base_path=str(archive)),
    )
    await create_hook(
        ctx,
        NewHook(
            name="Date and sample",
            trigger=HookTrigger.POST_TRANSFER,
            implementation=HookImplementation.BUILTIN,
            builtin_name="metadata_enrichment",
            config=DATE_AND_SAMPLE,
        ),
    )
    for name, folder, description, place, config in INSTRUMENTS_OF_THE_DEMO:
        instrument = await create_instrument(
            ctx,
            NewInstrument(
                name=name,
                cifs_host="file:",
                cifs_share=str(shares / folder),
                description=description,
                location=place,
                transfer_config=config,
            ),
        )
        await create_schedule(
            ctx,
            NewSchedule(instrument_id=instrument, default_storage_location_id=location, cron_expression="* * * * *"),
        )


async def _admit(ctx: RequestContext, person: UUID) -> None:
    """To the lookups, so that personal tokens can be for both domains."""
    async with ctx.sql.transaction() as transaction:
        await transaction.insert(
            memberships,
            user_id=person,
            domain=LOOKUPS,
            role=MEMBER,
            grants={TENANT: [ACCESS, EDIT]},
            created_at=ctx.clock(),
        )


async def _declare(ctx: RequestContext) -> None:
    for file in sorted(LOOKUP_SAMPLES.glob("*.declaration.json")):
        declaration = orjson.loads(file.read_bytes()) | {"global": file.name.startswith(GLOBAL_SAMPLE)}
        with suppress(Conflict):  # it is there already
            lookup = await create_lookup(ctx, TENANT, declaration)
            with file.with_name(file.name.replace(".declaration.json", ".csv")).open("rb") as rows:
                await upload(ctx.services.lookups.store, lookup, rows, ctx.services.lookups.folder)


def _greeting(address: str, settings: Settings) -> str:
    known = settings.admin_password is not None and settings.admin_password.get_secret_value() == PASSWORD
    password = PASSWORD if known else "(the one that was chosen or printed)"
    return f"""
Switchyard is at {address}

  sign in as      {settings.admin_email}  /  {password}
  try GraphQL     {address}/graphiql
  read the API    {address}/docs
  the documents   {address}/redoc

  a token         curl -s {address}/auth/jwt/login -d username={settings.admin_email} -d password={PASSWORD if known else "…"}
  its use         curl -s {address}/api/instruments -H "Authorization: Bearer $TOKEN"

  lookups         TOKEN=$(switchyard lookup-token {TENANT} --demo --data-dir {settings.data_dir})
                  curl -s {address}/graphql -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\
                    -d '{{"query": "{{ lookups(tenant: \\"{TENANT}\\") {{ nodes {{ localId stats {{ items }} }} }} }}"}}'

The sample instruments are harvested every minute, the first time within 60 seconds.
"""
