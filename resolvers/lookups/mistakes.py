"""The two ways in which a body is wrong: it is not of the documented form, or it says what a rule forbids."""

from __future__ import annotations

from core.errors import MALFORMED, InvalidInput, Problem


def malformed(detail: str, field: str | None = None) -> InvalidInput:
    """For a body that violates its JSON schema."""
    return InvalidInput(detail, field=field, problems=[Problem((field,) if field else (), detail, MALFORMED)])
