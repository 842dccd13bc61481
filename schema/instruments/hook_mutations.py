"""Changing hooks (contract streamweave §7)."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import Info, Maybe

from core.policy import Verb
from core.vocabulary import HookImplementation, HookTrigger
from engine.declare import limited, one, resolver
from engine.scalars import JSON
from resolvers.context import RequestContext
from resolvers.instruments import hooks as use_cases
from resolvers.instruments.rows import HOOK, delete_row, restore_row
from schema.inputs import INPUT, required, use_case_input
from schema.instruments.access import may
from schema.instruments.hook import Hook

NAME, TRIGGER, IMPLEMENTATION = "Display name; need not be unique.", "When it is asked.", "What it calls."
DESCRIPTION, BUILTIN_NAME = "What it is for, in words.", "Which builtin; see `hookBuiltins`."
SCRIPT_PATH, WEBHOOK_URL = "Which script; this server runs none.", "Which address is called: `https://host/path`."
CONFIG = "What the builtin or webhook is given: any object. A harvest says in its log what it cannot use."
INSTRUMENT, PRIORITY, ENABLED = "The instrument; null for all.", "Hooks are asked in ascending order.", "Whether it is asked."


@strawberry.input(description="A hook to be made.")
class CreateHookInput:
    """One object per mutation."""

    name: str = limited(NAME, max_length=255)
    trigger: HookTrigger = limited(TRIGGER)
    implementation: HookImplementation = limited(IMPLEMENTATION)
    description: str | None = limited(DESCRIPTION, default=None)
    builtin_name: str | None = limited(BUILTIN_NAME, default=None, max_length=255)
    script_path: str | None = limited(SCRIPT_PATH, default=None)
    webhook_url: str | None = limited(WEBHOOK_URL, default=None)
    config: JSON | None = limited(CONFIG, default=None)
    instrument_id: UUID | None = limited(INSTRUMENT, default=None)
    priority: int = limited(PRIORITY, default=0)
    enabled: bool = limited(ENABLED, default=True)


@strawberry.input(description="What is to change; what is left out stays.")
class HookChangesInput:
    """Changes count from the next harvest on."""

    name: Maybe[str] = required(NAME, max_length=255)
    trigger: Maybe[HookTrigger] = required(TRIGGER)
    implementation: Maybe[HookImplementation] = required(IMPLEMENTATION)
    description: Maybe[str | None] = limited(DESCRIPTION)
    builtin_name: Maybe[str | None] = limited(BUILTIN_NAME, max_length=255)
    script_path: Maybe[str | None] = limited(SCRIPT_PATH)
    webhook_url: Maybe[str | None] = limited(WEBHOOK_URL)
    config: Maybe[JSON | None] = limited(CONFIG)
    instrument_id: Maybe[UUID | None] = limited(INSTRUMENT)
    priority: Maybe[int] = required(PRIORITY)
    enabled: Maybe[bool] = required(ENABLED)


@strawberry.input(description="Which hook, and what is to change.")
class UpdateHookInput:
    """One object per mutation."""

    local_id: UUID = limited("The hook.")
    changes: HookChangesInput = limited("What is to change.")


@strawberry.input(description="Which hook.")
class HookInput:
    """One object per mutation."""

    local_id: UUID = limited("The hook.")


@strawberry.type(description="The hook as it is now.")
class HookPayload:
    """Read back by its key."""

    key: strawberry.Private[UUID]
    hook: Hook | None = one("key", "The hook, deleted ones included.")


@strawberry.type
class HookMutations:
    """For admins."""

    @resolver("Make a hook.", guard=may(Verb.CREATE, "hook"))
    async def create_hook(self, info: Info[RequestContext], given: Annotated[CreateHookInput, INPUT]) -> HookPayload | None:
        new = use_case_input(use_cases.NewHook, given)
        return HookPayload(key=await use_cases.create_hook(info.context, new))

    @resolver("Change a hook.", guard=may(Verb.UPDATE, "hook"))
    async def update_hook(self, info: Info[RequestContext], given: Annotated[UpdateHookInput, INPUT]) -> HookPayload | None:
        changes = use_case_input(use_cases.HookChanges, given.changes)
        return HookPayload(key=await use_cases.update_hook(info.context, given.local_id, changes))

    @resolver("Delete a hook; it can be restored.", guard=may(Verb.DELETE, "hook"))
    async def delete_hook(self, info: Info[RequestContext], given: Annotated[HookInput, INPUT]) -> HookPayload | None:
        return HookPayload(key=await delete_row(info.context, HOOK, given.local_id))

    @resolver("Restore a deleted hook; it stays disabled.", guard=may(Verb.DELETE, "hook"))
    async def restore_hook(self, info: Info[RequestContext], given: Annotated[HookInput, INPUT]) -> HookPayload | None:
        return HookPayload(key=await restore_row(info.context, HOOK, given.local_id))
