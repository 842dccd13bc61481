"""`access_assignment`: grants the file to people, groups and projects that the config or the metadata names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from core.vocabulary import GranteeType
from jobs.hooks.asking import Ask, Result, Subject, Wish
from jobs.hooks.config import Config, read


class Grant(Config):
    """Who is granted the file."""

    grantee_type: GranteeType = Field(description="What kind of grantee it is.")
    match_field: str = Field(description="The grantee's id (`literal`), or the metadata's key that holds the grantee's name.")
    source: Literal["literal", "metadata"] = Field(
        "metadata", description="`metadata`: a user is named by email address, a group or project by name."
    )

    @model_validator(mode="after")
    def _literal_is_an_id(self) -> Self:
        if self.source == "literal":
            try:
                UUID(self.match_field)
            except ValueError as error:
                raise ValueError("match_field has to be the grantee's id, a UUID") from error
        return self

    def wish(self, metadata: Mapping[str, Any]) -> Wish:
        """For one file."""
        if self.source == "literal":
            return Wish(self.grantee_type, UUID(self.match_field))
        named = metadata.get(self.match_field)
        return Wish(self.grantee_type, named if isinstance(named, str) and named else None, self.match_field)


class AccessAssignment(Config):
    """The config."""

    grants: list[Grant] = Field([], description="Each of them is granted every file.")


def access_assignment(config: Mapping[str, Any] | None) -> Ask:
    """Ready to be asked. Raises `HookError` for a config that cannot be used."""
    grants = read(AccessAssignment, config).grants

    def ask(file: Subject) -> Result:
        return Result(wishes=tuple(grant.wish(file.metadata) for grant in grants))

    return ask
