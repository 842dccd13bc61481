"""Settings: where they come from, which one wins, what is refused, and what is never shown."""

from __future__ import annotations

import base64
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import Settings, documented, keyring, master_secret, settings_table
from core.secrets import Secret, UndecipherableSecretError

pytestmark = pytest.mark.usefixtures("environment")

KEY = base64.urlsafe_b64encode(b"k" * 32).decode()


def refused(**settings: str) -> str:
    with pytest.raises(ValidationError) as refusal:
        Settings(**settings)
    return str(refusal.value)


def test_what_is_refused_is_not_repeated():
    """It may be a secret, and whoever starts the program logs what is raised."""
    told = refused(SWITCHYARD_ELASTICSEARCH_URL="http://ada:horse-battery@nowhere")
    assert "write it as https://HOST:9200" in told
    assert "horse-battery" not in told


# --- names -------------------------------------------------------------------------------------------------------------


def test_defaults_start_on_an_empty_folder(tmp_path):
    settings = Settings()
    assert settings.url == f"sqlite+aiosqlite:///{tmp_path / 'data' / 'switchyard.db'}"
    assert settings.roots == (tmp_path / "data" / "files",)
    assert (settings.origins, settings.profile, settings.list_shape) == ([], "development", "envelope")


def test_every_setting_is_read_from_each_of_its_names(monkeypatch):
    values = {
        "profile": "production",
        "list_shape": "array",
        "documents": "trusted",
        "introspection": "off",
        "log_level": "warning",
        "log_format": "json",
        "metrics_token": "0123456789abcdef",
        "lookups_jwt_secret": "0123456789abcdef0123456789abcdef",
        "traces": "http://127.0.0.1:4318",
        "encryption_key": KEY,
        "database_url": "sqlite+aiosqlite:///x.db",
        "elasticsearch_url": "http://127.0.0.1:9200",
        "cookie_secure": "false",
        "old_encryption_keys": f"{KEY},{KEY}",
        "public_url": "https://example.org",
        "smtp_enabled": "false",
        "smtp_from": "sw@example.org",
        "smtp_tls": "off",
        "compression": "false",
        "cors_origins": "https://example.org",
        "webhook_networks": "10.0.0.0/8",
        "web_root": "pages",
    }
    for field, setting in zip(Settings.model_fields, documented(), strict=True):
        for name in setting.names:
            with monkeypatch.context() as patch:
                patch.setenv(name, values.get(field, "77"))
                assert Settings().model_fields_set == {field}, name


@pytest.mark.parametrize("name", ["BCRYPT_ROUNDS", "PREFECT_API_URL", "RCLONE_BINARY", "DEFAULT_IDENTIFIER_TYPE"])
def test_what_means_nothing_here_is_no_mistake(tmp_path, monkeypatch, name):
    """Contract streamweave §13: an environment of the original service does as it is."""
    monkeypatch.setenv(name, "77")
    assert Settings().model_fields_set == set()
    monkeypatch.delenv(name)
    (tmp_path / ".env").write_text(f"{name}=77\n")
    assert Settings().model_fields_set == set()


@pytest.mark.parametrize(
    ("ours", "theirs", "field"),
    [
        ("SWITCHYARD_TOKEN_LIFETIME", "JWT_LIFETIME_SECONDS", "token_lifetime"),
        ("SWITCHYARD_LIST_SHAPE", "LIST_SHAPE", "list_shape"),
        ("SWITCHYARD_COOKIE_SECURE", "COOKIE_SECURE", "cookie_secure"),
    ],
)
def test_ours_wins(environment, ours, theirs, field):
    one, other = {"token_lifetime": (1, 2), "list_shape": ("array", "envelope"), "cookie_secure": (False, True)}[field]
    environment.setenv(ours, str(one))
    environment.setenv(theirs, str(other))
    assert getattr(Settings(), field) == one
    environment.setenv(ours, "")
    assert getattr(Settings(), field) == other


def test_the_environment_goes_before_the_file_whatever_the_name(environment):
    Path(".env").write_text("SWITCHYARD_TOKEN_LIFETIME=1\n")
    environment.setenv("JWT_LIFETIME_SECONDS", "2")
    assert Settings().token_lifetime == 2


