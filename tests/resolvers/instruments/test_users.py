"""People as admins manage them: contract streamweave §2, design §5."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from core.errors import Forbidden, InvalidInput, NotFound, Refused, Unauthenticated
from core.identity import INSTRUMENTS
from core.secrets import Secret
from core.vocabulary import AuditAction, Role
from resolvers.instruments.users import UserChanges, delete_user, erase_user, restore_user, update_user
from storage.sql.tables import (
    audit_log,
    events,
    file_access_grants,
    file_records,
    group_members,
    groups,
    instrument_requests,
    instruments,
    memberships,
    notifications,
    personal_tokens,
    project_members,
    projects,
    user_instrument_access,
    users,
)


async def change_nothing(ctx, key):
    return await update_user(ctx, key, UserChanges())


@pytest.fixture
def role_of(database):
    async def read(key) -> str:
        query = select(memberships.c.role).where(memberships.c.user_id == key, memberships.c.domain == INSTRUMENTS)
        return (await database.first(query))["role"]

    return read


@pytest.fixture
async def root(context, person):
    return context(await person("root@example.org", "admin", is_superuser=True))


def subject(ctx):
    return ctx.principals.of(INSTRUMENTS).subject


# --- changing ------------------------------------------------------------------------------------------------------------


async def test_every_field_changes(root, person, clock, row, role_of, audited, entry):
    key = (await person("eve@example.org")).subject
    before = await row(users, key)
    clock.advance(minutes=1)
    changes = UserChanges(
        email="Eva@example.org",
        password=Secret("battery staple"),
        role=Role.ADMIN,
        is_active=False,
        is_superuser=True,
        is_verified=True,
    )

    assert await update_user(root, key, changes) == key

    assert await row(users, key) == {
        **before,
        "email": "Eva@example.org",
        "email_folded": "eva@example.org",
        "password_hash": "new:battery staple",
        "credentials_version": 2,
        "is_active": False,
        "is_superuser": True,
        "is_verified": True,
        "updated_at": clock.now,
    }
    assert await role_of(key) == "admin"
    logged = {
        "email": {"before": "eve@example.org", "after": "Eva@example.org"},
        "password": {"before": "***", "after": "***"},
        "role": {"before": "user", "after": "admin"},
        "is_active": {"before": True, "after": False},
        "is_superuser": {"before": False, "after": True},
        "is_verified": {"before": False, "after": True},
    }
    assert await audited() == [entry(root, "update", "user", key, logged)]


async def test_only_what_is_given_changes(admin, person, clock, row, role_of):
    key = (await person("eve@example.org", is_verified=True)).subject
    before = await row(users, key)
    clock.advance(minutes=1)

    await update_user(admin, key, UserChanges(is_active=False))

    assert await row(users, key) == {**before, "is_active": False, "updated_at": clock.now}
    assert await role_of(key) == "user"


async def test_a_role_alone_is_a_change_of_the_person(admin, person, clock, row, role_of):
    key = (await person("eve@example.org")).subject
    before = await row(users, key)
    clock.advance(minutes=1)

    await update_user(admin, key, UserChanges(role=Role.ADMIN))

    assert await role_of(key) == "admin"
    assert await row(users, key) == {**before, "updated_at": clock.now}


async def test_what_stays_as_it_was_is_no_change(admin, person, clock, row):
    key = (await person("root@localhost", is_verified=True)).subject
    before = await row(users, key)
    clock.advance(minutes=1)

    await update_user(admin, key, UserChanges(email="root@localhost", role=Role.USER, is_active=True, is_superuser=False))

    assert await row(users, key) == before


async def test_nothing_leaves_no_trace(admin, person, row, audited):
    key = (await person("eve@example.org")).subject
    before = await row(users, key)

    await update_user(admin, key, UserChanges())

    assert (await row(users, key), await audited()) == (before, [])


async def test_a_new_address_is_unverified_unless_said_otherwise(admin, person, row):
    key = (await person("eve@example.org", is_verified=True)).subject

    await update_user(admin, key, UserChanges(email="eva@example.org"))
    assert (await row(users, key))["is_verified"] is False

    await update_user(admin, key, UserChanges(email="eve@example.org", is_verified=True))
    assert (await row(users, key))["is_verified"] is True


async def test_an_address_of_somebody_else_is_refused(admin, person):
    key = (await person("eve@example.org")).subject

    with pytest.raises(Refused, match=r"^UPDATE_USER_EMAIL_ALREADY_EXISTS$"):
        await update_user(admin, key, UserChanges(email="ADA@example.org"))


async def test_a_bad_address_and_a_short_password_are_refused(admin, person):
    key = (await person("eve@example.org")).subject

    with pytest.raises(InvalidInput) as refused:
        await update_user(admin, key, UserChanges(email="eve"))
    assert refused.value.field == "email"
    with pytest.raises(Refused, match=r"^UPDATE_USER_INVALID_PASSWORD$"):
        await update_user(admin, key, UserChanges(password=Secret("short")))


@pytest.mark.parametrize("field", ["email", "password", "role", "is_active", "is_superuser", "is_verified"])
async def test_nothing_can_be_null(admin, person, field):
    key = (await person("eve@example.org")).subject

    with pytest.raises(InvalidInput) as refused:
        await update_user(admin, key, UserChanges(**{field: None}))

    assert refused.value.field == field


async def test_who_is_not_there_cannot_be_changed(admin, person, clock):
    deleted = await person("eve@example.org", deleted_at=clock.now)
    stranger = await person("eva@example.org", domains=("replication",))

    for key in (uuid4(), deleted.subject, stranger.subject):
        with pytest.raises(NotFound, match=r"^User not found$"):
            await update_user(admin, key, UserChanges(is_active=False))


# --- superusers, and members of other domains ------------------------------------------------------------------------------


async def test_admins_do_not_change_or_remove_members_of_other_domains(admin, person, row):
    shared = (await person("eve@example.org", domains=(INSTRUMENTS, "replication"))).subject
    before = await row(users, shared)

    for call in (
        lambda: update_user(admin, shared, UserChanges(password=Secret("battery staple"))),
        lambda: erase_user(admin, shared),
    ):
        with pytest.raises(Forbidden, match=r"^Superuser access required: the user is a member of other domains$"):
            await call()

    assert await row(users, shared) == before


async def test_admins_do_not_change_or_remove_superusers(admin, root, row):
    key = subject(root)
    before = await row(users, key)

    for call in (
        lambda: update_user(admin, key, UserChanges(password=Secret("battery staple"))),
        lambda: delete_user(admin, key),
        lambda: erase_user(admin, key),
    ):
        with pytest.raises(Forbidden, match=r"^Superuser access required: the user is one$"):
            await call()

    assert await row(users, key) == before


async def test_admins_make_nobody_a_superuser_not_even_themselves(admin, person, row):
    for key in (subject(admin), (await person("eve@example.org")).subject):
        with pytest.raises(Forbidden, match=r"^Superuser access required: only they make superusers$"):
            await update_user(admin, key, UserChanges(is_superuser=True))
        assert (await row(users, key))["is_superuser"] is False


async def test_who_is_a_member_of_other_domains_changes_themselves(context, person, row):
    shared = await person("eve@example.org", "admin", domains=(INSTRUMENTS, "replication"))

    await update_user(context(shared), shared.subject, UserChanges(email="eva@example.org"))

    assert (await row(users, shared.subject))["email"] == "eva@example.org"


async def test_a_superuser_changes_and_erases_members_of_other_domains(root, person, database):
    shared = (await person("eve@example.org", domains=(INSTRUMENTS, "replication"))).subject

    await update_user(root, shared, UserChanges(email="eva@example.org"))
    await erase_user(root, shared)

    assert await database.all(select(memberships).where(memberships.c.user_id == shared)) == []


# --- the last admin --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [UserChanges(role=Role.USER), UserChanges(is_active=False)], ids=["role", "is_active"])
async def test_the_last_admin_stays(admin, person, clock, changes, role_of, row):
    await person("gone@example.org", "admin", deleted_at=clock.now)
    await person("off@example.org", "admin", is_active=False)
    await person("elsewhere@example.org", "admin", domains=("replication",))
    key = subject(admin)

    with pytest.raises(Refused, match=r"^Cannot remove the last admin$"):
        await update_user(admin, key, changes)

    assert (await role_of(key), (await row(users, key))["is_active"]) == ("admin", True)


async def test_one_of_two_admins_may_go(admin, person, role_of):
    await person("eve@example.org", "admin")

    await update_user(admin, subject(admin), UserChanges(role=Role.USER))

    assert await role_of(subject(admin)) == "user"


async def test_the_last_superuser_stays(root, admin, person, row):
    key = subject(root)

    for changes in (UserChanges(is_superuser=False), UserChanges(is_active=False)):
        with pytest.raises(Refused, match=r"^Cannot remove the last superuser$"):
            await update_user(root, key, changes)

    await update_user(root, subject(admin), UserChanges(is_superuser=True))
    await update_user(root, key, UserChanges(is_superuser=False))
    assert (await row(users, key))["is_superuser"] is False


async def test_of_two_admins_who_remove_each_other_one_stays(admin, context, person, database):
    other = context(await person("eve@example.org", "admin"))

    done = await asyncio.gather(delete_user(admin, subject(other)), erase_user(other, subject(admin)), return_exceptions=True)

    assert len([each for each in done if isinstance(each, Exception)]) == 1
    live = select(func.count().label("number")).where(users.c.deleted_at.is_(None))
    assert (await database.first(live))["number"] == 1


# --- erasing -----------------------------------------------------------------------------------------------------------------


async def test_everything_of_an_erased_person_goes(admin, person, clock, database, audited, entry, row):
    eve, bob = (await person("eve@example.org")).subject, (await person("bob2@example.org")).subject
    times = {"created_at": clock.now, "updated_at": clock.now}
    instrument, file, group, project = (uuid4() for _ in range(4))
    async with database.transaction() as tx:
        await tx.insert(
            instruments,
            id=instrument,
            name="NMR",
            cifs_host="h",
            cifs_share="s",
            transfer_adapter="rclone",
            enabled=True,
            **times,
        )
        await tx.insert(groups, id=group, name="g", **times)
        await tx.insert(projects, id=project, name="p", **times)
        await tx.insert(
            file_records,
            id=file,
            persistent_id="ark:/1/x",
            persistent_id_type="ark",
            instrument_id=instrument,
            source_path="a",
            filename="a",
            first_discovered_at=clock.now,
            owner_id=eve,
        )
        for key in (eve, bob):
            await tx.insert(
                file_access_grants, id=uuid4(), file_id=file, grantee_type="user", grantee_id=key, granted_at=clock.now
            )
            await tx.insert(
                project_members, id=uuid4(), project_id=project, member_type="user", member_id=key, created_at=clock.now
            )
            await tx.insert(group_members, user_id=key, group_id=group, created_at=clock.now)
            await tx.insert(user_instrument_access, user_id=key, instrument_id=instrument, created_at=clock.now)
            await tx.insert(
                personal_tokens,
                id=uuid4(),
                user_id=key,
                name="t",
                digest="d",
                scopes=[],
                credentials_version=1,
                created_at=clock.now,
                expires_at=clock.now + timedelta(days=1),
            )
            await tx.insert(
                instrument_requests,
                id=uuid4(),
                requester_id=key,
                name="n",
                location="l",
                harvest_frequency="h",
                justification="j",
                status="pending",
                **times,
            )
            await tx.insert(
                notifications,
                id=uuid4(),
                recipient_id=key,
                type="instrument_request_submitted",
                title="t",
                message="m",
                read=False,
                created_at=clock.now,
            )

    assert await erase_user(admin, eve) == eve

    people = {
        memberships: memberships.c.user_id,
        file_access_grants: file_access_grants.c.grantee_id,
        project_members: project_members.c.member_id,
        group_members: group_members.c.user_id,
        user_instrument_access: user_instrument_access.c.user_id,
        personal_tokens: personal_tokens.c.user_id,
        instrument_requests: instrument_requests.c.requester_id,
        notifications: notifications.c.recipient_id,
    }
    for table, column in people.items():
        assert {found["who"] for found in await database.all(select(column.label("who")))} - {subject(admin)} == {bob}, table
    assert {found["id"] for found in await database.all(select(users.c.id))} == {subject(admin), bob}
    assert (await row(file_records, file))["owner_id"] is None
    assert await audited() == [entry(admin, "delete", "user", eve)]


async def test_every_column_that_names_people_was_thought_of():
    """A new reference to `users` either cascades, or `erase_user` has to know it."""
    by_itself = {
        f"{column.table.name}.{column.name}"
        for table in users.metadata.sorted_tables
        for column in table.columns
        for key in column.foreign_keys
        if key.column.table is users and key.ondelete != "CASCADE"
    }
    assert by_itself == {"file_records.owner_id"}


async def test_a_deleted_person_can_be_erased(admin, person, clock, database):
    deleted = await person("eve@example.org", deleted_at=clock.now)

    await erase_user(admin, deleted.subject)

    assert await database.first(select(users).where(users.c.id == deleted.subject)) is None


async def test_erasing_leaves_what_the_person_did_in_the_log(admin, context, person, database):
    eve = await person("eve@example.org", "admin")
    await update_user(context(eve), eve.subject, UserChanges(is_verified=True))

    await erase_user(admin, eve.subject)

    logged = await database.all(select(audit_log.c.actor_email).order_by(audit_log.c.number))
    assert [found["actor_email"] for found in logged] == ["eve@example.org", "Ada@example.org"]


async def test_who_follows_a_group_or_project_is_told_that_an_erased_person_left(admin, person, clock, database):
    eve = (await person("eve@example.org")).subject
    group, project = uuid4(), uuid4()
    times = {"created_at": clock.now, "updated_at": clock.now}
    async with database.transaction() as tx:
        for table, key in ((groups, group), (groups, uuid4()), (projects, project)):
            await tx.insert(table, id=key, name=str(key), **times)
        await tx.insert(group_members, user_id=eve, group_id=group, created_at=clock.now)
        member = {"member_type": "user", "member_id": eve, "created_at": clock.now}
        await tx.insert(project_members, id=uuid4(), project_id=project, **member)

    await erase_user(admin, eve)

    told = await database.all(select(events.c.entity, events.c.entity_id, events.c.action).order_by(events.c.number))
    assert [tuple(each.values()) for each in told] == [
        ("groups", str(group), AuditAction.UPDATE),
        ("projects", str(project), AuditAction.UPDATE),
        ("users", str(eve), AuditAction.DELETE),
    ]


async def test_unknown_people_and_strangers_cannot_be_erased(admin, person):
    stranger = await person("eve@example.org", domains=("replication",))

    for key in (uuid4(), stranger.subject):
        with pytest.raises(NotFound, match=r"^User not found$"):
            await erase_user(admin, key)


async def test_nobody_erases_themselves(admin):
    with pytest.raises(Refused, match=r"^Cannot delete your own account$"):
        await erase_user(admin, subject(admin))


# --- deleting and restoring ----------------------------------------------------------------------------------------------------


async def test_delete_and_restore_a_user(admin, person, clock, row, audited, entry):
    key = (await person("eve@example.org")).subject
    before = await row(users, key)
    clock.advance(minutes=1)

    assert await delete_user(admin, key) == key
    ended = {"credentials_version": 2}
    assert await row(users, key) == {**before, **ended, "deleted_at": clock.now, "updated_at": clock.now}
    assert (await audited())[-1] == entry(admin, "delete", "user", key)

    clock.advance(minutes=1)
    assert await restore_user(admin, key) == key
    assert await row(users, key) == {**before, **ended, "updated_at": clock.now}
    assert (await audited())[-1] == entry(admin, "restore", "user", key)


async def test_nobody_deletes_their_own_account(admin):
    with pytest.raises(Refused, match=r"^Cannot delete your own account$"):
        await delete_user(admin, admin.principals.of(INSTRUMENTS).subject)


async def test_unknown_and_deleted_users_are_not_found(admin, person, clock):
    deleted = await person("eve@example.org", deleted_at=clock.now)

    for key in (uuid4(), deleted.subject):
        with pytest.raises(NotFound, match=r"^User not found$"):
            await delete_user(admin, key)


async def test_unknown_and_live_users_cannot_be_restored(admin, person):
    live = await person("eve@example.org")

    for key in (uuid4(), live.subject):
        with pytest.raises(NotFound, match=r"^Deleted user not found$"):
            await restore_user(admin, key)


async def test_members_of_other_domains_only_are_not_found(admin, person, clock):
    stranger = await person("eve@example.org", domains=("replication",))
    deleted = await person("eva@example.org", domains=("replication",), deleted_at=clock.now)

    with pytest.raises(NotFound, match=r"^User not found$"):
        await delete_user(admin, stranger.subject)
    with pytest.raises(NotFound, match=r"^Deleted user not found$"):
        await restore_user(admin, deleted.subject)


async def test_members_of_other_domains_too_are_beyond_this_domains_admins(admin, person, row, clock):
    shared = await person("eve@example.org", domains=(INSTRUMENTS, "replication"))
    deleted = await person("eva@example.org", domains=(INSTRUMENTS, "replication"), deleted_at=clock.now)

    with pytest.raises(Forbidden):
        await delete_user(admin, shared.subject)
    with pytest.raises(Forbidden):
        await restore_user(admin, deleted.subject)

    assert (await row(users, shared.subject))["deleted_at"] is None
    assert (await row(users, deleted.subject))["deleted_at"] is not None


async def test_a_superuser_removes_members_of_several_domains(context, person, row):
    root = context(await person("root@example.org", "admin", is_superuser=True))
    shared = await person("eve@example.org", domains=(INSTRUMENTS, "replication"))

    await delete_user(root, shared.subject)
    await restore_user(root, shared.subject)

    assert (await row(users, shared.subject))["deleted_at"] is None


CALLS = {"change": change_nothing, "delete": delete_user, "restore": restore_user, "erase": erase_user}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_all_of_it_is_for_admins_only(call, user, anonymous):
    with pytest.raises(Unauthenticated, match=r"^Unauthorized$"):
        await call(anonymous, uuid4())
    with pytest.raises(Forbidden, match=r"^Admin access required$"):
        await call(user, user.principals.of(INSTRUMENTS).subject)
