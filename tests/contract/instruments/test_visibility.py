"""Who sees which files and transfers: contract §9, "Visibility". What one may not see is 404, and missing from lists."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import pytest

from tests.contract.instruments.records import (
    add_file,
    add_group,
    add_instrument,
    add_project,
    add_transfer,
    give_access,
    grant,
)
from tests.contract.support import START, Api, World, ids, refused, told

Way = Callable[[World, UUID, UUID, UUID], Awaitable[None]]
"""Opens a file on an instrument to a person."""


async def by_instrument_access(world: World, person: UUID, file: UUID, instrument: UUID) -> None:
    """(a)"""
    await give_access(world, person, instrument)


async def by_a_grant(world: World, person: UUID, file: UUID, instrument: UUID) -> None:
    """(c)"""
    await grant(world, file, "user", person)


async def by_a_grant_to_a_group(world: World, person: UUID, file: UUID, instrument: UUID) -> None:
    """(d)"""
    await grant(world, file, "group", await add_group(world, person))


async def by_a_grant_to_a_project(world: World, person: UUID, file: UUID, instrument: UUID) -> None:
    """(e), directly."""
    await grant(world, file, "project", await add_project(world, ("user", person)))


async def by_a_grant_to_a_project_of_a_group(world: World, person: UUID, file: UUID, instrument: UUID) -> None:
    """(e), through a group."""
    await grant(world, file, "project", await add_project(world, ("group", await add_group(world, person))))


WAYS: list[Way] = [
    by_instrument_access,
    by_a_grant,
    by_a_grant_to_a_group,
    by_a_grant_to_a_project,
    by_a_grant_to_a_project_of_a_group,
]


async def by_a_grant_to_a_deleted_group(world: World, person: UUID, file: UUID, instrument: UUID) -> None:
    await grant(world, file, "group", await add_group(world, person, deleted_at=START))


async def by_a_grant_to_a_deleted_project(world: World, person: UUID, file: UUID, instrument: UUID) -> None:
    await grant(world, file, "project", await add_project(world, ("user", person), deleted_at=START))


async def by_a_grant_to_a_project_of_a_deleted_group(world: World, person: UUID, file: UUID, instrument: UUID) -> None:
    group = await add_group(world, person, deleted_at=START)
    await grant(world, file, "project", await add_project(world, ("group", group)))


async def by_a_grant_of_another_kind(world: World, person: UUID, file: UUID, instrument: UUID) -> None:
    """Ids are compared within their kind only."""
    await grant(world, file, "group", person)
    await grant(world, file, "project", person)
    await grant(world, file, "user", await add_group(world, person))


async def by_a_project_of_another_kind_of_member(world: World, person: UUID, file: UUID, instrument: UUID) -> None:
    group = await add_group(world, person)
    await grant(world, file, "project", await add_project(world, ("group", person), ("user", group)))


DEAD_ENDS: list[Way] = [
    by_a_grant_to_a_deleted_group,
    by_a_grant_to_a_deleted_project,
    by_a_grant_to_a_project_of_a_deleted_group,
    by_a_grant_of_another_kind,
    by_a_project_of_another_kind_of_member,
]


async def seen_by(api: Api) -> tuple[list[str], list[str]]:
    """Files and transfers in the whole lists; slices and totals have to say the same."""
    found = []
    for path in ("/api/files", "/api/transfers"):
        rows = (await api.get(path)).json()
        sliced = await api.get(f"{path}?skip=0&limit=500")
        assert (sliced.json(), sliced.headers["x-total-count"]) == (rows, str(len(rows)))
        found.append(ids(rows))
    return found[0], found[1]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_each_way_alone_opens_one_file_with_its_transfers(world: World, user: Api, way: Way):
    instrument = await add_instrument(world)
    file = await add_file(world, instrument)
    transfer = await add_transfer(world, file)
    await add_transfer(world, await add_file(world))  # another file, on another instrument
    await way(world, user.id, file, instrument)

    assert await seen_by(user) == ([str(file)], [str(transfer)])
    assert (await user.get(f"/api/files/{file}")).json()["id"] == str(file)
    assert (await user.get(f"/api/transfers/{transfer}")).json()["id"] == str(transfer)


async def test_owners_see_their_files(world: World, user: Api):
    file = await add_file(world, owner_id=user.id)
    transfer = await add_transfer(world, file)
    await add_transfer(world, await add_file(world))

    assert await seen_by(user) == ([str(file)], [str(transfer)])
    assert (await user.get(f"/api/files/{file}")).status_code == 200
    assert (await user.get(f"/api/transfers/{transfer}")).status_code == 200


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_what_is_open_to_somebody_else_is_hidden(world: World, user: Api, way: Way):
    other = await world.person("eve@example.org")
    instrument = await add_instrument(world)
    file = await add_file(world, instrument)
    transfer = await add_transfer(world, file)
    await way(world, other.id, file, instrument)

    assert await seen_by(user) == ([], [])
    assert told(await user.get(f"/api/files/{file}")) == refused(404, "File not found")
    assert told(await user.get(f"/api/transfers/{transfer}")) == refused(404, "Transfer not found")


@pytest.mark.parametrize("way", DEAD_ENDS, ids=lambda way: way.__name__)
async def test_some_ways_lead_nowhere(world: World, user: Api, way: Way):
    instrument = await add_instrument(world)
    file = await add_file(world, instrument)
    await add_transfer(world, file)
    await way(world, user.id, file, instrument)

    assert await seen_by(user) == ([], [])
    assert told(await user.get(f"/api/files/{file}")) == refused(404, "File not found")


async def test_several_ways_to_one_file_show_it_once(world: World, user: Api):
    instrument = await add_instrument(world)
    file = await add_file(world, instrument, owner_id=user.id)
    transfer = await add_transfer(world, file)
    for way in WAYS:
        await way(world, user.id, file, instrument)

    assert await seen_by(user) == ([str(file)], [str(transfer)])


@pytest.mark.parametrize("seed", range(8))
async def test_totals_count_each_file_once_however_many_ways_lead_to_it(world: World, user: Api, seed: int):
    """Totals are counted from the side of what was given; `seen_by` compares them with the rows."""
    chance, person = random.Random(seed), user.id
    machines = [await add_instrument(world) for _ in range(3)]
    files = [await add_file(world, chance.choice(machines), owner_id=chance.choice([None, None, person])) for _ in range(12)]
    ours = [await add_group(world, person) for _ in range(chance.choice([0, 1, 2]))]
    teams = [await add_project(world, chance.choice([("user", person), *(("group", group) for group in ours)])) for _ in ours]
    grantees = [
        ("user", person),
        ("group", await add_group(world)),
        *(("group", group) for group in ours),
        *(("project", team) for team in teams),
    ]
    for kind, grantee in grantees if seed else grantees[2:]:
        for file in chance.sample(files, chance.choice([0, 3, 6])):
            await grant(world, file, kind, grantee)
    for machine in chance.sample(machines, chance.choice([0, 0, 1])):
        await give_access(world, person, machine)

    assert len((await seen_by(user))[0]) <= len(files)


async def test_admins_see_everything(world: World, admin: Api):
    file = await add_file(world)
    transfer = await add_transfer(world, file)

    assert await seen_by(admin) == ([str(file)], [str(transfer)])
    assert (await admin.get(f"/api/files/{file}")).status_code == 200
    assert (await admin.get(f"/api/transfers/{transfer}")).status_code == 200


async def test_filters_do_not_open_anything(world: World, user: Api):
    instrument = await add_instrument(world)
    file = await add_file(world, instrument)
    await add_transfer(world, file)

    for query in ("", "&limit=5"):
        assert told(await user.get(f"/api/files?instrument_id={instrument}{query}")) == (200, [])
        assert told(await user.get(f"/api/transfers?file_id={file}{query}")) == (200, [])
        assert told(await user.get(f"/api/transfers?status=completed{query}")) == (200, [])


async def test_pages_hold_only_what_is_visible(world: World, user: Api):
    open_, closed = await add_instrument(world), await add_instrument(world)
    await give_access(world, user.id, open_)
    visible = set()
    for _ in range(4):
        visible.add(str(await add_file(world, open_)))
        await add_file(world, closed)

    pages = [(await user.get(f"/api/files?skip={skip}&limit=2")).json() for skip in (0, 2, 4)]

    assert [len(page) for page in pages] == [2, 2, 0]
    assert {key for page in pages for key in ids(page)} == visible


async def test_a_hidden_file_answers_as_an_unknown_one(world: World, user: Api):
    hidden = await user.get(f"/api/files/{await add_file(world)}")
    unknown = await user.get(f"/api/files/{uuid4()}")

    assert told(hidden) == told(unknown)
