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
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Literal, NamedTuple

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from core.secrets import Keyring, Secret, derive_key
from jobs.hooks.access import WebhookAccess

PUBLISHED = frozenset({"change-me", "changeme", "change_me", "secret"})
"""Keys that documentation and example files show: whoever reads them could sign tokens."""

_ORIGIN = re.compile(r"https?://[^/?#*@\s]+")
_SERVER = re.compile(r"https?://(?:[^/?#@\s]+@)?[^/?#@\s]+:[0-9]+(?:/[^?#\s]*)?")


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
        hide_input_in_errors=True,  # some are secrets
    )

    profile: Literal["development", "production"] = _setting(
        "development",
        "`production` keeps the schema to itself: no introspection, no explorer, no suggestions in errors, no plain GET at `/graphql`.",
        "SWITCHYARD_PROFILE",
    )
    data_dir: Path = _setting(Path("data"), "Folder of the embedded stores and of the generated secret.", "SWITCHYARD_DATA_DIR")
    database_url: SecretStr | None = _setting(
        None,
        "Database of all relational data, `postgresql+asyncpg://USER:PASSWORD@HOST/NAME`; by default a SQLite file in the data folder.",
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
        "Earlier values of the secret key, comma-separated: what they encrypted can still be read, tokens that they signed count.",
        "SWITCHYARD_OLD_SECRET_KEYS",
    )
    encryption_key: SecretStr | None = _setting(
        None,
        "Key for stored credentials: url-safe base64 of exactly 32 bytes; by default derived from the secret key.",
        "SWITCHYARD_ENCRYPTION_KEY",
        "STREAMWEAVE_ENCRYPTION_KEY",
    )
    old_encryption_keys: SecretStr = _setting(
        SecretStr(""),
        "Earlier values of the encryption key, comma-separated: what they encrypted can still be read.",
        "SWITCHYARD_OLD_ENCRYPTION_KEYS",
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
    public_url: str | None = _setting(
        None,
        "Where people find the web client, `https://switchyard.example.org`: links in mails begin with it.",
        "SWITCHYARD_PUBLIC_URL",
        pattern=r"^https?://[^\s?#@]+$",
    )
    smtp_enabled: bool = _setting(
        False,
        "Send mails: links to choose a new password, and to verify an address.",
        "SWITCHYARD_SMTP_ENABLED",
        "SMTP_ENABLED",
    )
    smtp_host: str | None = _setting(None, "The mail server.", "SWITCHYARD_SMTP_HOST", "SMTP_HOST")
    smtp_port: int = _setting(587, "Its port.", "SWITCHYARD_SMTP_PORT", "SMTP_PORT", gt=0, le=65535)
    smtp_username: str | None = _setting(
        None, "Name to sign in there with, if need be.", "SWITCHYARD_SMTP_USERNAME", "SMTP_USERNAME"
    )
    smtp_password: SecretStr | None = _setting(None, "Password for it.", "SWITCHYARD_SMTP_PASSWORD", "SMTP_PASSWORD")
    smtp_from: str | None = _setting(
        None,
        "Sender of mails, `Switchyard <switchyard@example.org>`.",
        "SWITCHYARD_SMTP_FROM",
        "SMTP_FROM",
        pattern=r"^[^\r\n]*[^\s@<>]+@[^\s@<>]+>?$",
    )
    smtp_tls: Literal["auto", "starttls", "implicit", "off"] = _setting(
        "auto",
        "How the connection is encrypted; `auto` is `implicit` for port 465, else `starttls`. `true` is `auto`, `false` is `off`.",
        "SWITCHYARD_SMTP_TLS",
        "SMTP_TLS",
    )
    mail_requests: int = _setting(
        3, "Most mails that are asked for one address of a person in an hour; 0 for no bound.", "SWITCHYARD_MAIL_REQUESTS", ge=0
    )
    mail_requests_per_address: int = _setting(
        20,
        "Most mails that one network address asks for in an hour; 0 for no bound.",
        "SWITCHYARD_MAIL_REQUESTS_PER_ADDRESS",
        ge=0,
    )
    allowed_roots: str = _setting(
        "",
        f"Folders that harvests may read and write, separated by `{os.pathsep}`; by default `files` in the data folder.",
        "SWITCHYARD_ALLOWED_ROOTS",
    )
    smb_timeout: float = _setting(60, "How long an SMB server may take to answer a request.", "SWITCHYARD_SMB_TIMEOUT", ge=1)
    s3_timeout: float = _setting(60, "How long an S3 server may take to answer a request.", "SWITCHYARD_S3_TIMEOUT", ge=1)
    webhook_timeout: float = _setting(
        5, "How long a webhook may take to answer for one file.", "SWITCHYARD_WEBHOOK_TIMEOUT", gt=0, le=300
    )
    webhook_networks: str = _setting(
        "",
        "Networks and addresses, comma-separated, that webhooks may call beside public ones: `10.1.2.0/24, 192.168.7.4`.",
        "SWITCHYARD_WEBHOOK_NETWORKS",
    )
    ark_naan: str = _setting("99999", "Name assigning authority of minted ARKs.", "ARK_NAAN", pattern=r"^[0-9a-z]+$")
    ark_shoulder: str = _setting("fk4", "Shoulder of minted ARKs.", "ARK_SHOULDER", pattern=r"^[0-9a-z]+$")
    run_timeout: int = _setting(
        24 * 3600, "How long a harvest may take before it is ended; 0 for no bound.", "SWITCHYARD_RUN_TIMEOUT", ge=0, le=10**9
    )
    run_retention: int = _setting(
        90,
        "Days after which finished runs and their logs are removed; 0 to keep them.",
        "SWITCHYARD_RUN_RETENTION",
        ge=0,
        le=36500,
    )
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
    login_attempts: int = _setting(
        10,
        "Most failed sign-ins for one address of a person within the window; 0 for no bound.",
        "SWITCHYARD_LOGIN_ATTEMPTS",
        ge=0,
    )
    login_attempts_per_address: int = _setting(
        50,
        "Most failed sign-ins from one network address within the window; 0 for no bound.",
        "SWITCHYARD_LOGIN_ATTEMPTS_PER_ADDRESS",
        ge=0,
    )
    login_window: int = _setting(900, "How long failed sign-ins count.", "SWITCHYARD_LOGIN_WINDOW", gt=0)
    rate: int = _setting(
        1200,
        "Most requests per minute of one person, and of each personal token; 0 for no bound.",
        "SWITCHYARD_RATE",
        ge=0,
    )
    rate_per_address: int = _setting(
        1200,
        "Most requests per minute without a valid credential from one network address; 0 for no bound.",
        "SWITCHYARD_RATE_PER_ADDRESS",
        ge=0,
    )
    password_queue: int = _setting(
        64, "Most passwords that wait for their check or hash at a time.", "SWITCHYARD_PASSWORD_QUEUE", gt=0
    )
    connections: int = _setting(800, "Most connections at a time.", "SWITCHYARD_CONNECTIONS", gt=0)
    connections_per_address: int = _setting(
        200,
        "Most connections at a time from one address that is no trusted proxy; 0 for no bound.",
        "SWITCHYARD_CONNECTIONS_PER_ADDRESS",
        ge=0,
    )
    backlog: int = _setting(2048, "Most connections that wait to be accepted.", "SWITCHYARD_BACKLOG", gt=0)
    requests: int = _setting(
        256,
        "Most requests under way at a time; `/health`, `/health/ready` and `/metrics` are always answered.",
        "SWITCHYARD_REQUESTS",
        gt=0,
    )
    head_limit: int = _setting(32 * 2**10, "Largest head of a request: all of its headers.", "SWITCHYARD_HEAD_LIMIT", gt=0)
    header_count: int = _setting(100, "Most headers of a request.", "SWITCHYARD_HEADER_COUNT", gt=0)
    target_limit: int = _setting(
        16 * 2**10, "Longest target of a request: path and query string.", "SWITCHYARD_TARGET_LIMIT", gt=0
    )
    head_timeout: float = _setting(15, "How long the head of a request may take.", "SWITCHYARD_HEAD_TIMEOUT", gt=0)
    idle_timeout: float = _setting(
        30, "How long a client may stop sending a body or taking a reply.", "SWITCHYARD_IDLE_TIMEOUT", gt=0
    )
    minimum_rate: int = _setting(
        256,
        "Fewest bytes per second, over the idle timeout, in which a body has to come and a reply be taken.",
        "SWITCHYARD_MINIMUM_RATE",
        ge=0,
    )
    keep_alive: int = _setting(5, "How long a connection stays open for the next request.", "SWITCHYARD_KEEP_ALIVE", gt=0)
    body_limit: int = _setting(16 * 2**20, "Largest JSON or form body of a request.", "SWITCHYARD_BODY_LIMIT", gt=0)
    upload_limit: int = _setting(
        512 * 2**20,
        "Largest upload: the files of one request together, which are kept in the data folder meanwhile.",
        "SWITCHYARD_UPLOAD_LIMIT",
        gt=0,
    )
    download_lifetime: int = _setting(
        300, "How long the link to a file's content is good.", "SWITCHYARD_DOWNLOAD_LIFETIME", gt=0, le=86400
    )
    downloads: int = _setting(32, "Most downloads at a time.", "SWITCHYARD_DOWNLOADS", gt=0)
    web_root: Path | None = _setting(
        None,
        "Folder with the pages of a web client, which are then served at `/` and every path that is nothing else.",
        "SWITCHYARD_WEB_ROOT",
    )
    uploads: int = _setting(16, "Most requests with files at a time.", "SWITCHYARD_UPLOADS", gt=0)
    form_fields: int = _setting(100, "Most fields of a form.", "SWITCHYARD_FORM_FIELDS", gt=0)
    response_limit: int = _setting(64 * 2**20, "Largest reply that is no stream of rows.", "SWITCHYARD_RESPONSE_LIMIT", gt=0)
    compression: bool = _setting(
        True, "Compress replies for clients that accept it; turn it off behind a proxy that does.", "SWITCHYARD_COMPRESSION"
    )
    document_characters: int = _setting(100_000, "Longest GraphQL document.", "SWITCHYARD_DOCUMENT_CHARACTERS", gt=0)
    document_tokens: int = _setting(10_000, "Most tokens of a GraphQL document.", "SWITCHYARD_DOCUMENT_TOKENS", gt=0)
    document_depth: int = _setting(15, "Deepest GraphQL document.", "SWITCHYARD_DOCUMENT_DEPTH", gt=0)
    document_aliases: int = _setting(60, "Most aliases of a GraphQL document.", "SWITCHYARD_DOCUMENT_ALIASES", gt=0)
    document_cache: int = _setting(
        1000, "How many GraphQL documents of clients are kept, parsed and planned.", "SWITCHYARD_DOCUMENT_CACHE", ge=10
    )
    introspection: Literal["auto", "on", "off"] = _setting(
        "auto",
        "Whether clients may read the schema, the explorer included; `auto` is `on` in development and `off` in production.",
        "SWITCHYARD_INTROSPECTION",
    )
    batch: int = _setting(
        0, "Most GraphQL operations that one request may send as a JSON array; 0 for none.", "SWITCHYARD_BATCH", ge=0, le=1000
    )
    documents: Literal["any", "trusted"] = _setting(
        "any", "Which GraphQL documents are executed: any, or only the trusted ones.", "SWITCHYARD_DOCUMENTS"
    )
    trusted_documents: Path | None = _setting(
        None,
        "Folder of `*.graphql` files, or JSON file of ids and documents, that clients may ask for by id.",
        "SWITCHYARD_TRUSTED_DOCUMENTS",
    )
    node_budget: int = _setting(
        50_000, "Most objects that an operation may ask for, all pages full.", "SWITCHYARD_NODE_BUDGET", gt=0
    )
    request_timeout: float = _setting(
        30, "How long an operation may take, or one batch of a stream of rows.", "SWITCHYARD_REQUEST_TIMEOUT", gt=0
    )
    drain: float = _setting(
        0,
        "How long the server still answers after SIGTERM, while `/health/ready` says 503.",
        "SWITCHYARD_DRAIN",
        ge=0,
        le=600,
    )
    metrics_token: SecretStr | None = _setting(
        None,
        "Bearer token for `/metrics`; without it only this machine may ask, and in production nobody.",
        "SWITCHYARD_METRICS_TOKEN",
        min_length=16,
    )
    traces: str | None = _setting(
        None,
        "Where traces are sent by OTLP over HTTP, `http://HOST:4318`; needs the extra `tracing`.",
        "SWITCHYARD_TRACES",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        pattern=r"^https?://\S+$",
    )
    sockets: int = _setting(2000, "Most WebSockets at a time.", "SWITCHYARD_SOCKETS", gt=0)
    socket_message: int = _setting(2**20, "Largest message that a WebSocket takes.", "SWITCHYARD_SOCKET_MESSAGE", gt=0)
    socket_operations: int = _setting(
        50, "Most operations under way at a time on one WebSocket.", "SWITCHYARD_SOCKET_OPERATIONS", gt=0
    )
    subscriptions: int = _setting(
        10_000, "Most operations under way at a time on all WebSockets and event streams.", "SWITCHYARD_SUBSCRIPTIONS", gt=0
    )
    event_retention: int = _setting(
        86_400, "How long a subscription of changes can be taken up again.", "SWITCHYARD_EVENT_RETENTION", gt=0, le=10**9
    )
    lookups_jwt_secret: SecretStr | None = _setting(
        None,
        "Secret with which tokens of the lookups domain are signed (HS256). Without it and without a JWKS nobody is let in there.",
        "SWITCHYARD_LOOKUPS_JWT_SECRET",
        min_length=32,
    )
    lookups_jwks: str | None = _setting(
        None,
        "File or URL of the public keys that sign tokens of the lookups domain (ES256, RS256), as a JWKS.",
        "SWITCHYARD_LOOKUPS_JWKS",
    )
    lookups_tenants: str = _setting(
        "",
        "Tenants of the lookups domain, comma-separated; by default every tenant that a token names.",
        "SWITCHYARD_LOOKUPS_TENANTS",
    )
    elasticsearch_url: SecretStr | None = _setting(
        None,
        "Elasticsearch for the items of lookups, `https://USER:PASSWORD@HOST:9200`, several comma-separated; by default they are in the database. Needs the extra `elasticsearch`.",
        "SWITCHYARD_ELASTICSEARCH_URL",
    )
    elasticsearch_prefix: str = _setting(
        "",
        "With what the names of its indexes begin: one for each installation that shares an Elasticsearch.",
        "SWITCHYARD_ELASTICSEARCH_PREFIX",
        pattern=r"^([a-z0-9][a-z0-9._-]{0,31})?$",
    )
    lookups_cell: int = _setting(
        131_072,
        "Longest cell of a CSV file that is uploaded to a lookup, in characters.",
        "SWITCHYARD_LOOKUPS_CELL",
        gt=0,
        le=131_072,
    )
    lookups_chunk: int = _setting(
        2_000, "Rows of an upload to a lookup that are written at a time.", "SWITCHYARD_LOOKUPS_CHUNK", gt=0, le=2_000
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting("info", "What is logged.", "SWITCHYARD_LOG_LEVEL")
    log_format: Literal["text", "json"] = _setting(
        "text", "Form of the log: lines of text, or of JSON objects.", "SWITCHYARD_LOG_FORMAT"
    )

    @field_validator("database_url")
    @classmethod
    def _readable(cls, value: SecretStr | None) -> SecretStr | None:
        try:
            if value is not None:
                make_url(value.get_secret_value())
        except ArgumentError as error:
            raise ValueError(
                "this is no database URL: write it as sqlite+aiosqlite:///PATH or postgresql+asyncpg://USER:PASSWORD@HOST/NAME"
            ) from error
        return value

    @field_validator("elasticsearch_url")
    @classmethod
    def _whole_urls(cls, value: SecretStr | None) -> SecretStr | None:
        for url in [] if value is None else _split(value.get_secret_value()):
            if not _SERVER.fullmatch(url):
                raise ValueError("write it as https://HOST:9200 or https://USER:PASSWORD@HOST:9200, with the port")
        return value

    @field_validator("secret_key")
    @classmethod
    def _not_published(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and value.get_secret_value().strip().casefold() in PUBLISHED:
            raise ValueError("this is a published example: choose a random one")
        return value

    @field_validator("smtp_tls", mode="before")
    @classmethod
    def _yes_or_no(cls, value: object) -> object:
        """As the service said it that this one replaces."""
        return {"true": "auto", "1": "auto", "false": "off", "0": "off"}.get(str(value).strip().lower(), value)

    @field_validator("old_encryption_keys")
    @classmethod
    def _each_exactly_32_bytes(cls, value: SecretStr) -> SecretStr:
        for key in _split(value.get_secret_value()):
            _decode_key(key)
        return value

    @field_validator("encryption_key")
    @classmethod
    def _exactly_32_bytes(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            _decode_key(value.get_secret_value())
        return value

    @field_validator("cors_origins")
    @classmethod
    def _exact_origins(cls, value: str) -> str:
        """Their pages may call with cookies, so each is named in full; one with a path or `*` would silently match nothing."""
        for origin in _split(value):
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin} is no origin: write it as https://example.org or http://localhost:3000")
        return value

    @field_validator("webhook_networks")
    @classmethod
    def _networks(cls, value: str) -> str:
        for network in _split(value):
            try:
                ip_network(network)
            except ValueError as error:
                raise ValueError(f"{network} is no network: write it as 10.1.2.0/24 or fd00::/8") from error
        return value

    @property
    def url(self) -> str:
        """The database's URL."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite+aiosqlite:///{self.data_dir.resolve() / 'switchyard.db'}"

    @property
    def shows_schema(self) -> bool:
        """Whether clients may read the schema."""
        return self.introspection == "on" or (self.introspection == "auto" and self.profile == "development")

    @property
    def longest_run(self) -> timedelta | None:
        """How long a run may take."""
        return timedelta(seconds=self.run_timeout) or None

    @property
    def kept_runs(self) -> timedelta | None:
        """How long finished runs are kept."""
        return timedelta(days=self.run_retention) or None

    @property
    def kept_events(self) -> timedelta:
        """How long the feed of changes is kept."""
        return timedelta(seconds=self.event_retention)

    @property
    def webhooks(self) -> WebhookAccess:
        """Which webhooks may be called, and for how long."""
        networks = [ip_network(network) for network in _split(self.webhook_networks)]
        return WebhookAccess(networks=networks, timeout=self.webhook_timeout)

    @property
    def roots(self) -> tuple[Path, ...]:
        """The folders that jobs may use."""
        given = [Path(each) for each in self.allowed_roots.split(os.pathsep) if each]
        return tuple(path.resolve() for path in given or [self.data_dir / "files"])

    @property
    def tenants(self) -> frozenset[str] | None:
        """The tenants that there are; None if nobody has listed them."""
        return frozenset(_split(self.lookups_tenants)) or None

    @property
    def origins(self) -> list[str]:
        """The origins whose pages may call."""
        return _split(self.cors_origins)


def _split(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _decode_key(key: str) -> bytes:
    try:
        raw = base64.b64decode(key, altchars=b"-_", validate=True)
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


def derived_keys(settings: Settings, master: Secret, purpose: str) -> list[bytes]:
    """The key for a purpose, then those that earlier secrets gave."""
    old = [Secret(each) for each in _split(settings.old_secret_keys.get_secret_value())]
    return [derive_key(each, purpose) for each in (master, *old)]


def lookups_secret(settings: Settings, master: Secret) -> str | None:
    """With which tokens of that domain are signed. Raises `ValueError` if it is another scheme's, too."""
    if settings.lookups_jwt_secret is None:
        return None
    secret = settings.lookups_jwt_secret.get_secret_value()
    old = _split(settings.old_secret_keys.get_secret_value())
    if secret.strip() in {each.strip() for each in (master.reveal(), *old)}:
        raise ValueError(
            "SWITCHYARD_LOOKUPS_JWT_SECRET is the secret key: whoever knows it could sign in as anybody; choose another"
        )
    return secret


def keyring(settings: Settings, master: Secret) -> Keyring:
    """The current key first, then those that may still have encrypted something."""
    current = [settings.encryption_key.get_secret_value()] if settings.encryption_key is not None else []
    own = [_decode_key(each) for each in current]
    old = [_decode_key(each) for each in _split(settings.old_encryption_keys.get_secret_value())]
    return Keyring([*own, *derived_keys(settings, master, "encryption"), *old])


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


def secret_names() -> list[str]:
    """The settings that nobody else may read."""
    secret = [field for field in Settings.model_fields.values() if "SecretStr" in str(field.annotation)]
    return [name for field in secret for name in _names(field)]


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
