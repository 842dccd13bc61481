"""The demonstration: sample instruments of four laboratories, harvested every minute.

Loading it twice changes nothing: what is there already stays as it is.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from sqlalchemy import select

from app.wiring import Parts
from core.identity import INSTRUMENTS, Principal, Principals
from core.policy import ADMIN
from core.vocabulary import StorageType
from resolvers.context import RequestContext
from resolvers.instruments.instruments import NewInstrument, create_instrument
from resolvers.instruments.schedules import NewSchedule, create_schedule
from resolvers.instruments.storage_locations import NewStorageLocation, create_storage_location
from storage.sql.tables import instruments, users

SAMPLES = Path(__file__).parent.parent / "demo" / "instruments"
EMAIL, PASSWORD = "admin@example.org", "switchyard-demo"

INSTRUMENTS_OF_THE_DEMO = (
    ("Bruker Avance NMR 500", "nmr-bruker", "Nuclear magnetic resonance", "Building A, room 101"),
    ("Titan Themis TEM", "tem-titan", "Transmission electron microscope", "Building B, room 015"),
    ("Orbitrap Eclipse MS", "ms-orbitrap", "Mass spectrometer", "Building A, room 214"),
    ("Waters Alliance HPLC", "hplc-waters", "Liquid chromatography", "Building A, room 210"),
)


def prepare_demo() -> None:
    """Settings of a demonstration on one's own machine; what is set already stays."""
    for name, value in {"ADMIN_EMAIL": EMAIL, "ADMIN_PASSWORD": PASSWORD, "COOKIE_SECURE": "false"}.items():
        os.environ.setdefault(name, value)


async def load_demo(parts: Parts, address: str) -> str:
    """Register the sample instruments with a storage location and a schedule each; what to try, as text."""
    admin = await parts.database.first(
        select(users).where(users.c.email_folded == (parts.settings.admin_email or "").casefold())
    )
    if admin is not None and await parts.database.first(select(instruments.c.id)) is None:
        principal = Principal(INSTRUMENTS, admin["id"], ADMIN, admin["email"])
        await _register(parts.contexts.context(Principals([principal])), parts.settings.roots[0])
    return _greeting(address, parts)


async def _register(ctx: RequestContext, root: Path) -> None:
    shares, archive = root / "demo" / "instruments", root / "demo" / "archive"
    shutil.copytree(SAMPLES, shares, dirs_exist_ok=True)
    archive.mkdir(parents=True, exist_ok=True)
    location = await create_storage_location(
        ctx,
        NewStorageLocation(name="Archive", type=StorageType.POSIX, base_path=str(archive)),
    )
    for name, folder, description, place in INSTRUMENTS_OF_THE_DEMO:
        instrument = await create_instrument(
            ctx,
            NewInstrument(
                name=name, cifs_host="file:", cifs_share=str(shares / folder), description=description, location=place
            ),
        )
        await create_schedule(
            ctx,
            NewSchedule(instrument_id=instrument, default_storage_location_id=location, cron_expression="* * * * *"),
        )


def _greeting(address: str, parts: Parts) -> str:
    password = (
        PASSWORD
        if parts.settings.admin_password and parts.settings.admin_password.get_secret_value() == PASSWORD
        else "(yours)"
    )
    return f"""
Switchyard is at {address}

  sign in as      {parts.settings.admin_email}  /  {password}
  try GraphQL     {address}/graphiql
  read the API    {address}/docs
  the documents   {address}/redoc

  a token         curl -s {address}/auth/jwt/login -d username={parts.settings.admin_email} -d password={password}
  its use         curl -s {address}/api/instruments -H "Authorization: Bearer $TOKEN"

The sample instruments are harvested every minute, the first time within 60 seconds.
"""
