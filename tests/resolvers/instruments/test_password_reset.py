"""New passwords by mail: contract streamweave §2."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from core.errors import InvalidInput, RateLimited, Refused
from core.identity import INSTRUMENTS
from core.secrets import Secret
from resolvers.attempts import count_attempt
from resolvers.context import Letter
from resolvers.instruments.accounts import AccountChanges, update_me
from resolvers.instruments.password_reset import request_password_reset, reset_password
from resolvers.instruments.users import UserChanges, delete_user, update_user
from storage.sql.tables import users

NEW = Secret("battery staple")
NOBODY = UUID(int=0)
BAD_TOKEN = r"^RESET_PASSWORD_BAD_TOKEN$"


@pytest.fixture
def asked(anonymous, letterbox):
    """The token that comes by mail."""

    async def ask(email: str) -> Secret:
        await request_password_reset(anonymous, email)
        (letter,) = await letterbox.letters()
        return Secret(letter.text.partition("?token=")[2].partition("\n")[0])

    return ask


async def test_the_letter(anonymous, person, letterbox):
    eve = await person("Eve@example.org")

    await request_password_reset(anonymous, "eve@EXAMPLE.org")

    text = f"""Somebody asked for a new password for Eve@example.org. To choose one, open this page within an hour:

https://switchyard.example.org/reset-password?token=reset|{eve.subject}|1

