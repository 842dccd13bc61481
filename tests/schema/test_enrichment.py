"""From values of instruments and files to items of lookups: one token for both domains, and no more than it may read in each."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from core.clock import utc_now
from core.policy import ACCESS, EDIT, GLOBAL_EDIT
from storage.sql.tables import file_records, instruments, memberships
from tests.app.test_personal_tokens import made
from tests.conftest import Caller, World
from tests.schema.test_lookups import FULL, PACKED, PLACE, TENANT, declare, write

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MAC, ADDRESS = "02:04:fe:00:00:07", "10.0.1.7"
METADATA = {
    "sample": "caffeine",
    "run": 7,
    "blank": True,
    "pair": ["caffeine", 7],
    "text of a pair": "caffeine, 7",
    "mac": MAC,
    "host": ADDRESS,
    "nothing": None,
}

ITEM = (
    "query ($file: UUID!, $tenant: String!, $lookup: String!, $key: String!) "
    "{ file(localId: $file) { lookupItem(tenant: $tenant, lookupId: $lookup, metadataKey: $key) { keys values } } }"
)
OF_HOST = (
    "query ($file: UUID!, $tenant: String!, $lookup: String!) "
    "{ file(localId: $file) { instrument { lookupItem(tenant: $tenant, lookupId: $lookup) { keys } } } }"
)


@pytest.fixture
def name() -> str:
    return f"n{uuid4().hex}"


@pytest.fixture
def editor(world: World) -> Caller:
    return world.bearer(FULL)


async def stored_file(world: World, owner: Caller, host: str = f"{ADDRESS}:4450", metadata: Any = METADATA) -> UUID:
    """A file of that person, found on an instrument with that host."""
    instrument, file = uuid4(), uuid4()
    machine = {"name": "NMR", "cifs_share": "s", "transfer_adapter": "rclone", "enabled": True}
    found = {"persistent_id_type": "ark", "source_path": "f", "filename": "f", "first_discovered_at": NOON}
    async with world.parts.database.transaction() as tx:
        await tx.insert(instruments, id=instrument, cifs_host=host, created_at=NOON, updated_at=NOON, **machine)
        own = {"id": file, "instrument_id": instrument, "owner_id": owner.id, "persistent_id": f"ark:/1/{file}"}
        await tx.insert(file_records, metadata_=metadata, **own, **found)
    return file


async def member(world: World, resources: list[str]) -> Caller:
    """Somebody of both domains, signed in to the one of instruments."""
    person = await world.person(f"{uuid4()}@example.org")
    async with world.parts.database.transaction() as tx:
        of_lookups = {"user_id": person.id, "domain": "lookups", "role": "member", "created_at": utc_now()}
        await tx.insert(memberships, **of_lookups, grants={TENANT: resources})
    return person


@pytest.fixture
async def reader(world: World) -> Caller:
    """With a personal token for both domains."""
    token, _ = await made(await member(world, [ACCESS]), "INSTRUMENTS_READ", "LOOKUPS_READ")
    return token


async def item(caller: Caller, file: UUID, lookup: str, key: str) -> Any:
    answer = await caller.ask(ITEM, {"file": str(file), "tenant": TENANT, "lookup": lookup, "key": key})
    assert "errors" not in answer, answer
    return answer["data"]["file"]["lookupItem"]


async def keys_of_host(caller: Caller, file: UUID, lookup: str) -> Any:
    answer = await caller.ask(OF_HOST, {"file": str(file), "tenant": TENANT, "lookup": lookup})
    assert "errors" not in answer, answer
    found = answer["data"]["file"]["instrument"]["lookupItem"]
    return found and found["keys"]


# --- what is found -----------------------------------------------------------------------------------------------------


async def test_metadata_leads_to_the_item_of_its_key(world, editor, reader, name):
    lookup, file = await declare(editor, name), await stored_file(world, reader)
    await write(editor, lookup, ["caffeine"], {"name": "1,3,7-trimethylxanthine"})
    expected = {"keys": ["caffeine"], "values": {"name": "1,3,7-trimethylxanthine"}}
    assert await item(reader, file, lookup, "sample") == expected


@pytest.mark.parametrize(
    ("kinds", "keys", "metadata_key"),
    [
        (["ui8"], [7], "run"),
        (["str"], ["7"], "run"),
        (["bool"], [True], "blank"),
        (["str"], ["true"], "blank"),
        (["str", "ui8"], ["caffeine", 7], "pair"),
        (["str", "ui8"], ["caffeine", 7], "text of a pair"),
        (["mac"], [MAC], "mac"),
    ],
)
async def test_values_of_every_kind_are_looked_up(world, editor, reader, name, kinds, keys, metadata_key):
    declared = [{"name": f"k{number}", "type": kind} for number, kind in enumerate(kinds)]
    kind = "lookup" if len(kinds) == 1 else "lookup/compoundkey"
    lookup, file = await declare(editor, name, type=kind, keys=declared), await stored_file(world, reader)
    await write(editor, lookup, keys)
    assert await item(reader, file, lookup, metadata_key) == {"keys": keys, "values": {}}


@pytest.mark.parametrize(
    ("kind", "first", "last", "metadata_key"),
    [
        ("ip", "10.0.1.0", "10.0.1.255", "host"),
        ("mac", "02:04:fe:00:00:00", "02:04:fe:ff:ff:ff", "mac"),
    ],
)
async def test_addresses_lead_to_their_ranges(world, editor, reader, name, kind, first, last, metadata_key):
    declared = [{"name": end, "type": kind} for end in ("first", "last")]
    lookup = await declare(editor, name, type=f"lookup/{kind}addressrange", keys=declared)
    file = await stored_file(world, reader)
    await write(editor, lookup, [first, last], {"name": "here"})
    assert await item(reader, file, lookup, metadata_key) == {"keys": [first, last], "values": {"name": "here"}}


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (ADDRESS, ["10.0.1.0", "10.0.1.255"]),
        (f"{ADDRESS}:4450", ["10.0.1.0", "10.0.1.255"]),
        ("[2001:db8::7]:445", ["2001:db8::", "2001:db8::ff"]),
        ("10.9.9.9", None),
        ("nas.example.org", None),
        ("file:", None),
    ],
)
async def test_the_host_of_an_instrument_leads_to_its_place(world, editor, reader, name, host, expected):
    declared = [{"name": end, "type": "ip"} for end in ("first", "last")]
    lookup = await declare(editor, name, type="lookup/ipaddressrange", keys=declared)
    for ends in (["10.0.1.0", "10.0.1.255"], ["2001:db8::", "2001:db8::ff"]):
        await write(editor, lookup, ends)
    assert await keys_of_host(reader, await stored_file(world, reader, host), lookup) == expected


async def test_names_of_hosts_are_keys_too(world, editor, reader, name):
    lookup, file = await declare(editor, name), await stored_file(world, reader, "nas.example.org:445")
    await write(editor, lookup, ["nas.example.org"])
    assert await keys_of_host(reader, file, lookup) == ["nas.example.org"]


@pytest.mark.parametrize("metadata", [METADATA, None, [], "caffeine"])
@pytest.mark.parametrize("metadata_key", ["nothing", "no such key", "mac"])
async def test_null_where_nothing_is_led_to(world, editor, reader, name, metadata, metadata_key):
    """No value, none of the key's type."""
    lookup = await declare(editor, name, type="lookup", keys=[{"name": "k", "type": "ip"}])
    await write(editor, lookup, [ADDRESS])
    assert await item(reader, await stored_file(world, reader, metadata=metadata), lookup, metadata_key) is None


