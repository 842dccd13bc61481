"""Groups, projects, members, grants and access to instruments: contract streamweave §3 [EXT], §9, §10."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from core.errors import Conflict, Forbidden, InvalidInput, NotFound
from core.vocabulary import GranteeType, MemberType
from resolvers.instruments.grants import NewGrant, grant_file_access, revoke_file_access
from resolvers.instruments.groupings import GroupingChanges, NewGrouping, create_grouping, update_grouping
from resolvers.instruments.instrument_access import InstrumentAccess, give_instrument_access, take_instrument_access
from resolvers.instruments.instruments import NewInstrument, create_instrument
from resolvers.instruments.members import (
    GroupMembership,
    ProjectMembership,
    add_group_member,
    add_project_member,
    remove_group_member,
    remove_project_member,
)
from resolvers.instruments.rows import GROUP, PROJECT, delete_row, restore_row
from storage.sql.tables import events, file_access_grants, file_records, group_members, groups, project_members

LAB = NewGrouping(name="Lab")


def who(ctx):
    return next(iter(ctx.principals)).subject


@pytest.fixture
async def file(admin, database):
    instrument = await create_instrument(admin, NewInstrument(name="NMR", cifs_host="nas", cifs_share="data"))
    key = uuid4()
    async with database.transaction() as tx:
        await tx.insert(
            file_records,
            id=key,
            persistent_id="ark:/1/2",
            persistent_id_type="ark",
            instrument_id=instrument,
            source_path="f",
            filename="f",
            first_discovered_at=datetime(2026, 11, 21, tzinfo=UTC),
        )
    return key


async def test_a_group_keeps_its_name_while_it_is_deleted(admin, row):
    key = await create_grouping(admin, GROUP, LAB)
    await delete_row(admin, GROUP, key)

    with pytest.raises(Conflict, match="A deleted group with this name already exists"):
        await create_grouping(admin, GROUP, LAB)
    assert await restore_row(admin, GROUP, key) == key
    assert (await row(groups, key))["deleted_at"] is None


async def test_of_two_who_take_a_name_at_once_one_gets_it(admin):
    made = await asyncio.gather(*(create_grouping(admin, GROUP, LAB) for _ in range(4)), return_exceptions=True)

    assert sorted(type(each).__name__ for each in made) == ["Conflict", "Conflict", "Conflict", "UUID"]


@pytest.mark.parametrize("kind", [GROUP, PROJECT], ids=lambda kind: kind.name)
async def test_each_change_is_told_to_who_follows_it(admin, user, database, kind):
    key = await create_grouping(admin, kind, LAB)
    await update_grouping(admin, kind, key, GroupingChanges(description="of chemistry"))
    await update_grouping(admin, kind, key, GroupingChanges(description="of chemistry"))
    if kind is GROUP:
        await add_group_member(admin, GroupMembership(group_id=key, user_id=who(user)))
        await remove_group_member(admin, GroupMembership(group_id=key, user_id=who(user)))
    else:
        membership = ProjectMembership(project_id=key, member_type=MemberType.USER, member_id=who(user))
        await add_project_member(admin, membership)
        await remove_project_member(admin, key, who(user))
    await delete_row(admin, kind, key)
    await restore_row(admin, kind, key)

    of_it = events.c.entity == kind.table.name, events.c.entity_id == str(key)
    told = await database.all(select(events.c.action).where(*of_it).order_by(events.c.number))
    assert [each["action"].value for each in told] == ["create", "update", "update", "update", "delete", "restore"]


async def test_a_name_that_stays_is_no_conflict(admin, audited):
    key = await create_grouping(admin, GROUP, LAB)

    assert await update_grouping(admin, GROUP, key, GroupingChanges(name="Lab")) == key
    assert (await audited())[-1]["changes"] == {"name": {"before": "Lab", "after": "Lab"}}


async def test_of_two_who_add_a_member_at_once_one_does(admin, user, database):
    group = await create_grouping(admin, GROUP, LAB)
    membership = GroupMembership(group_id=group, user_id=who(user))

    made = await asyncio.gather(*(add_group_member(admin, membership) for _ in range(3)), return_exceptions=True)

    assert sorted(map(str, made)) == ["User already in group", "User already in group", "bob@example.org"]
    assert (await database.first(select(func.count().label("n")).select_from(group_members)))["n"] == 1


async def test_people_of_other_domains_are_no_members(admin, person):
    stranger = await person("eve@example.org", domains=("replication",))
    group = await create_grouping(admin, GROUP, LAB)

    with pytest.raises(NotFound, match="User not found"):
        await add_group_member(admin, GroupMembership(group_id=group, user_id=stranger.subject))


async def test_a_deleted_group_is_no_member_and_has_none(admin, user):
    group, project = await create_grouping(admin, GROUP, LAB), await create_grouping(admin, PROJECT, NewGrouping(name="P"))
    await delete_row(admin, GROUP, group)

    with pytest.raises(NotFound, match="Group not found"):
        await add_project_member(admin, ProjectMembership(project_id=project, member_type=MemberType.GROUP, member_id=group))
    with pytest.raises(NotFound, match="Group not found"):
        await remove_group_member(admin, GroupMembership(group_id=group, user_id=who(user)))


async def test_a_member_leaves_a_project_whatever_it_is(admin, user, database):
    project, group = await create_grouping(admin, PROJECT, NewGrouping(name="P")), await create_grouping(admin, GROUP, LAB)
    for kind, member in ((MemberType.USER, who(user)), (MemberType.GROUP, group)):
        await add_project_member(admin, ProjectMembership(project_id=project, member_type=kind, member_id=member))

    for member in (who(user), group):
        await remove_project_member(admin, project, member)

    assert await database.all(select(project_members)) == []
    with pytest.raises(NotFound, match="Membership not found"):
        await remove_project_member(admin, project, group)


async def test_a_grant_to_a_deleted_project_is_refused_and_one_that_is_there_stays(admin, file):
    project = await create_grouping(admin, PROJECT, NewGrouping(name="P"))
    new = NewGrant(file_id=file, grantee_type=GranteeType.PROJECT, grantee_id=project)
    key = await grant_file_access(admin, new)
    await delete_row(admin, PROJECT, project)

    assert await grant_file_access(admin, new) == key
    await revoke_file_access(admin, file, key)
    with pytest.raises(InvalidInput, match="Project does not exist") as refusal:
        await grant_file_access(admin, new)
    assert refusal.value.field == "grantee_id"


async def test_of_several_who_grant_the_same_at_once_there_is_one_row(admin, user, file, database):
    new = NewGrant(file_id=file, grantee_type=GranteeType.USER, grantee_id=who(user))

    keys = await asyncio.gather(*(grant_file_access(admin, new) for _ in range(4)))

    (row,) = await database.all(select(file_access_grants))
    assert set(keys) == {row["id"]}


async def test_who_was_given_access_is_told_in_the_history_of_the_instrument(admin, user, audited, entry):
    instrument = await create_instrument(admin, NewInstrument(name="NMR", cifs_host="nas", cifs_share="data"))
    access = InstrumentAccess(instrument_id=instrument, user_id=who(user))

    assert await give_instrument_access(admin, access) == "bob@example.org"
    assert await take_instrument_access(admin, access) == "bob@example.org"

    given, taken = {"before": None, "after": str(who(user))}, {"before": str(who(user)), "after": None}
    assert (await audited())[1:] == [
        entry(admin, "update", "instrument", instrument, {"access": given}),
        entry(admin, "update", "instrument", instrument, {"access": taken}),
    ]


async def test_users_share_nothing(user, file):
    member = GroupMembership(group_id=uuid4(), user_id=who(user))
    grant = NewGrant(file_id=file, grantee_type=GranteeType.USER, grantee_id=who(user))
    access = InstrumentAccess(instrument_id=uuid4(), user_id=who(user))
    for attempt in (
        create_grouping(user, GROUP, LAB),
        create_grouping(user, PROJECT, NewGrouping(name="P")),
        add_group_member(user, member),
        remove_group_member(user, member),
        remove_project_member(user, uuid4(), who(user)),
        grant_file_access(user, grant),
        revoke_file_access(user, file, uuid4()),
        give_instrument_access(user, access),
        take_instrument_access(user, access),
    ):
        with pytest.raises(Forbidden):
            await attempt
