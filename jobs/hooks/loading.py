"""From stored hooks to a chain that can be asked. What cannot be used is left out, and noted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, or_, select
from sqlalchemy.engine import RowMapping

from core.vocabulary import HookImplementation, HookTrigger
from jobs.hooks.asking import Ask, HookError
from jobs.hooks.builtins import BUILTINS
from jobs.hooks.calling import Caller
from jobs.hooks.chain import Chain, Hook
from jobs.hooks.notes import Notes
from jobs.hooks.webhook import webhook
from storage.sql.tables import hooks


def hooks_of(instrument_id: UUID) -> Select[Any]:
    """The live, enabled hooks that are global or of that instrument, in the order in which they are asked."""
    concerned = or_(hooks.c.instrument_id.is_(None), hooks.c.instrument_id == instrument_id)
    return (
        select(hooks).where(hooks.c.deleted_at.is_(None), hooks.c.enabled, concerned).order_by(hooks.c.priority, hooks.c.number)
    )


def chain_of(rows: Sequence[RowMapping], caller: Caller, notes: Notes) -> Chain:
    """Of those rows, in their order."""
    ready: dict[HookTrigger, list[Hook]] = {trigger: [] for trigger in HookTrigger}
    for row in rows:
        try:
            ask = _prepared(row, caller)
        except HookError as error:
            line = f"The hook {row['name']!r} is left out: {error}"
            notes.add(line, line)
        else:
            ready[row["trigger"]].append(Hook(row["id"], row["name"], ask, notes))
    return Chain(ready[HookTrigger.PRE_TRANSFER], ready[HookTrigger.POST_TRANSFER])


def _prepared(row: RowMapping, caller: Caller) -> Ask:
    implementation: HookImplementation = row["implementation"]
    if implementation is HookImplementation.BUILTIN:
        return _builtin(row)
    if implementation is HookImplementation.HTTP_WEBHOOK:
        return webhook(row["webhook_url"], caller, trigger=row["trigger"], hook_id=row["id"], config=row["config"])
    raise HookError("this server runs no scripts")


def _builtin(row: RowMapping) -> Ask:
    builtin = BUILTINS.get(row["builtin_name"] or "")
    if builtin is None:
        raise HookError(f"there is no builtin {row['builtin_name'] or ''!r}, only {', '.join(BUILTINS)}")
    if builtin.trigger is not row["trigger"]:
        raise HookError(f"{builtin.name} is for {builtin.trigger.value}")
    return builtin.prepare(row["config"])
