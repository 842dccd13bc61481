"""`compose.yaml` against the schema of compose files, against the settings that there are, and against our own rules."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import make_url

from app.settings import Settings, documented
from scripts.generate import required_by_compose
from tests.packaging.support import COMPOSE, ROOT, stages

TEXT = COMPOSE.read_text()
DOCUMENT: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = DOCUMENT["services"]
VARIABLE = re.compile(r"\$\{(\w+)(:[?-])([^}]*)\}")
IN_THE_IMAGE = {"postgres": "pg_isready", "mongodb": "mongosh", "elasticsearch": "curl", "s3": "wget"}
"""Commands that are known to be in the images: PostgreSQL's and MongoDB's own, Elasticsearch's curl, Alpine's wget."""

every_service = pytest.mark.parametrize("name", SERVICES)


def validate(file: Path) -> int:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", file]
    return subprocess.run(command, capture_output=True, check=False).returncode


def interpolated(value: str) -> str:
    return VARIABLE.sub(lambda found: f"{found[1].lower()}0123" if found[2] == ":?" else found[3], value)


@pytest.mark.slow
def test_it_is_a_compose_file(tmp_path):
    assert validate(COMPOSE) == 0
    (tmp_path / "compose.yaml").write_text(TEXT.replace("depends_on:", "depend_on:"))
    assert validate(tmp_path / "compose.yaml") != 0


@pytest.mark.slow
def test_compose_itself_accepts_it():
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]) and subprocess.run([*command, "version"], capture_output=True, check=False).returncode == 0:
            break
    else:
        pytest.skip("docker compose is not installed")
    needed = dict.fromkeys([*required_by_compose(), "SWITCHYARD_SECRET_KEY"], "0123")
    config = [*command, "--file", str(COMPOSE), "--env-file", "/dev/null", "--profile", "stores", "config", "--quiet"]
    plain = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    accepted, refused = [
        subprocess.run(config, env=environment, capture_output=True, text=True, check=False)
        for environment in (plain | needed, plain)
    ]
    assert (accepted.returncode, accepted.stderr) == (0, "")
    assert "is missing a value" in refused.stderr


@every_service
def test_images_are_pinned_to_a_version(name):
    version = SERVICES[name]["image"].rpartition(":")[2]
    assert re.match(r"v?\d+\.\d+", version)


def test_our_image_has_the_version_of_the_program():
    assert (
        SERVICES["switchyard"]["image"]
        == f"switchyard:{tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']['version']}"
    )


@every_service
def test_services_may_do_no_more_than_they_need(name):
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is (name != "elasticsearch")
    assert {"mem_limit", "pids_limit", "cpus"} <= service.keys()
    assert not {"privileged", "cap_add", "network_mode", "pid", "devices", "env_file"} & service.keys()


@every_service
def test_services_are_asked_whether_they_are_healthy(name):
    if name == "switchyard":
        assert stages()[-1].all("HEALTHCHECK")
        return
    kind, *command = SERVICES[name]["healthcheck"]["test"]
    assert kind in {"CMD", "CMD-SHELL"}
    assert IN_THE_IMAGE[name] in command[0].split()
    assert {"interval", "timeout", "retries"} <= SERVICES[name]["healthcheck"].keys()


def test_only_switchyard_is_published_and_only_on_loopback():
    assert {name: service["ports"] for name, service in SERVICES.items() if "ports" in service} == {
        "switchyard": ["127.0.0.1:8000:8000"]
    }
    assert DOCUMENT["networks"]["stores"] == {"internal": True}
    assert [name for name, service in SERVICES.items() if service["networks"] != ["stores"]] == ["switchyard"]


def test_no_secret_has_a_default():
    assert VARIABLE.sub("", TEXT).count("${") == 0, "every variable is required or may be empty"
    assert {name for name, kind, default in VARIABLE.findall(TEXT) if kind == ":-" and default} == set()
    secret = {name for name, kind, _ in VARIABLE.findall(TEXT) if re.search("PASSWORD|SECRET", name) and kind == ":-"}
    assert secret == {"ADMIN_PASSWORD"}, "without which a random one is made"
    given = [
        value
        for service in SERVICES.values()
        for name, value in service["environment"].items()
        if re.search("PASSW|SECRET", name)
    ]
    assert len(given) == 6
    assert all(VARIABLE.fullmatch(value) for value in given)


def test_every_folder_that_is_written_is_a_volume():
    used = [volume.split(":")[0] for service in SERVICES.values() for volume in service["volumes"]]
    assert sorted(used) == sorted(DOCUMENT["volumes"])
    image = stages()[-1]
    assert [volume.split(":")[1] for volume in SERVICES["switchyard"]["volumes"]] == image.command("VOLUME")


def test_switchyard_gets_settings_that_there_are():
    environment = {name: interpolated(value) for name, value in SERVICES["switchyard"]["environment"].items()}
    assert environment.keys() <= {name for setting in documented() for name in setting.names}
    settings = Settings(_env_file=None, **environment)
    url, postgres = make_url(settings.url), SERVICES["postgres"]["environment"]
    assert (url.drivername, url.host, url.username, url.password, url.database) == (
        "postgresql+asyncpg",
        "postgres",
        postgres["POSTGRES_USER"],
        interpolated(postgres["POSTGRES_PASSWORD"]),
        postgres["POSTGRES_USER"],
    )


def test_it_starts_when_its_database_answers_and_needs_no_other_store():
    assert SERVICES["switchyard"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert [name for name, service in SERVICES.items() if service.get("profiles") != ["stores"]] == ["switchyard", "postgres"]


def test_it_has_the_time_to_end():
    assert SERVICES["switchyard"]["stop_grace_period"] == "40s"
    assert SERVICES["switchyard"]["init"] is True
