"""Secrets: a type that prints as `***`, and encryption at rest with named keys so that keys can be rotated."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Mapping, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class Secret:
    """A text that never shows itself: only `reveal()` returns it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself. Call it where it is used, never earlier."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __bool__(self) -> bool:
        return bool(self._text)


MASK = "**********"
"""What is shown instead of a secret that somebody sent."""

_SECRET_NAME = re.compile(r"passw|passphrase|secret|token|credential|(api|private)[_-]?key", re.IGNORECASE)
_DEEPEST = 32


def names_secret(name: object) -> bool:
    """Whether what has that name is better not shown: `password`, `secret_access_key`, `newPassword`."""
    return isinstance(name, str) and _SECRET_NAME.search(name) is not None


def without_secrets(value: object, depth: int = 0) -> object:
    """JSON in which members with such names are masked, at any depth; what is nested without end is masked as a whole."""
    if not isinstance(value, Mapping | list):
        return value
    if depth == _DEEPEST:
        return MASK
    if isinstance(value, list):
        return [without_secrets(each, depth + 1) for each in value]
    return {name: MASK if names_secret(name) else without_secrets(each, depth + 1) for name, each in value.items()}


class UndecipherableSecretError(Exception):
    """A stored secret was written with a key that this server no longer has, or was tampered with."""


class Keyring:
    """AES-256-GCM under the first key; every key decrypts. Sealed form: `key id . nonce+ciphertext`, URL-safe base64.

    The key id is the first 8 hex digits of the key's SHA-256, so a rotated key is recognised and never guessed.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise ValueError("a keyring needs at least one key")
        if any(len(key) != 32 for key in keys):
            raise ValueError("an encryption key is exactly 32 bytes")
        self._keys = {hashlib.sha256(key).hexdigest()[:8]: AESGCM(key) for key in keys}
        self._current = next(iter(self._keys))

    @property
    def current(self) -> str:
        """What everything begins with that is sealed from now on."""
        return f"{self._current}."

    def seal(self, secret: Secret) -> str:
        """Encrypt for storage."""
        nonce = os.urandom(12)
        sealed = self._keys[self._current].encrypt(nonce, secret.reveal().encode(), self._current.encode())
        return f"{self._current}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def unseal(self, text: str) -> Secret:
        """Decrypt what `seal` wrote; raises `UndecipherableSecretError`."""
        key_id, _, payload = text.partition(".")
        cipher = self._keys.get(key_id)
        if cipher is None:
            raise UndecipherableSecretError(f"no key with id {key_id!r}")
        try:
            raw = base64.urlsafe_b64decode(payload)
            return Secret(cipher.decrypt(raw[:12], raw[12:], key_id.encode()).decode())
        except (InvalidTag, ValueError) as error:
            raise UndecipherableSecretError("the stored secret is damaged") from error


def derive_key(master: Secret, purpose: str) -> bytes:
    """32 bytes for one purpose (`encryption`, `tokens`) from the server's one secret, by HKDF-SHA256."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"switchyard/{purpose}".encode()).derive(
        master.reveal().encode()
    )
