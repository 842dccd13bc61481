"""Hook: what is done before or after the copy of each file (contract §7), and the builtins that one can call."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import strawberry

from core.policy import Verb
from core.vocabulary import HookImplementation, HookTrigger
from engine.declare import Node, column, one, resolver, stored
from engine.scalars import JSON
from resolvers.instruments.hooks import hook_builtins
from schema.instruments.access import for_admins, may
from schema.instruments.refs import InstrumentRef
from storage.sql.tables import hooks


@stored(hooks, visible=for_admins)
class Hook(Node):
    """A step before or after the copy of each file of one instrument, or of all."""

    local_id: UUID = column(hooks.c.id, "Identifier within the instruments service; `id` in REST.")
    name: str = column(hooks.c.name, "Display name; need not be unique.")
    description: str | None = column(hooks.c.description, "What it is for, in words.")
    trigger: HookTrigger = column(hooks.c.trigger, "When it is asked.")
    implementation: HookImplementation = column(hooks.c.implementation, "What it calls.")
    builtin_name: str | None = column(hooks.c.builtin_name, "Which builtin; see `hookBuiltins`.")
    script_path: str | None = column(hooks.c.script_path, "Which script; this server runs none.")
    webhook_url: str | None = column(hooks.c.webhook_url, "Which address is called.")
    config: JSON | None = column(hooks.c.config, "What the builtin or webhook is given; any object.")
    instrument_id: UUID | None = column(hooks.c.instrument_id, "`localId` of the instrument; null for all.")
    instrument: InstrumentRef | None = one(hooks.c.instrument_id, "The instrument; null for all.")
    priority: int = column(hooks.c.priority, "Hooks are asked in ascending order.")
    enabled: bool = column(hooks.c.enabled, "Whether it is asked.")
    created_at: datetime = column(hooks.c.created_at, "When it was made.")
    updated_at: datetime = column(hooks.c.updated_at, "When it was last changed.")
    deleted_at: datetime | None = column(hooks.c.deleted_at, "Set while it is deleted; it can be restored.")


@strawberry.type(description="A hook that this server has by itself.")
class HookBuiltin:
    """The same on every server."""

    name: str = strawberry.field(description="For `builtinName`.")
    display_name: str = strawberry.field(description="For people.")
    description: str = strawberry.field(description="What it does.")
    trigger: HookTrigger = strawberry.field(description="When it can be asked.")
    phase: str = strawberry.field(description="The trigger as REST says it here: `pre` or `post`.")
    config_schema: JSON = strawberry.field(description="JSON Schema of its config.")


_PHASES = {HookTrigger.PRE_TRANSFER: "pre", HookTrigger.POST_TRANSFER: "post"}


@strawberry.type
class HookBuiltinsQuery:
    """For admins."""

    @resolver("The hooks that this server has by itself.", guard=may(Verb.LIST, "hook"))
    def hook_builtins(self) -> list[HookBuiltin] | None:
        return [
            HookBuiltin(
                name=each.name,
                display_name=each.display_name,
                description=each.description,
                trigger=each.trigger,
                phase=_PHASES[each.trigger],
                config_schema=each.config_schema,
            )
            for each in hook_builtins()
        ]
