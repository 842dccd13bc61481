"""Documents that the operator chose: clients name them by an id, and may be held to them.

They come from a folder of `*.graphql` files or from a JSON manifest (id → text). No client can add one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from graphql import GraphQLError

SHA256 = "sha256:"

Check = Callable[[str], Sequence[GraphQLError]]
"""What is wrong with a document."""


def hashed_id(text: str) -> str:
    """The id that every document has: of its exact text, as `sha256sum` prints it."""
    return SHA256 + hashlib.sha256(text.encode()).hexdigest()


class Trusted:
    """Documents by id. With `only`, nothing else is executed."""

    def __init__(self, documents: Mapping[str, str] | None = None, *, only: bool = False) -> None:
        self.only = only
        self._texts = dict(documents or {})
        self._texts |= {hashed_id(text): text for text in self._texts.values()}
        self._accepted = frozenset(self._texts.values())

    def __len__(self) -> int:
        return len(self._accepted)

    def find(self, document_id: str) -> str | None:
        """The text under an id."""
        return self._texts.get(document_id)

    def allows(self, text: str) -> bool:
        """Whether a text that a client sends in full may be executed."""
        return not self.only or text in self._accepted


def load_trusted(place: Path, check: Check, *, only: bool) -> Trusted:
    """Read a folder or a manifest. Raises `ValueError` naming file and line of every mistake."""
    mistakes: list[str] = []
    documents: dict[str, str] = {}
    for where, document_id, text in _folder(place) if place.is_dir() else _manifest(place):
        documents[document_id] = text
        if document_id.startswith(SHA256) and document_id != hashed_id(text):
            mistakes.append(f"{where}: the id is not that of the text, which is {hashed_id(text)}")
        mistakes += [f"{where}{_position(error)}: {error.message}" for error in check(text)]
    if not documents:
        mistakes.append(f"{place}: there is no document in it")
    if mistakes:
        raise ValueError("\n".join(mistakes))
    return Trusted(documents, only=only)


def _position(error: GraphQLError) -> str:
    return "".join(f":{at.line}:{at.column}" for at in (error.locations or ())[:1])


def _folder(folder: Path) -> Iterator[tuple[str, str, str]]:
    for file in sorted(folder.rglob("*.graphql")):
        text = _read(file)
        yield str(file), hashed_id(text), text


def _manifest(file: Path) -> Iterator[tuple[str, str, str]]:
    try:
        found = json.loads(_read(file), object_pairs_hook=_without_duplicates)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(text, str) and key for key, text in found.items()):
        raise ValueError(f"{file}: this is no JSON object of ids and documents")
    for document_id, text in found.items():
        yield f"{file}: {document_id}", document_id, text


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the id {next(name for name in names if names.count(name) > 1)} is there twice")
    return found


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode()  # line ends as they are: the id is that of the exact text
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: not UTF-8: {error.reason}") from error
