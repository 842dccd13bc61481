"""What tokens and memberships say of tenants: `{"standard": ["lmio:lookup:access"], "*": []}` (contract lmio-watcher §3.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from core.identity import Grants
from core.policy import MEMBER, SUPERUSER

_EVERYWHERE, _SUPERUSER = "*", "authz:superuser"

_TENANT = re.compile(r"[^\s\x00-\x1f\x7f*/]{1,127}")
"""What may be one; anything else grants nothing."""


def role_and_grants(resources: object) -> tuple[str, Grants]:
    """The role, and what each tenant grants. Raises `ValueError` for anything else."""
    if not isinstance(resources, Mapping):
        raise ValueError("resources are an object")  # noqa: TRY004  # a token that says something else
    granted = {tenant: _scopes(given) for tenant, given in resources.items()}
    role = SUPERUSER if _SUPERUSER in granted.pop(_EVERYWHERE, frozenset()) else MEMBER
    return role, tuple(sorted((name, scopes) for name, scopes in granted.items() if _TENANT.fullmatch(name)))


def _scopes(given: object) -> frozenset[str]:
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise ValueError("a tenant's resources are an array of text")
    return frozenset(given)
