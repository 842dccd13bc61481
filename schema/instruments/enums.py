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
):
    strawberry.enum(kind, description=kind.__doc__)
