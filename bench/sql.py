"""The statements of the hand-written handler, in the words of each database."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

_FILE = (
    "id!, persistent_id, persistent_id_type, instrument_id!, source_path, filename, size_bytes, source_mtime@, xxhash, sha256, "
)
_FILE += "first_discovered_at@, metadata, owner_id!"
_INSTRUMENT = "id!, name, description, location, pid, cifs_host, cifs_share, cifs_base_path, service_account_id!, "
_INSTRUMENT += "transfer_adapter, transfer_config, enabled, last_harvested_at@, created_at@, updated_at@, deleted_at@"
_ORDER = "ORDER BY f.first_discovered_at DESC, f.id DESC"

_GRANTED = """(f.instrument_id IN (SELECT instrument_id FROM user_instrument_access WHERE user_id = :1) OR f.owner_id = :1
OR f.id IN (
  SELECT file_id FROM file_access_grants WHERE grantee_type = 'user' AND grantee_id = :1
  UNION SELECT file_id FROM file_access_grants WHERE grantee_type = 'group' AND grantee_id IN (
    SELECT m.group_id FROM group_members m JOIN groups g ON g.id = m.group_id WHERE m.user_id = :1 AND g.deleted_at IS NULL)
  UNION SELECT file_id FROM file_access_grants WHERE grantee_type = 'project' AND grantee_id IN (
    SELECT p.project_id FROM project_members p JOIN projects j ON j.id = p.project_id WHERE j.deleted_at IS NULL AND (
      p.member_type = 'user' AND p.member_id = :1 OR p.member_type = 'group' AND p.member_id IN (
        SELECT m.group_id FROM group_members m JOIN groups g ON g.id = m.group_id
        WHERE m.user_id = :1 AND g.deleted_at IS NULL)))))"""

_LAST = {
    "sqlite": """SELECT k.key, t.status, t.checksum_verified FROM json_each(?1) k JOIN file_transfers t ON t.id IN (
        SELECT id FROM file_transfers WHERE file_id = k.value ORDER BY started_at DESC, id DESC LIMIT 3)
        ORDER BY k.key, t.started_at DESC, t.id DESC""",
    "postgresql": """SELECT k.place - 1, t.status, t.checksum_verified
        FROM unnest($1::uuid[]) WITH ORDINALITY AS k (id, place), LATERAL (
        SELECT * FROM file_transfers WHERE file_id = k.id ORDER BY started_at DESC, id DESC LIMIT 3) t
        ORDER BY k.place, t.started_at DESC, t.id DESC""",
}
_NAMES = {
    "sqlite": "SELECT id, name FROM instruments WHERE id IN (SELECT value FROM json_each(?1))",
    "postgresql": "SELECT id::text, name FROM instruments WHERE id = ANY($1::uuid[])",
}


class Sql:
    """By name; lists of files in two versions: all of them, and those granted to the person in the first parameter."""

    def __init__(self, dialect: str) -> None:
        self.native = dialect == "postgresql"
        self.holder = self._text(
            """SELECT m.role FROM users u JOIN memberships m ON m.user_id = u.id AND m.domain = :1
            WHERE u.id = :2 AND u.credentials_version = :3 AND u.is_active AND u.deleted_at IS NULL
            AND NOT EXISTS (SELECT * FROM revoked_tokens r WHERE r.token_id = :4)"""
        )
        self.instrument = self._text(
            f"SELECT {self._columns(_INSTRUMENT)} FROM instruments f WHERE f.id = :1 AND f.deleted_at IS NULL"
        )
        file, short = self._columns(_FILE), self._columns("id!, filename, persistent_id, instrument_id!")
        self.files = self._both(f"SELECT {file} FROM file_records f WHERE {{}} {_ORDER} LIMIT :2")
        self.files_after = self._both(
            f"""SELECT {file} FROM file_records f WHERE {{}}
            AND (f.first_discovered_at, f.id) < ({self._time(":3")}, {self._key(":4")}) {_ORDER} LIMIT :2"""
        )
        self.count = self._both("SELECT count(*) FROM file_records f WHERE {}")
        self.nested = self._both(f"SELECT {short} FROM file_records f WHERE {{}} {_ORDER} LIMIT :2")
        self.names, self.last = _NAMES[dialect], _LAST[dialect]

    def keys(self, keys: Iterable[str]) -> Any:
        """A list of keys as one parameter."""
        return list(keys) if self.native else orjson.dumps(list(keys)).decode()

    def _columns(self, names: str) -> str:
        """`!` marks an id, `@` a time: PostgreSQL prints them as they go over the wire."""
        return ", ".join(self._column(name) for name in names.split(", "))

    def _column(self, name: str) -> str:
        column = f"f.{name.rstrip('!@')}"
        if self.native and name.endswith("!"):
            return f"{column}::text"
        if self.native and name.endswith("@"):
            return f"""to_char(timezone('UTC', {column}), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
        return column

    def _time(self, value: str) -> str:
        return f"{value}::text::timestamptz" if self.native else value

    def _key(self, value: str) -> str:
        return f"{value}::text::uuid" if self.native else value

    def _both(self, text: str) -> dict[str, str]:
        """Without a person the later parameters move up."""
        for_all = text.format("true").replace(":2", ":1").replace(":3", ":2").replace(":4", ":3")
        return {"all": self._text(for_all), "granted": self._text(text.format(_GRANTED))}

    def _text(self, text: str) -> str:
        for number in range(1, 5):
            text = text.replace(f":{number}", f"${number}" if self.native else f"?{number}")
        return text