def test_the_file_is_read_and_the_environment_goes_before_it(environment):
    Path(".env").write_text('# comment\nARK_NAAN="12148"\nARK_SHOULDER=x9\nUNKNOWN=1\nADMIN_USERNAME=ädmin\n', "utf-8")
    environment.setenv("ARK_SHOULDER", "y8")
    settings = Settings()
    assert (settings.ark_naan, settings.ark_shoulder, settings.admin_username) == ("12148", "y8", "ädmin")


def test_an_empty_setting_is_none(environment):
    for setting in documented():
        for name in setting.names:
            environment.setenv(name, "")
    assert Settings() == Settings.model_construct()
    Path(".env").write_text("".join(f"{name}=\n" for setting in documented() for name in setting.names))
    assert Settings() == Settings.model_construct()


def test_names_are_case_sensitive(environment):
    environment.setenv("ark_naan", "12148")
    assert Settings().ark_naan == "99999"


def test_settings_do_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        Settings().profile = "production"


def test_lists(environment, tmp_path):
    environment.setenv("SWITCHYARD_ALLOWED_ROOTS", f"{tmp_path / 'a'}:b::{tmp_path / 'c'}/../d")
    environment.setenv("SWITCHYARD_CORS_ORIGINS", " https://a.example.org , http://localhost:3000 ,")
    environment.setenv("SWITCHYARD_WEBHOOK_NETWORKS", "10.0.0.0/8, ::1 ,")
    settings = Settings()
    assert settings.roots == (tmp_path / "a", tmp_path / "b", tmp_path / "d")
    assert settings.origins == ["https://a.example.org", "http://localhost:3000"]
    assert [str(network) for network in settings.webhooks.networks] == ["10.0.0.0/8", "::1/128"]


# --- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {"SWITCHYARD_PROFILE": "test"},
        {"SWITCHYARD_TOKEN_LIFETIME": "0"},
        {"SWITCHYARD_TOKEN_LIFETIME": "soon"},
        {"SWITCHYARD_COOKIE_SECURE": "perhaps"},
        {"SWITCHYARD_BODY_LIMIT": "-1"},
        {"SWITCHYARD_RUN_TIMEOUT": "-1"},
        {"SWITCHYARD_RUN_RETENTION": "36501"},
        {"SWITCHYARD_LOG_LEVEL": "loud"},
        {"LIST_SHAPE": "tuple"},
        {"SWITCHYARD_WEBHOOK_NETWORKS": "10.1.2.3/8"},
        {"SWITCHYARD_WEBHOOK_NETWORKS": "localhost"},
        {"SWITCHYARD_WEBHOOK_TIMEOUT": "0"},
        {"ARK_NAAN": "ark:/99999"},
        {"ARK_NAAN": "99999\n"},
        {"ARK_SHOULDER": "FK4"},
        {"ARK_SHOULDER": "fk4/"},
    ],
)
def test_what_is_not_right_is_refused(settings):
    (name,) = settings
    assert name in refused(**settings)


@pytest.mark.parametrize("key", ["change-me", "changeme", "Change-Me", "secret", " secret "])
def test_a_published_secret_key_is_refused(key):
    assert "published example" in refused(SECRET_KEY=key)


@pytest.mark.parametrize(
    "key",
    [*(base64.urlsafe_b64encode(b"k" * size).decode() for size in (16, 31, 33)), "not base64!", "x" * 43, KEY + "="],
)
def test_an_encryption_key_is_exactly_32_bytes(key):
    message = refused(STREAMWEAVE_ENCRYPTION_KEY=key)
    assert "exactly 32 bytes" in message or "no url-safe base64" in message


@pytest.mark.parametrize("origin", ["*", "example.org", "https://example.org/", "https://*.example.org", "null", "ftp://x"])
def test_origins_are_exact(origin):
    assert f"{origin} is no origin" in refused(SWITCHYARD_CORS_ORIGINS=f"https://a.example.org,{origin}")


