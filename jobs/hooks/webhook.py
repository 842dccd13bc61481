"""A hook that asks another server: what is known of the file goes out as JSON, what to do with it comes back.

A reply of no content means that the file goes on. A call may be made again for the same file, when a worker died in the middle.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from pydantic import Field, ValidationError

from core.clock import wire_time
from core.vocabulary import GranteeType, HookTrigger
from jobs.hooks.asking import PROCEED, Action, Ask, HookError, Result, Subject, Wish
from jobs.hooks.calling import Caller, Target
from jobs.hooks.config import Config, problems


class AccessGrant(Config):
    """As the file's grants are written."""

    grantee_type: GranteeType
    grantee_id: UUID


class Reply(Config):
    """What the other server may say; all of it may be absent or null."""

    action: Literal["proceed", "skip", "redirect"] | None = None
    message: Annotated[str, Field(max_length=1000)] | None = None
    redirect_path: Annotated[str, Field(max_length=1024)] | None = None
    metadata_updates: dict[str, Any] | None = None
    access_grants: Annotated[list[AccessGrant], Field(max_length=100)] | None = None


def webhook(url: str | None, caller: Caller, *, trigger: HookTrigger, hook_id: UUID, config: Mapping[str, Any] | None) -> Ask:
    """Ready to be asked. Raises `HookError` for an address that is none."""
    if not url:
        raise HookError("it has no webhook_url")
    target = Target.parse(url)
    always = {"trigger": trigger.value, "hook_id": str(hook_id), "config": config or {}}

    def ask(file: Subject) -> Result:
        return _result(target.host, caller.post(target, orjson.dumps({**always, **_context(file)})))

    return ask


def _context(file: Subject) -> dict[str, Any]:
    known: dict[str, Any] = {
        "flow_run_id": str(file.run_id),
        "instrument_id": str(file.instrument_id),
        "instrument_name": file.instrument_name,
        "source_path": file.source_path,
        "filename": file.filename,
        "size_bytes": file.size_bytes,
        "source_mtime": None if file.source_mtime is None else wire_time(file.source_mtime),
        "metadata": dict(file.metadata),
    }
    if file.copied is not None:
        copied = file.copied
        known |= {
            "file_id": str(copied.file_id),
            "transfer_id": str(copied.transfer_id),
            "destination_path": copied.destination_path,
            "bytes_transferred": copied.bytes_transferred,
            "xxhash": copied.xxhash,
        }
    return known


def _result(host: str, body: bytes) -> Result:
    if not body.strip():
        return PROCEED
    try:
        stored = orjson.dumps(orjson.loads(body))  # numbers and depths that the database takes, too
        if b"\\u0000" in stored:
            raise HookError(f"{host} gave a reply that cannot be used: text cannot contain NUL characters")
        reply = Reply.model_validate_json(stored)
    except ValidationError as error:
        raise HookError(f"{host} gave a reply that cannot be used: {problems(error)}") from error
    except (orjson.JSONDecodeError, orjson.JSONEncodeError) as error:
        raise HookError(f"{host} gave a reply that is no JSON") from error
    action = Action(reply.action or "proceed")
    if action is Action.REDIRECT and not reply.redirect_path:
        raise HookError(f"{host} gave a reply that cannot be used: redirect_path: Field required")
    grants = tuple(Wish(grant.grantee_type, grant.grantee_id) for grant in reply.access_grants or ())
    return Result(action, reply.message, reply.redirect_path, reply.metadata_updates or {}, grants)
