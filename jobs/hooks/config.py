"""The configs of builtins: any object can be stored, so whether it makes sense is seen when a harvest begins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from jobs.hooks.asking import HookError


class Config(BaseModel):
    """Types are not guessed; keys that are not known mean nothing."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


Some = TypeVar("Some", bound=Config)


def read(model: type[Some], config: Mapping[str, Any] | None) -> Some:
    """The config as that model. A key with null counts as absent. Raises `HookError` naming each key that is wrong."""
    given = {key: value for key, value in (config or {}).items() if value is not None}
    try:
        return model.model_validate_json(orjson.dumps(given))
    except ValidationError as error:
        raise HookError(f"its config cannot be used: {problems(error)}") from error


def problems(error: ValidationError) -> str:
    """What is wrong where, without the values."""
    told = error.errors(include_url=False, include_input=False)
    return "; ".join(f"{_place(each['loc'])}{each['msg'].removeprefix('Value error, ')}" for each in told)


def _place(where: tuple[int | str, ...]) -> str:
    return f"{'.'.join(map(str, where))}: " if where else ""
