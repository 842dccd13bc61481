"""Secrets: never shown, sealed with the first key, read with every key, and refused when tampered with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.secrets import MASK, Keyring, Secret, UndecipherableSecretError, derive_key, names_secret, without_secrets

ONE, OTHER = b"1" * 32, b"2" * 32


def test_a_secret_never_shows_itself():
    secret = Secret("hunter2")
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret!r}", f"{[secret]}", format(secret), "%s" % secret):  # noqa: UP031
        assert "hunter2" not in shown
        assert "***" in shown
    assert secret.reveal() == "hunter2"
    assert not hasattr(secret, "__dict__")


def test_secrets_compare_by_what_they_hide():
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert (bool(Secret("")), bool(Secret("a"))) == (False, True)


@given(some.text(some.characters(exclude_categories=("Cs",))))
def test_sealing_and_unsealing(text):
    ring = Keyring([ONE])
    sealed = ring.seal(Secret(text))
    assert sealed.isascii()
    assert ring.unseal(sealed) == Secret(text)


def test_the_same_secret_is_sealed_differently_each_time():
    ring = Keyring([ONE])
    assert len({ring.seal(Secret("hunter2")) for _ in range(20)}) == 20


def test_the_first_key_seals_and_every_key_reads():
    sealed = Keyring([ONE]).seal(Secret("hunter2"))
    rotated = Keyring([OTHER, ONE])
    assert rotated.unseal(sealed) == Secret("hunter2")
    again = rotated.seal(Secret("hunter2"))
    assert Keyring([OTHER]).unseal(again) == Secret("hunter2")
    with pytest.raises(UndecipherableSecretError, match="no key with id"):
        Keyring([ONE]).unseal(again)


def test_every_changed_character_is_noticed():
    ring = Keyring([ONE])
    sealed = ring.seal(Secret("hunter2"))
    for place, letter in enumerate(sealed.rstrip("=")):
        changed = sealed[:place] + ("A" if letter != "A" else "B") + sealed[place + 1 :]
        try:
            assert ring.unseal(changed) == Secret("hunter2"), "the last letter of base64 has bits that mean nothing"
        except UndecipherableSecretError:
            continue
        assert place == len(sealed.rstrip("=")) - 1


@pytest.mark.parametrize("text", ["", ".", "x", "no.key", "Ä.Ä"])
def test_what_was_never_sealed(text):
    with pytest.raises(UndecipherableSecretError):
        Keyring([ONE]).unseal(text)


@given(some.text())
def test_no_text_breaks_unsealing(text):
    ring = Keyring([ONE])
    key_id = ring.seal(Secret("")).partition(".")[0]
    for tried in (text, f"{key_id}.{text}"):
        with pytest.raises(UndecipherableSecretError):
            ring.unseal(tried)


def test_a_sealed_secret_of_one_key_does_not_pass_for_anothers():
    """The key's id is authenticated with the text."""
    sealed = Keyring([ONE]).seal(Secret("hunter2"))
    other_id = Keyring([OTHER]).seal(Secret("")).partition(".")[0]
    with pytest.raises(UndecipherableSecretError):
        Keyring([ONE, OTHER]).unseal(f"{other_id}.{sealed.partition('.')[2]}")


@pytest.mark.parametrize("keys", [[], [b"short"], [ONE, b"3" * 31], [b"3" * 33]])
def test_keys_that_are_none(keys):
    with pytest.raises(ValueError, match="key"):
        Keyring(keys)


def test_derived_keys():
    keys = {derive_key(Secret(master), purpose) for master in ("a", "b") for purpose in ("encryption", "tokens")}
    assert len(keys) == 4
    assert {len(key) for key in keys} == {32}
    assert derive_key(Secret("a"), "tokens") == derive_key(Secret("a"), "tokens")


# --- what others sent ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["password", "newPassword", "PASSWORD", "passwd", "passphrase", "secret_access_key", "token", "apiKey", "private_key"],
)
def test_names_of_secrets(name):
    assert names_secret(name)


@pytest.mark.parametrize("name", ["email", "access_key_id", "key", "username", "pass_count", "", 0, None])
def test_other_names(name):
    assert not names_secret(name)


def test_secrets_in_json_are_masked_at_any_depth():
    sent = {"name": "a", "password": "x", "config": {"tokens": ["x"], "list": [{"secret": {"a": 1}}, 7, None]}}
    shown = {"name": "a", "password": MASK, "config": {"tokens": MASK, "list": [{"secret": MASK}, 7, None]}}
    assert without_secrets(sent) == shown
    assert sent["password"] == "x", "what was sent stays as it is"


def test_what_is_nested_without_end_is_masked():
    sent: object = "x"
    for _ in range(2000):
        sent = [sent]
    shown = without_secrets(sent)
    for _ in range(32):
        (shown,) = shown
    assert shown == MASK


def test_the_current_key_is_told_from_others():
    old, new = Keyring([b"o" * 32]), Keyring([b"n" * 32, b"o" * 32])
    assert new.seal(Secret("x")).startswith(new.current)
    assert not old.seal(Secret("x")).startswith(new.current)
