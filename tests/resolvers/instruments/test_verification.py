"""Verified addresses: contract streamweave §2."""

from __future__ import annotations

from uuid import UUID

import pytest

from core.errors import InvalidInput, Refused
from core.secrets import Secret
from resolvers.context import Letter
from resolvers.instruments.accounts import AccountChanges, update_me
from resolvers.instruments.users import UserChanges, delete_user, update_user
from resolvers.instruments.verification import request_verification, verify_email
from storage.sql.tables import users

NOBODY = UUID(int=0)
BAD_TOKEN = r"^VERIFY_USER_BAD_TOKEN$"


@pytest.fixture
def asked(anonymous, letterbox):
    """The token that comes by mail."""

    async def ask(email: str) -> Secret:
        await request_verification(anonymous, email)
        (letter,) = await letterbox.letters()
        return Secret(letter.text.partition("?token=")[2].partition("\n")[0])

    return ask


async def test_the_letter(anonymous, person, letterbox):
    eve = await person("Eve@example.org")

    await request_verification(anonymous, "eve@EXAMPLE.org")

    text = f"""To confirm that Eve@example.org is your address, open this page within an hour:

https://switchyard.example.org/verify-email?token=verify|{eve.subject}|Eve@example.org

If you have no account there, there is nothing to do.
"""
    assert await letterbox.letters() == [Letter("Eve@example.org", "Switchyard: your address", text)]


async def test_an_address_is_verified(asked, anonymous, context, person, clock, row, audited, entry):
    eve = await person("eve@example.org")
    before = await row(users, eve.subject)
    token = await asked("eve@example.org")
    clock.advance(minutes=1)

    assert await verify_email(anonymous, token) == eve.subject

    assert await row(users, eve.subject) == {**before, "is_verified": True, "updated_at": clock.now}
    changes = {"is_verified": {"before": False, "after": True}}
    assert await audited() == [entry(context(eve), "update", "user", eve.subject, changes)]


async def test_once_is_enough(asked, anonymous, person):
    await person("eve@example.org")
    token = await asked("eve@example.org")
    await verify_email(anonymous, token)

    with pytest.raises(Refused, match=r"^VERIFY_USER_ALREADY_VERIFIED$"):
        await verify_email(anonymous, token)


async def test_a_token_is_for_one_address(asked, anonymous, context, person, row):
    eve = await person("eve@example.org")
    token = await asked("eve@example.org")
    await update_me(context(eve), AccountChanges(email="eva@example.org"))

    with pytest.raises(Refused, match=BAD_TOKEN):
        await verify_email(anonymous, token)

    assert (await row(users, eve.subject))["is_verified"] is False


async def test_deleted_and_inactive_people_verify_nothing(asked, anonymous, admin, person):
    eve, eva = await person("eve@example.org"), await person("eva@example.org")
    tokens = [await asked("eve@example.org"), await asked("eva@example.org")]
    await delete_user(admin, eve.subject)
    await update_user(admin, eva.subject, UserChanges(is_active=False))

    for token in tokens:
        with pytest.raises(Refused, match=BAD_TOKEN):
            await verify_email(anonymous, token)


@pytest.mark.parametrize("token", ["", "x", f"verify|{NOBODY}|eve@example.org", f"reset|{NOBODY}|1"])
async def test_other_tokens_do_not_count(anonymous, token):
    with pytest.raises(Refused, match=BAD_TOKEN):
        await verify_email(anonymous, Secret(token))


async def test_nobody_else_gets_a_letter(anonymous, person, letterbox, clock):
    await person("gone@example.org", deleted_at=clock.now)
    await person("off@example.org", is_active=False)
    await person("elsewhere@example.org", domains=("replication",))
    await person("verified@example.org", is_verified=True)

    for name in ("gone", "off", "elsewhere", "verified", "nobody"):
        await request_verification(anonymous, f"{name}@example.org")

    assert len(letterbox.asked) == 5, "what is done before the answer is the same for everybody"
    assert await letterbox.letters() == []


async def test_both_kinds_of_letters_count_together(anonymous, person, letterbox):
    await person("eve@example.org")

    for _ in range(4):
        await request_verification(anonymous, "eve@example.org")

    assert len(await letterbox.letters()) == 2


async def test_a_bad_address_is_invalid_input(anonymous):
    with pytest.raises(InvalidInput) as refused:
        await request_verification(anonymous, "eve")

    assert refused.value.field == "email"
