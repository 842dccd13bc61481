"""What a filter looks for, and the texts in which it looks, both folded alike (contract lmio-watcher §6.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from core.lookups.declarations import Declaration
from core.lookups.values import KINDS, Value
from core.vocabulary import ValueType

BETWEEN, MAC = "\x1f", "\x1e"
"""Between two values, so that no match spans them; before the bare digits of each MAC, which come last."""

_SEPARATORS = str.maketrans({BETWEEN: "\ufffd", MAC: "\ufffd"})
_HEX = re.compile(r"[0-9a-f]+")
_MAC_PIECES = re.compile(r"[0-9a-f:-]+")
_MAC_GROUP = re.compile(r"[0-9a-f]{0,4}")


class Needle(NamedTuple):
    """What to look for: in any value, and, where it may be a piece of a MAC, also in bare digits of MACs."""

    text: str
    mac: str | None
    """None when `text` finds it already."""
    hexadecimal: bool
    """Whether it may be a piece of a digest."""


class Haystack(NamedTuple):
    """The folded texts of one item, each once."""

    texts: tuple[str, ...]
    macs: tuple[str, ...]
    """MACs as twelve bare digits."""

    def joined(self) -> str:
        """As one text, whose separators no value and no needle contain."""
        text = BETWEEN.join(self.texts)
        return MAC.join((text, *self.macs)) if self.macs else text


def fold(text: str) -> str:
    """Without case, as Unicode has it; diacritics count."""
    folded = text.casefold()
    return folded.translate(_SEPARATORS) if BETWEEN in folded or MAC in folded else folded


def needle(filter_text: str) -> Needle | None:
    """None for an empty filter."""
    text = fold(filter_text.strip())
    if not text:
        return None
    digits = _mac_digits(text)
    return Needle(text, None if digits == text else digits, _HEX.fullmatch(text) is not None)


def _mac_digits(text: str) -> str | None:
    """The digits of what may be a piece of a MAC. `10.0.0.` stays an address."""
    if _MAC_PIECES.fullmatch(text):
        digits = text.replace(":", "").replace("-", "")
        return digits if len(digits) >= 2 else None
    groups = text.split(".")
    fits = len(groups) > 1 and all(map(_MAC_GROUP.fullmatch, groups)) and all(len(group) == 4 for group in groups[1:-1])
    return "".join(groups) if fits and any(len(group) == 4 for group in groups) else None


class Haystacks:
    """Of the items of one declaration."""

    def __init__(self, declaration: Declaration) -> None:
        self._fields = [field.name for field in declaration.fields if KINDS[field.type].searched]
        self._macs = [field.name for field in declaration.fields if field.type is ValueType.MAC]
        self._mac_keys = [at for at, key in enumerate(declaration.keys) if key.type is ValueType.MAC]
        self._has_macs = bool(self._macs or self._mac_keys)

    def of(self, keys: Sequence[str], item_id: str | None, fields: Mapping[str, Value]) -> Haystack:
        """The texts of key parts, of text-like fields, and of the id; without that where it is but the digest of the key."""
        texts: list[Any] = [*keys] if item_id is None else [*keys, item_id]
        texts += [fields[name] for name in self._fields if name in fields]
        if not self._has_macs:
            return Haystack(_folded(texts), ())
        macs = [str(fields[name]) for name in self._macs if name in fields]
        macs += [keys[at] for at in self._mac_keys if keys]
        return Haystack(_folded(texts), tuple(dict.fromkeys(mac.replace(":", "") for mac in macs)))


def _folded(texts: Sequence[str]) -> tuple[str, ...]:
    """Each of them, once. All at a time if they can be taken apart again."""
    joined = BETWEEN.join(texts).casefold()
    if joined.count(BETWEEN) == len(texts) - 1 and MAC not in joined:
        return tuple(filter(None, dict.fromkeys(joined.split(BETWEEN))))
    return tuple(filter(None, dict.fromkeys(map(fold, texts))))
