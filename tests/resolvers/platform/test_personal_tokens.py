"""Making and revoking personal tokens: what is stored, what is refused, what ends them."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update

from core.errors import Conflict, Forbidden, InvalidInput, NotFound, Unauthenticated
from core.identity import Principal, Principals
from core.personal_tokens import digest_of, read_token
from core.vocabulary import Access, TokenScope
from resolvers.platform.personal_tokens import MOST, NewPersonalToken, create_personal_token, revoke_personal_token
from storage.sql.tables import memberships, personal_tokens, users

READ, WRITE = TokenScope.INSTRUMENTS_READ, TokenScope.INSTRUMENTS_WRITE


@pytest.fixture
def new(clock):
    def of(**changes) -> NewPersonalToken:
        given = {"name": "nightly report", "expires_at": clock.now + timedelta(days=30), "scopes": [READ]}
        return NewPersonalToken(**(given | changes))

    return of


async def stored(database) -> list[UUID]:
    return [row["id"] for row in await database.all(select(personal_tokens.c.id))]


async def change(database, table, **columns) -> None:
    async with database.transaction() as transaction:
        await transaction.execute(update(table).values(columns))


def subject(ctx) -> UUID:
    return next(iter(ctx.principals)).subject


async def test_a_token_is_stored_as_a_digest_only(user, row, new, clock):
    created = await create_personal_token(user, new(scopes=[WRITE, READ, WRITE]))

    assert await row(personal_tokens, created.key) == {
        "id": created.key,
        "user_id": subject(user),
        "name": "nightly report",
        "digest": digest_of(created.token),
        "scopes": ["instruments:read", "instruments:write"],
        "credentials_version": 1,
        "created_at": clock.now,
        "expires_at": clock.now + timedelta(days=30),
        "last_used_at": None,
    }
    assert read_token(created.token.reveal()) == (created.key, digest_of(created.token))
    assert created.token.reveal() not in repr(created)


async def test_it_is_audited_when_it_is_made_and_when_it_is_revoked(user, audited, entry, new):
    created = await create_personal_token(user, new())
    assert await revoke_personal_token(user, created.key) == created.key

    expected = [entry(user, action, "personal_token", created.key) for action in ("create", "delete")]
    assert await audited() == [each | {"domain": "platform"} for each in expected]


@pytest.mark.parametrize(
    ("changes", "field", "detail"),
    [
        ({"name": ""}, "name", "a name is needed"),
        ({"name": " \t"}, "name", "a name is needed"),
        ({"name": "x" * 101}, "name", "at most 100 characters"),
        ({"name": "a\0b"}, "name", "NUL"),
        ({"name": "\ud800"}, "name", "unicode"),
        ({"scopes": []}, "scopes", "say what the token is for"),
    ],
)
async def test_what_is_not_right(user, database, new, changes, field, detail):
    with pytest.raises(InvalidInput, match=detail) as refusal:
        await create_personal_token(user, new(**changes))

    assert refusal.value.field == field
    assert await stored(database) == []


@pytest.mark.parametrize(("days", "detail"), [(-1, "over already"), (0, "over already"), (366.1, "a year at most")])
async def test_when_it_may_not_end(user, new, clock, days, detail):
    with pytest.raises(InvalidInput, match=detail) as refusal:
        await create_personal_token(user, new(expires_at=clock.now + timedelta(days=days)))
    assert refusal.value.field == "expires_at"


async def test_the_same_day_of_the_next_year(user, database, new, clock):
    clock.now = clock.now.replace(year=2027, month=3, day=1)  # before a leap day
    await create_personal_token(user, new(expires_at=clock.now.replace(year=2028)))
    assert len(await stored(database)) == 1


async def test_a_domain_that_one_is_no_member_of(user, database, new):
    await change(database, memberships, domain="replication")
    with pytest.raises(InvalidInput, match=r"^you are no member of instruments$") as refusal:
        await create_personal_token(user, new())
    assert refusal.value.field == "scopes"


@pytest.mark.parametrize("access", Access)
async def test_a_token_makes_and_revokes_none(user, context, database, new, access):
    created = await create_personal_token(user, new())
    (person,) = user.principals
    holder = Principal(person.domain, person.subject, "admin", person.email, "token", access)

    for attempt in (create_personal_token(context(holder), new()), revoke_personal_token(context(holder), created.key)):
        with pytest.raises(Forbidden, match="a token may not do that"):
            await attempt
    assert await stored(database) == [created.key]


async def test_nobody_makes_and_revokes_none(anonymous, new):
    for attempt in (create_personal_token(anonymous, new()), revoke_personal_token(anonymous, uuid4())):
        with pytest.raises(Unauthenticated):
            await attempt


async def test_two_people_at_once(user, admin, new):
    (other,) = admin.principals
    user.principals = Principals([*user.principals, Principal("replication", other.subject, "admin")])
    with pytest.raises(Forbidden, match="two people's"):
        await create_personal_token(user, new())


async def test_nobody_revokes_those_of_others(user, admin, database, new):
    created = await create_personal_token(user, new())

    for key in (created.key, uuid4()):
        with pytest.raises(NotFound, match=r"^Personal token not found$"):
            await revoke_personal_token(admin, key)
    assert await stored(database) == [created.key]


@pytest.mark.slow
async def test_there_is_a_most(user, admin, database, new):
    for _ in range(MOST):
        last = await create_personal_token(user, new())
    with pytest.raises(Conflict, match="nobody has more than 50 tokens: revoke one that is not needed"):
        await create_personal_token(user, new())
    assert len(await stored(database)) == MOST

    await create_personal_token(admin, new())
    await revoke_personal_token(user, last.key)
    await create_personal_token(user, new())
    assert len(await stored(database)) == MOST + 1


async def test_those_that_have_ended_make_room(user, admin, database, new, clock):
    for days in (1, 2):
        await create_personal_token(user, new(expires_at=clock.now + timedelta(days=days)))
    others = await create_personal_token(admin, new(expires_at=clock.now + timedelta(days=1)))
    clock.advance(days=1)

    await create_personal_token(user, new())
    assert len(await stored(database)) == 3
    assert others.key in await stored(database), "everybody's own"

    async with database.transaction() as transaction:
        await transaction.update(users, subject(user), credentials_version=2)
    fresh = await create_personal_token(user, new())
    assert set(await stored(database)) == {fresh.key, others.key}


@pytest.mark.parametrize("gone", ["is_active", "deleted_at"])
async def test_who_was_removed_meanwhile(user, database, new, clock, gone):
    await change(database, users, **{gone: False if gone == "is_active" else clock.now})
    with pytest.raises(Unauthenticated):
        await create_personal_token(user, new())
