"""The place that cannot be written: stands in for kinds of storage that have no adapter.

Writing to a local folder of the same name instead would lose files quietly.
"""

from __future__ import annotations

from typing import BinaryIO, NoReturn

from core.errors import NotSupported
from storage.objects.protocol import ObjectWriter


class UnsupportedStore:
    """Refuses every call with the same words."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def locate(self, key: str) -> str:
        self._refuse()

    def begin(self, key: str, token: str) -> ObjectWriter:
        self._refuse()

    def flush(self) -> None:
        """Nothing was ever written."""

    def discard(self, location: str, token: str) -> None:
        """Nothing was ever written."""

    def exists(self, key: str) -> bool:
        self._refuse()

    def open(self, key: str) -> BinaryIO:
        self._refuse()

    def delete(self, key: str) -> None:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise NotSupported(f"storage locations of type {self._kind} are not available in this version")
