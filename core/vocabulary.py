"""Enumerations that tables, use cases and the graph share. Values are the stored spelling, names the GraphQL one."""

from __future__ import annotations

from enum import StrEnum


class TransferAdapter(StrEnum):
    """How files leave an instrument."""

    RCLONE = "rclone"
    GLOBUS = "globus"
    RSYNC = "rsync"


class StorageType(StrEnum):
    """What kind of place a storage location is."""

    POSIX = "posix"
    S3 = "s3"
    CIFS = "cifs"
    NFS = "nfs"


class TransferStatus(StrEnum):
    """One attempt to copy a file: under way, or how it ended."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"


class PersistentIdType(StrEnum):
    """Which scheme a persistent identifier belongs to."""

    ARK = "ark"
    DOI = "doi"
    HANDLE = "handle"


class RunState(StrEnum):
    """Where a piece of background work stands; the same states for every domain."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


class KeyState(StrEnum):
    """What is known of a change under an `Idempotency-Key`."""

    HELD = "held"
    CHANGED = "changed"
    ANSWERED = "answered"


class HookTrigger(StrEnum):
    """When a hook runs: before the copy of a file or after it."""

    PRE_TRANSFER = "pre_transfer"
    POST_TRANSFER = "post_transfer"


class HookImplementation(StrEnum):
    """What a hook calls."""

    BUILTIN = "builtin"
    PYTHON_SCRIPT = "python_script"
    HTTP_WEBHOOK = "http_webhook"


class GranteeType(StrEnum):
    """Who may be granted a file."""

    USER = "user"
    GROUP = "group"
    PROJECT = "project"


class MemberType(StrEnum):
    """Who may be a member of a project."""

    USER = "user"
    GROUP = "group"


class RequestStatus(StrEnum):
    """What became of the wish for an instrument."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


class NotificationType(StrEnum):
    """What somebody is told of."""

    INSTRUMENT_REQUEST_SUBMITTED = "instrument_request_submitted"
    INSTRUMENT_REQUEST_APPROVED = "instrument_request_approved"
    INSTRUMENT_REQUEST_REJECTED = "instrument_request_rejected"


class Role(StrEnum):
    """A member's role in the instruments domain."""

    ADMIN = "admin"
    USER = "user"


class Access(StrEnum):
    """How far a personal token reaches at most, in one domain."""

    READ = "read"
    WRITE = "write"


class TokenScope(StrEnum):
    """A domain, and what a personal token may do there: read, or whatever the person may. Writing includes reading."""

    INSTRUMENTS_READ = "instruments:read"
    INSTRUMENTS_WRITE = "instruments:write"
    LOOKUPS_READ = "lookups:read"
    LOOKUPS_WRITE = "lookups:write"

    @property
    def domain(self) -> str:
        """The domain's name."""
        return self.value.partition(":")[0]

    @property
    def access(self) -> Access:
        """What may be done there."""
        return Access(self.value.partition(":")[2])


class ValueType(StrEnum):
    """What a key part or a field of a lookup holds."""

    STR = "str"
    UI8 = "ui8"
    UI16 = "ui16"
    UI32 = "ui32"
    UI64 = "ui64"
    SI8 = "si8"
    SI16 = "si16"
    SI32 = "si32"
    SI64 = "si64"
    FP32 = "fp32"
    FP64 = "fp64"
    BOOL = "bool"
    IP = "ip"
    MAC = "mac"
    DATETIME = "datetime"
    GEOPOINT = "geopoint"


class AuditAction(StrEnum):
    """What an audited call did."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    RESTORE = "restore"
