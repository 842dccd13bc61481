"""FileGrant: a person, group or project may see one file (contract streamweave §9)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from core.vocabulary import GranteeType
from engine.declare import Node, column, one, stored
from schema.instruments.access import for_admins
from schema.instruments.group import Group
from schema.instruments.project import Project
from schema.instruments.refs import FileRecordRef
from schema.instruments.typed_keys import typed_key
from schema.instruments.user import User
from storage.sql.tables import file_access_grants

Grantee = Annotated[User | Group | Project, strawberry.union("Grantee", description="Who may be granted a file.")]

_grantee = typed_key(
    file_access_grants.c.grantee_type,
    file_access_grants.c.grantee_id,
    {GranteeType.USER: "User", GranteeType.GROUP: "Group", GranteeType.PROJECT: "Project"},
)


@stored(file_access_grants, visible=for_admins, noun="Grant")
class FileGrant(Node):
    """That a person, or everybody in a group or project, may see a file; for admins."""

    local_id: UUID = column(file_access_grants.c.id, "Identifier within the instruments service; `id` in REST.")
    file_id: UUID = column(file_access_grants.c.file_id, "`localId` of the file.")
    file: FileRecordRef | None = one(file_access_grants.c.file_id, "The file.")
    grantee_type: GranteeType = column(file_access_grants.c.grantee_type, "Whether it is a person, a group or a project.")
    grantee_id: UUID = column(file_access_grants.c.grantee_id, "`localId` of the person, group or project.")
    grantee: Grantee | None = one(_grantee, "The person, group or project; null for one that is no more.")
    granted_at: datetime = column(file_access_grants.c.granted_at, "Since when.")