# --- secrets -----------------------------------------------------------------------------------------------------------


def test_secrets_are_never_shown(environment):
    secrets = {
        "SECRET_KEY": "hunter2-hunter2-hunter2",
        "SWITCHYARD_OLD_SECRET_KEYS": "hunter2-old",
        "SWITCHYARD_ENCRYPTION_KEY": KEY,
        "ADMIN_PASSWORD": "hunter2-admin",
        "SMTP_PASSWORD": "hunter2-mail",
        "DATABASE_URL": "sqlite+aiosqlite:///hunter2",
    }
    for name, value in secrets.items():
        environment.setenv(name, value)
    settings = Settings()
    shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()} {settings_table()}"
    shown += f"{master_secret(settings)!r} {master_secret(settings)} {keyring(settings, master_secret(settings))!r}"
    assert "hunter2" not in shown
    assert KEY not in shown


def test_a_refused_secret_is_not_quoted():
    key = "hunter2" * 6 + "="
    with pytest.raises(ValidationError) as refusal:
        Settings(STREAMWEAVE_ENCRYPTION_KEY=key)
    assert key not in " ".join(error["msg"] for error in refusal.value.errors())


def test_the_secret_key_is_generated_once_for_its_owner_alone(tmp_path):
    settings = Settings()
    master = master_secret(settings)
    file = tmp_path / "data" / "secret-key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text() == master.reveal()
    assert len(master.reveal()) == 64
    assert master_secret(settings) == master
    assert [path.name for path in file.parent.iterdir()] == ["secret-key"]


