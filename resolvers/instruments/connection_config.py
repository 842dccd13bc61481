"""What each type of storage location needs in order to be reached. Contract streamweave §5; nothing here waits.

Every secret leaves the config before it is stored: readers find `****` in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.errors import Problem
from core.vocabulary import StorageType
from resolvers.inputs import refuse, text_problem

MASK = "****"

Config = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """The keys of one type's config; all are texts."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    secret: str | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """In the order in which they are stored."""
        return self.required + self.optional


SHAPES = {
    StorageType.S3: Shape(
        required=("bucket", "region", "access_key_id", "secret_access_key"),
        optional=("endpoint_url",),
        secret="secret_access_key",  # noqa: S106  # the key's name
    ),
    StorageType.CIFS: Shape(
        required=("host", "share", "username", "password"),
        optional=("domain",),
        secret="password",  # noqa: S106  # the key's name
    ),
    StorageType.NFS: Shape(required=("host", "export_path"), optional=("mount_options",)),
}
"""A type that is not named here takes any object, or none, as it is."""


@dataclass(frozen=True, slots=True)
class Settings:
    """A config in the two parts in which it is stored. No `secrets` means: those that are stored already."""

    shown: Config | None
    secrets: dict[str, str] = field(default_factory=dict, repr=False)


def complete(kind: StorageType, config: Config | None) -> Settings:
    """A config that stands alone. `InvalidInput` names every key that is missing or no text."""
    return _settings(kind, config, {})


def merged(kind: StorageType, stored: Config | None, config: Config) -> Settings:
    """The stored config with some keys replaced; a secret sent as `****` stays what it is."""
    return _settings(kind, {**(stored or {}), **config}, stored or {})


def require_every_key(kind: StorageType, config: Config) -> None:
    """`InvalidInput` unless all required keys are there, as when a type is sent along with the config."""
    refuse([_missing(key) for key in _required(kind) if key not in config])


def _required(kind: StorageType) -> tuple[str, ...]:
    return SHAPES[kind].required if kind in SHAPES else ()


def _settings(kind: StorageType, config: Config | None, stored: Config) -> Settings:
    shape = SHAPES.get(kind)
    if shape is None:
        return Settings(config)
    known = {key: (config or {}).get(key) for key in shape.keys if key in (config or {}) or key in shape.optional}
    refuse([problem for key in shape.keys if (problem := _problem(shape, key, known, stored))])
    secrets = {key: str(value) for key, value in known.items() if key == shape.secret and value != MASK}
    return Settings({key: MASK if key == shape.secret else value for key, value in known.items()}, secrets)


def _problem(shape: Shape, key: str, config: Config, stored: Config) -> Problem | None:
    if key not in config:
        return _missing(key)
    value = config[key]
    if key == shape.secret and value == MASK and key not in stored:
        return _missing(key)  # a mask stands for a stored secret, and there is none
    if value is None and key in shape.optional:
        return None
    problem = text_problem(key, value)
    if problem is None or key != shape.secret:
        return problem
    return Problem(problem.path, problem.message, problem.kind)  # without the value


def _missing(key: str) -> Problem:
    return Problem((key,), "Field required", "missing")