async def test_null_where_there_is_no_item(world, editor, reader, name):
    lookup = await declare(editor, name)
    assert await item(reader, await stored_file(world, reader), lookup, "sample") is None


async def test_places_come_in_the_form_that_is_asked_for(world, editor, reader, name):
    lookup, file = await declare(editor, name), await stored_file(world, reader)
    await write(editor, lookup, ["caffeine"], {"location": PLACE})
    fields = f'tenant: "{TENANT}", lookupId: "{lookup}", metadataKey: "sample"'
    answer = await reader.ask(
        f'{{ file(localId: "{file}") {{ packed: lookupItem({fields}) {{ values }} '
        f"dms: lookupItem({fields}, geopoint: DMS) {{ values }} }} }}"
    )
    assert answer == {
        "data": {
            "file": {
                "packed": {"values": {"location": PACKED}},
                "dms": {"values": {"location": "50°03'51.5091\"N, 14°26'38.1769\"E"}},
            }
        }
    }


# --- who may -----------------------------------------------------------------------------------------------------------


async def test_global_lookups_are_everybodys_who_reads_in_a_tenant(world, reader, name):
    everybodys = world.bearer({TENANT: [ACCESS, EDIT, GLOBAL_EDIT]})
    lookup, file = await declare(everybodys, name, **{"global": True}), await stored_file(world, reader)
    await write(everybodys, lookup, ["caffeine"])
    assert lookup == name
    assert await item(reader, file, lookup, "sample") == {"keys": ["caffeine"], "values": {}}


async def refusal(caller: Caller, file: UUID, lookup: str, tenant: str = TENANT) -> tuple[str, str]:
    """Code and message of the one error, for a file that is shown all the same."""
    answer = await caller.ask(ITEM, {"file": str(file), "tenant": tenant, "lookup": lookup, "key": "sample"})
    assert answer["data"] == {"file": {"lookupItem": None}}
    (error,) = answer["errors"]
    assert error["path"] == ["file", "lookupItem"]
    return error["extensions"]["code"], error["message"]


async def test_a_lookup_that_is_not_there_is_an_error(world, reader, name):
    file = await stored_file(world, reader)
    assert await refusal(reader, file, f"{name}.{TENANT}") == ("NOT_FOUND", "Lookup not found")


async def test_lookups_of_others_are_refused_whether_or_not_they_exist(world, reader, name):
    file = await stored_file(world, reader)
    assert await refusal(reader, file, f"{name}.other", "other") == ("FORBIDDEN", "Forbidden")
    assert await refusal(reader, file, f"{name}.other") == ("REFUSED", "TENANT-NO-ACCESS")


async def test_who_may_not_read_in_the_tenant_finds_nothing(world, editor, name):
    lookup = await declare(editor, name)
    writer, _ = await made(await member(world, [EDIT]), "INSTRUMENTS_READ", "LOOKUPS_WRITE")
    assert await refusal(writer, await stored_file(world, writer), lookup) == ("FORBIDDEN", "Forbidden")


async def test_it_takes_a_token_for_both_domains(world, editor, name):
    """To be a member is not enough: a sign-in is for one domain, and so may a token be."""
    lookup, person = await declare(editor, name), await member(world, [ACCESS])
    file = await stored_file(world, person)
    token, _ = await made(person, "INSTRUMENTS_READ")
    for caller in (person, token):
        assert await refusal(caller, file, lookup) == ("UNAUTHENTICATED", "Unauthorized")


async def test_files_of_others_lead_nowhere(world, editor, reader, name):
    lookup, file = await declare(editor, name), await stored_file(world, world.user)
    await write(editor, lookup, ["caffeine"])
    given = {"file": str(file), "tenant": TENANT, "lookup": lookup, "key": "sample"}
    assert await reader.ask(ITEM, given) == {"data": {"file": None}}