def test_of_several_processes_one_decides_on_the_secret(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        for number in range(20):
            settings = Settings(SWITCHYARD_DATA_DIR=tmp_path / str(number))
            found = set(pool.map(master_secret, [settings] * 8))
            assert len(found) == 1
            assert {path.name for path in settings.data_dir.iterdir()} == {"secret-key"}


@pytest.mark.parametrize("text", ["", "\n", "short"])
def test_a_damaged_secret_file_is_not_replaced(tmp_path, text):
    file = tmp_path / "data" / "secret-key"
    file.parent.mkdir()
    file.write_text(text)
    with pytest.raises(ValueError, match="data/secret-key holds no secret key"):
        master_secret(Settings())
    assert file.read_text() == text


def test_a_given_secret_key_needs_no_file(tmp_path):
    settings = Settings(SECRET_KEY="a" * 40, SWITCHYARD_SECRET_KEY="b" * 40)
    assert master_secret(settings) == Secret("b" * 40)
    assert not (tmp_path / "data").exists()


def keys_of(**settings: str):
    made = Settings(**settings)
    return keyring(made, master_secret(made))


def test_rotation(environment):
    """What an earlier key sealed can be read while that key is listed; new values are sealed with the newest."""
    sealed = keys_of(SECRET_KEY="first").seal(Secret("hunter2"))
    again = keys_of(SECRET_KEY="second", SWITCHYARD_OLD_SECRET_KEYS="zeroth, first")
    assert again.unseal(sealed) == Secret("hunter2")
    assert again.seal(Secret("x")).partition(".")[0] == keys_of(SECRET_KEY="second").seal(Secret("x")).partition(".")[0]
    with pytest.raises(UndecipherableSecretError, match="no key with id"):
        keys_of(SECRET_KEY="second").unseal(sealed)


def test_an_encryption_key_of_ones_own_is_rotated_too(environment):
    other = base64.urlsafe_b64encode(b"o" * 32).decode()
    sealed = keys_of(SECRET_KEY="first", STREAMWEAVE_ENCRYPTION_KEY=KEY).seal(Secret("hunter2"))
    again = keys_of(SECRET_KEY="first", STREAMWEAVE_ENCRYPTION_KEY=other, SWITCHYARD_OLD_ENCRYPTION_KEYS=f" {KEY} ,")
    assert again.unseal(sealed) == Secret("hunter2")
    assert not sealed.startswith(again.current)
    assert again.seal(Secret("x")).startswith(again.current)
    assert "exactly 32 bytes" in refused(SWITCHYARD_OLD_ENCRYPTION_KEYS=f"{KEY},{base64.urlsafe_b64encode(b'short').decode()}")


def test_an_encryption_key_of_ones_own(environment):
    """Goes before the derived one, which still reads what it sealed."""
    before = keys_of(SECRET_KEY="first").seal(Secret("hunter2"))
    ring = keys_of(SECRET_KEY="first", STREAMWEAVE_ENCRYPTION_KEY=KEY)
    after = ring.seal(Secret("hunter3"))
    assert (ring.unseal(before), ring.unseal(after)) == (Secret("hunter2"), Secret("hunter3"))
    assert keys_of(SECRET_KEY="other", STREAMWEAVE_ENCRYPTION_KEY=KEY).unseal(after) == Secret("hunter3")


def test_runs_may_be_unbounded(environment):
    def settings(**given: str) -> Settings:
        for name, value in given.items():
            environment.setenv(name, value)
        return Settings(_env_file=None)

    assert (settings().longest_run, settings().kept_runs) == (timedelta(hours=24), timedelta(days=90))
    bounded = settings(SWITCHYARD_RUN_TIMEOUT="90", SWITCHYARD_RUN_RETENTION="1")
    assert (bounded.longest_run, bounded.kept_runs) == (timedelta(seconds=90), timedelta(days=1))
    free = settings(SWITCHYARD_RUN_TIMEOUT="0", SWITCHYARD_RUN_RETENTION="0")
    assert (free.longest_run, free.kept_runs) == (None, None)


@pytest.mark.parametrize(
    ("profile", "introspection", "shown"),
    [
        ("development", "auto", True),
        ("production", "auto", False),
        ("development", "off", False),
        ("production", "on", True),
    ],
)
def test_who_may_read_the_schema(profile, introspection, shown):
    chosen = Settings(SWITCHYARD_PROFILE=profile, SWITCHYARD_INTROSPECTION=introspection)
    assert chosen.shows_schema is shown


# --- the table ---------------------------------------------------------------------------------------------------------


def test_the_table_has_every_setting_and_its_names():
    head, line, *rows = settings_table().splitlines()
    assert (head, line) == ("| Setting | Default | Meaning |", "|---|---|---|")
    assert len(rows) == len(Settings.model_fields)
    for row, setting in zip(rows, documented(), strict=True):
        cells = [cell.strip() for cell in row.strip("|").split(" | ")]
        assert [name.strip("`") for name in cells[0].split(" or ")] == list(setting.names)
        assert len(cells) == 3
        assert cells[2].endswith(".")


def test_our_name_comes_first():
    foreign = {"ADMIN_EMAIL", "ADMIN_USERNAME", "ADMIN_PASSWORD", "ARK_NAAN", "ARK_SHOULDER"}
    assert {setting.names[0] for setting in documented() if not setting.names[0].startswith("SWITCHYARD_")} == foreign


def test_names_are_not_used_twice():
    names = [name for setting in documented() for name in setting.names]
    assert len(names) == len(set(names))


def test_defaults_in_the_table():
    shown = {setting.names[0]: setting.default for setting in documented()}
    assert shown["SWITCHYARD_DATA_DIR"] == "`data`"
    assert shown["SWITCHYARD_COOKIE_SECURE"] == "`true`"
    assert shown["SWITCHYARD_SECRET_KEY"] == shown["SWITCHYARD_OLD_SECRET_KEYS"] == shown["SWITCHYARD_CORS_ORIGINS"] == ""
    assert shown["SWITCHYARD_BODY_LIMIT"] == "`16777216`"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SWITCHYARD_METRICS_TOKEN", "guessed"),
        ("SWITCHYARD_TRACES", "127.0.0.1:4318"),
        ("SWITCHYARD_DRAIN", "-1"),
        ("SWITCHYARD_DRAIN", "601"),
        ("SWITCHYARD_LOG_FORMAT", "xml"),
    ],
)
def test_what_operators_see_by_is_set_right_or_not_at_all(environment, name, value):
    environment.setenv(name, value)
    with pytest.raises(ValidationError, match=name):
        Settings()
