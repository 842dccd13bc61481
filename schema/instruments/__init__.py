"""The instruments domain: instruments, harvests, files and where they went (contract streamweave)."""

from schema.instruments import enums  # first: types would register the enums without their descriptions

__all__ = ["enums"]
