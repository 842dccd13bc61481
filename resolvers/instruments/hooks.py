"""Hooks: what is done before and after each copy. Contract streamweave §7; what they do is in `jobs.hooks`.

A config is stored as it is. Whether it makes sense is seen when a harvest begins, which says so in its log.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from core.identity import INSTRUMENTS
from core.policy import Verb
from core.vocabulary import HookImplementation, HookTrigger
from jobs.hooks.builtins import BUILTINS, Builtin
from resolvers.context import RequestContext
from resolvers.inputs import ABSENT, Absent, checked, given
from resolvers.instruments.rows import HOOK, INSTRUMENT, change
from storage.sql.tables import hooks


@dataclass(frozen=True, slots=True, kw_only=True)
class NewHook:
    """A hook to be made. Without an instrument it is for all of them."""

    name: str
    trigger: HookTrigger
    implementation: HookImplementation
    description: str | None = None
    builtin_name: str | None = None
    script_path: str | None = None
    webhook_url: str | None = field(default=None, repr=False)
    config: dict[str, Any] | None = None
    instrument_id: UUID | None = None
    priority: int = 0
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class HookChanges:
    """What is to change; absent fields stay."""

    name: str | Absent = ABSENT
    trigger: HookTrigger | Absent = ABSENT
    implementation: HookImplementation | Absent = ABSENT
    description: str | Absent | None = ABSENT
    builtin_name: str | Absent | None = ABSENT
    script_path: str | Absent | None = ABSENT
    webhook_url: str | Absent | None = field(default=ABSENT, repr=False)
    config: dict[str, Any] | Absent | None = ABSENT
    instrument_id: UUID | Absent | None = ABSENT
    priority: int | Absent = ABSENT
    enabled: bool | Absent = ABSENT


async def create_hook(ctx: RequestContext, new: NewHook) -> UUID:
    """Raises `InvalidInput` for an instrument that is not there."""
    actor = ctx.require(INSTRUMENTS, Verb.CREATE, HOOK.name)
    values = checked(hooks, given(new))
    async with change(ctx, actor) as changing:
        await changing.refers_to(INSTRUMENT, "instrument_id", values)
        return await changing.create(HOOK, **values)


async def update_hook(ctx: RequestContext, key: UUID, changes: HookChanges) -> UUID:
    """Only what is given changes, from the next harvest on."""
    actor = ctx.require(INSTRUMENTS, Verb.UPDATE, HOOK.name)
    sent = checked(hooks, given(changes))
    async with change(ctx, actor) as changing:
        row = await changing.live(HOOK, key)
        await changing.refers_to(INSTRUMENT, "instrument_id", sent, row)
        await changing.update(HOOK, row, sent)
    return key


def hook_builtins() -> Sequence[Builtin]:
    """What `builtin_name` may say to any effect."""
    return list(BUILTINS.values())