If that was not you, there is nothing to do: the password stays what it is.
"""
    assert await letterbox.letters() == [Letter("Eve@example.org", "Switchyard: a new password", text)]


def test_a_letter_does_not_show_its_text():
    assert "secret" not in repr(Letter("eve@example.org", "Hello", "secret"))


async def test_a_new_password(asked, anonymous, person, clock, row, audited, entry, context):
    eve = await person("eve@example.org")
    before = await row(users, eve.subject)
    token = await asked("eve@example.org")
    clock.advance(minutes=1)

    assert await reset_password(anonymous, token, NEW) == eve.subject

    changed = {"password_hash": "new:battery staple", "credentials_version": 2, "updated_at": clock.now}
    assert await row(users, eve.subject) == {**before, **changed}
    assert await audited() == [
        entry(context(eve), "update", "user", eve.subject, {"password": {"before": "***", "after": "***"}})
    ]


async def test_a_token_counts_once(asked, anonymous, person, row):
    eve = await person("eve@example.org")
    token = await asked("eve@example.org")
    await reset_password(anonymous, token, NEW)

    with pytest.raises(Refused, match=BAD_TOKEN):
        await reset_password(anonymous, token, Secret("another one"))

    assert (await row(users, eve.subject))["password_hash"] == "new:battery staple"


async def test_of_two_at_once_one_counts(asked, anonymous, person):
    await person("eve@example.org")
    token = await asked("eve@example.org")

    done = await asyncio.gather(*(reset_password(anonymous, token, NEW) for _ in range(4)), return_exceptions=True)

    assert sorted(type(each).__name__ for each in done) == ["Refused", "Refused", "Refused", "UUID"]


async def test_a_changed_password_ends_the_token(asked, anonymous, context, person):
    eve = await person("eve@example.org")
    token = await asked("eve@example.org")
    await update_me(context(eve), AccountChanges(password=Secret("chosen in time")))

    with pytest.raises(Refused, match=BAD_TOKEN):
        await reset_password(anonymous, token, NEW)


async def test_deleted_and_inactive_people_choose_no_password(asked, anonymous, admin, person):
    eve, eva = await person("eve@example.org"), await person("eva@example.org")
    tokens = [await asked("eve@example.org"), await asked("eva@example.org")]
    await delete_user(admin, eve.subject)
    await update_user(admin, eva.subject, UserChanges(is_active=False))

    for token in tokens:
        with pytest.raises(Refused, match=BAD_TOKEN):
            await reset_password(anonymous, token, NEW)


@pytest.mark.parametrize("token", ["", "x", f"reset|{NOBODY}|1", f"verify|{NOBODY}|eve@example.org"])
async def test_other_tokens_do_not_count(anonymous, token):
    with pytest.raises(Refused, match=BAD_TOKEN):
        await reset_password(anonymous, Secret(token), NEW)


async def test_a_short_password_leaves_the_token_good(asked, anonymous, person):
    await person("eve@example.org")
    token = await asked("eve@example.org")

    with pytest.raises(Refused, match=r"^RESET_PASSWORD_INVALID_PASSWORD$") as refused:
        await reset_password(anonymous, token, Secret("short"))
    assert refused.value.explanation == "Password should be at least 8 characters"

    await reset_password(anonymous, token, NEW)


async def test_a_password_that_is_no_text_is_invalid_input(anonymous):
    with pytest.raises(InvalidInput) as refused:
        await reset_password(anonymous, Secret("x"), Secret("battery\0staple"))

    assert (refused.value.field, isinstance(refused.value, Refused)) == ("password", False)


async def test_who_mistyped_the_old_password_too_often_gets_in_with_the_new_one(asked, anonymous, person):
    await person("eve@example.org")
    token = await asked("eve@example.org")
    for _ in range(3):
        await count_attempt(anonymous, "eve@example.org")
    with pytest.raises(RateLimited):
        await count_attempt(anonymous, "eve@example.org")

    await reset_password(anonymous, token, NEW)

    await count_attempt(anonymous, "eve@example.org")


# --- who gets a letter -----------------------------------------------------------------------------------------------------


async def test_nobody_else_gets_one(anonymous, person, letterbox, clock):
    await person("gone@example.org", deleted_at=clock.now)
    await person("off@example.org", is_active=False)
    await person("elsewhere@example.org", domains=("replication",))

    for name in ("gone", "off", "elsewhere", "nobody"):
        await request_password_reset(anonymous, f"{name}@example.org")

    assert len(letterbox.asked) == 4, "what is done before the answer is the same for everybody"
    assert await letterbox.letters() == []


async def test_who_there_is_is_asked_after_the_answer_only(anonymous, person, letterbox, database, monkeypatch):
    """The same statements for every address."""
    await person("eve@example.org")
    asked = []
    original = type(database).first

    async def first(self, statement):
        asked.append(str(statement))
        return await original(self, statement)

    monkeypatch.setattr(type(database), "first", first)

    await request_password_reset(anonymous, "eve@example.org")

    assert asked == []
    assert len(await letterbox.letters()) == 1
    assert len(asked) == 1


async def test_a_mailbox_is_not_flooded(context, person, letterbox):
    await person("eve@example.org")

    for number in range(5):
        await request_password_reset(context(address=f"192.0.2.{number}"), "EVE@example.org")

    assert len(await letterbox.letters()) == 2


async def test_nor_are_many_from_one_place(context, person, letterbox):
    for number in range(6):
        await person(f"{number}@example.org")
        await request_password_reset(context(address="192.0.2.1"), f"{number}@example.org")

    assert len(await letterbox.letters()) == 4


async def test_after_an_hour_there_is_room_again(anonymous, person, letterbox, clock):
    await person("eve@example.org")
    for _ in range(3):
        await request_password_reset(anonymous, "eve@example.org")

    clock.advance(hours=1)
    await request_password_reset(anonymous, "eve@example.org")

    assert len(await letterbox.letters()) == 3


async def test_letters_and_sign_ins_are_counted_apart(anonymous, person, letterbox):
    await person("eve@example.org")
    for _ in range(3):
        await count_attempt(anonymous, "eve@example.org")

    await request_password_reset(anonymous, "eve@example.org")

    assert len(await letterbox.letters()) == 1


async def test_without_a_mail_server_nothing_happens(anonymous, person, letterbox):
    letterbox.enabled = False
    await person("eve@example.org")

    await request_password_reset(anonymous, "eve@example.org")

    assert letterbox.asked == []


@pytest.mark.parametrize("email", ["", "eve", "eve@", "eve@example.org\n", "e\0ve@example.org"])
async def test_a_bad_address_is_invalid_input(anonymous, letterbox, email):
    for letterbox.enabled in (True, False):
        with pytest.raises(InvalidInput) as refused:
            await request_password_reset(anonymous, email)
        assert refused.value.field == "email"


async def test_the_person_is_the_one_who_did_it(asked, anonymous, person, audited):
    eve = await person("eve@example.org")

    await reset_password(anonymous, await asked("eve@example.org"), NEW)

    ((actor, email),) = [(each["actor_id"], each["actor_email"]) for each in await audited()]
    assert (actor, email) == (eve.subject, "eve@example.org")
    assert anonymous.principals.of(INSTRUMENTS) is None
