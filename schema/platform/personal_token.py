"""PersonalToken: what one of the person's programs signs in with; its text is never among its fields."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
import strawberry

from core.context import Context
from core.vocabulary import TokenScope
from engine.choices import choice, choices
from engine.connection import Connection
from engine.declare import Node, batch, column, descending, many, stored
from schema.platform.access import own_tokens, person
from storage.sql.tables import personal_tokens

strawberry.enum(TokenScope, description=TokenScope.__doc__)


async def _scopes(_: Context, rows: Sequence[Sequence[Any]]) -> list[list[TokenScope]]:
    return [[TokenScope(scope) for scope in orjson.loads(stored)] for (stored,) in rows]


@stored(personal_tokens, visible=own_tokens)
class PersonalToken(Node):
    """A token that one of your programs uses. Its text was shown when it was made, and cannot be read back."""

    local_id: UUID = column(personal_tokens.c.id, "Identifier of the token, by which it is revoked.")
    name: str = column(personal_tokens.c.name, "What it is for, in the words of whoever made it.")
    scopes: list[TokenScope] = batch(_scopes, "What it may do at most.", needs=[personal_tokens.c.scopes])
    created_at: datetime = column(personal_tokens.c.created_at, "When it was made.")
    expires_at: datetime = column(personal_tokens.c.expires_at, "When it ends.")
    last_used_at: datetime | None = column(
        personal_tokens.c.last_used_at, "When it was last used, give or take a minute; null if it never was."
    )


TOKEN_CHOICES = choices(
    "PersonalToken",
    {
        "name": choice(personal_tokens.c.name, str, "What it is for."),
        "created_at": choice(personal_tokens.c.created_at, datetime, "When it was made."),
        "expires_at": choice(personal_tokens.c.expires_at, datetime, "When it ends."),
        "last_used_at": choice(personal_tokens.c.last_used_at, datetime, "When it was last used."),
    },
)


@strawberry.type
class PersonalTokensQuery:
    """For people."""

    personal_tokens: Connection[PersonalToken] | None = many(
        descending(personal_tokens.c.created_at), "Your own tokens, newest first.", guard=person, choices=TOKEN_CHOICES
    )
