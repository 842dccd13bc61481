"""The hooks that this server has by itself, as they are shown and as they are called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from core.vocabulary import HookTrigger
from jobs.hooks.access_assignment import AccessAssignment, access_assignment
from jobs.hooks.asking import Ask
from jobs.hooks.config import Config
from jobs.hooks.file_filter import FileFilter, file_filter
from jobs.hooks.metadata_enrichment import MetadataEnrichment, metadata_enrichment


@dataclass(frozen=True, slots=True)
class Builtin:
    """One of them."""

    name: str
    display_name: str
    description: str
    trigger: HookTrigger
    config: type[Config]
    prepare: Callable[[Mapping[str, Any] | None], Ask]

    @property
    def config_schema(self) -> dict[str, Any]:
        """JSON Schema of its config."""
        return self.config.model_json_schema()


BUILTINS = {
    builtin.name: builtin
    for builtin in (
        Builtin(
            "file_filter",
            "File Filter",
            "Leaves files out by size or by patterns of their names, or redirects their copies to another folder.",
            HookTrigger.PRE_TRANSFER,
            FileFilter,
            file_filter,
        ),
        Builtin(
            "metadata_enrichment",
            "Metadata Enrichment",
            "Reads metadata out of the path or name of a file with the named groups of regular expressions.",
            HookTrigger.POST_TRANSFER,
            MetadataEnrichment,
            metadata_enrichment,
        ),
        Builtin(
            "access_assignment",
            "Access Assignment",
            "Grants a file to users, groups or projects, named by the config or by the file's metadata.",
            HookTrigger.POST_TRANSFER,
            AccessAssignment,
            access_assignment,
        ),
    )
}
"""By the name that a hook's `builtin_name` says."""
