"""Every setting of the server: one frozen tree, read from the environment and `.env`.

A setting has our name and, where a service that Switchyard replaces documented one, that service's name, too; ours wins.
The README's table is made from this class.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Literal, NamedTuple

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from core.secrets import Keyring, Secret, derive_key

PUBLISHED = frozenset({"change-me", "changeme", "change_me", "secret"})
"""Keys that documentation and example files show: whoever reads them could sign tokens."""

_ORIGIN = re.compile(r"https?://[^/?#*@\s]+")


def _setting(default: Any, description: str, *names: str, **bounds: Any) -> Any:
    return Field(default=default, description=description, validation_alias=AliasChoices(*names), **bounds)


class Settings(BaseSettings):
    """What an operator decides. Times are in seconds, sizes in bytes."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        case_sensitive=True,
    )

    profile: Literal["development", "production"] = _setting(
        "development",
        "`production` hides suggestions in GraphQL errors.",
        "SWITCHYARD_PROFILE",
    )
    data_dir: Path = _setting(Path("data"), "Folder of the embedded stores and of the generated secret.", "SWITCHYARD_DATA_DIR")
    database_url: SecretStr | None = _setting(
        None,
        "Database of all relational data; by default a SQLite file in the data folder.",
        "SWITCHYARD_DATABASE_URL",
        "DATABASE_URL",
    )
    secret_key: SecretStr | None = _setting(
        None,
        "The one secret from which all keys are derived; generated once into the data folder when it is not set.",
        "SWITCHYARD_SECRET_KEY",
        "SECRET_KEY",
    )
    old_secret_keys: SecretStr = _setting(
        SecretStr(""),
        "Earlier values of the secret key, comma-separated: what they encrypted can still be read.",
        "SWITCHYARD_OLD_SECRET_KEYS",
    )
    encryption_key: SecretStr | None = _setting(
        None,
        "Key for stored credentials: url-safe base64 of exactly 32 bytes; by default derived from the secret key.",
        "SWITCHYARD_ENCRYPTION_KEY",
        "STREAMWEAVE_ENCRYPTION_KEY",
    )
    token_lifetime: int = _setting(
        3600,
        "How long a sign-in lasts.",
        "SWITCHYARD_TOKEN_LIFETIME",
        "JWT_LIFETIME_SECONDS",
        gt=0,
    )
    cookie_secure: bool = _setting(
        True, "Send the session cookie over HTTPS only.", "SWITCHYARD_COOKIE_SECURE", "COOKIE_SECURE"
    )
    admin_email: str | None = _setting(None, "Address of the first admin, who is created at start-up.", "ADMIN_EMAIL")
    admin_username: str | None = _setting(None, "User name of the first admin.", "ADMIN_USERNAME")
    admin_password: SecretStr | None = _setting(
        None,
        "Password of the first admin; without it a random one is printed once.",
        "ADMIN_PASSWORD",
    )
    allowed_roots: str = _setting(
        "",
        f"Folders that harvests may read and write, separated by `{os.pathsep}`; by default `files` in the data folder.",
        "SWITCHYARD_ALLOWED_ROOTS",
    )
    ark_naan: str = _setting("99999", "Name assigning authority of minted ARKs.", "ARK_NAAN", pattern=r"^[0-9a-z]+$")
    ark_shoulder: str = _setting("fk4", "Shoulder of minted ARKs.", "ARK_SHOULDER", pattern=r"^[0-9a-z]+$")
    list_shape: Literal["envelope", "array"] = _setting(
        "envelope",
        "Shape of REST lists that are asked for without paging parameters.",
        "SWITCHYARD_LIST_SHAPE",
        "LIST_SHAPE",
    )
    cors_origins: str = _setting("", "Origins, comma-separated, whose pages may call this server.", "SWITCHYARD_CORS_ORIGINS")
    trusted_proxies: str = _setting(
        "127.0.0.1",
        "Addresses, comma-separated, whose `X-Forwarded-*` headers are believed.",
        "SWITCHYARD_TRUSTED_PROXIES",
    )
    body_limit: int = _setting(16 * 2**20, "Largest JSON or form body of a request.", "SWITCHYARD_BODY_LIMIT", gt=0)
    document_characters: int = _setting(100_000, "Longest GraphQL document.", "SWITCHYARD_DOCUMENT_CHARACTERS", gt=0)
    document_tokens: int = _setting(10_000, "Most tokens of a GraphQL document.", "SWITCHYARD_DOCUMENT_TOKENS", gt=0)
    document_depth: int = _setting(15, "Deepest GraphQL document.", "SWITCHYARD_DOCUMENT_DEPTH", gt=0)
    document_aliases: int = _setting(60, "Most aliases of a GraphQL document.", "SWITCHYARD_DOCUMENT_ALIASES", gt=0)
    log_level: Literal["debug", "info", "warning", "error"] = _setting("info", "What is logged.", "SWITCHYARD_LOG_LEVEL")

    @field_validator("database_url")
    @classmethod
    def _readable(cls, value: SecretStr | None) -> SecretStr | None:
        try:
            if value is not None:
                make_url(value.get_secret_value())
        except ArgumentError as error:
            raise ValueError("this is no database URL: write it as sqlite+aiosqlite:///PATH") from error
        return value

    @field_validator("secret_key")
    @classmethod
    def _not_published(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and value.get_secret_value().strip().casefold() in PUBLISHED:
            raise ValueError("this is a published example: choose a random one")
        return value

    @field_validator("encryption_key")
    @classmethod
    def _exactly_32_bytes(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            _decode_key(value)
        return value

    @field_validator("cors_origins")
    @classmethod
    def _exact_origins(cls, value: str) -> str:
        """Their pages may call with cookies, so each is named in full; one with a path or `*` would silently match nothing."""
        for origin in _split(value):
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin} is no origin: write it as https://example.org or http://localhost:3000")
        return value

    @property
    def url(self) -> str:
        """The database's URL."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite+aiosqlite:///{self.data_dir.resolve() / 'switchyard.db'}"

    @property
    def roots(self) -> tuple[Path, ...]:
        """The folders that jobs may use."""
        given = [Path(each) for each in self.allowed_roots.split(os.pathsep) if each]
        return tuple(path.resolve() for path in given or [self.data_dir / "files"])

    @property
    def origins(self) -> list[str]:
        """The origins whose pages may call."""
        return _split(self.cors_origins)


def _split(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _decode_key(key: SecretStr) -> bytes:
    try:
        raw = base64.b64decode(key.get_secret_value(), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("the encryption key is no url-safe base64") from error
    if len(raw) != 32:
        raise ValueError("the encryption key is not exactly 32 bytes long")
    return raw


def master_secret(settings: Settings) -> Secret:
    """The secret key; without one, a random one that is kept in the data folder, readable by its owner alone."""
    if settings.secret_key is not None:
        return Secret(settings.secret_key.get_secret_value())
    file = settings.data_dir / "secret-key"
    if not file.exists():
        _generate_secret(file)
    text = file.read_text().strip()
    if len(text) < 32:
        raise ValueError(f"{file} holds no secret key; put it back, or what it encrypted cannot be read")
    return Secret(text)


def _generate_secret(file: Path) -> None:
    """Written aside and then linked into place: of several processes that start at once, one decides, and none reads half."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile("w", dir=file.parent) as aside:  # which nobody else may read
        aside.write(secrets.token_urlsafe(48))
        aside.flush()
        os.fsync(aside.fileno())
        with suppress(FileExistsError):
            os.link(aside.name, file)


def keyring(settings: Settings, master: Secret) -> Keyring:
    """The current key first, then those that may still have encrypted something."""
    old = [Secret(each) for each in _split(settings.old_secret_keys.get_secret_value())]
    derived = [derive_key(each, "encryption") for each in (master, *old)]
    own = [_decode_key(settings.encryption_key)] if settings.encryption_key is not None else []
    return Keyring([*own, *derived])


class Documented(NamedTuple):
    """One row of the README's table."""

    names: tuple[str, ...]
    default: str
    description: str


def documented() -> Iterator[Documented]:
    """Every setting, in the order of the class."""
    for field in Settings.model_fields.values():
        yield Documented(_names(field), _shown(field.default), field.description or "")


def _names(field: FieldInfo) -> tuple[str, ...]:
    assert isinstance(field.validation_alias, AliasChoices)
    return tuple(str(choice) for choice in field.validation_alias.choices)


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default}`" if str(default) and default is not None else ""


def settings_table() -> str:
    """The table in Markdown."""
    rows = [
        f"| {' or '.join(f'`{name}`' for name in each.names)} | {each.default} | {each.description} |" for each in documented()
    ]
    return "\n".join(["| Setting | Default | Meaning |", "|---|---|---|", *rows])
