"""The domain's enums as the graph shows them."""

from __future__ import annotations

import strawberry

from core import vocabulary

for kind in (
    vocabulary.TransferAdapter,
    vocabulary.StorageType,
    vocabulary.TransferStatus,
    vocabulary.PersistentIdType,
    vocabulary.RunState,
    vocabulary.Role,
    vocabulary.GranteeType,
    vocabulary.HookTrigger,
    vocabulary.HookImplementation,
    vocabulary.MemberType,
    vocabulary.RequestStatus,
    vocabulary.NotificationType,
):
    strawberry.enum(kind, description=kind.__doc__)
strawberry.enum(vocabulary.AuditAction, name="ChangeAction", description="What was done to a node.")
