"""A segment trie on the raw path: split on `/` first, decode each segment once, so `%2F` stays inside an id.

Static beats typed parameter beats parameter beats catch-all. Knows nothing of operations.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import unquote_to_bytes

T = TypeVar("T")

_PATTERNS = {
    "uuid": re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
    "int": re.compile(r"-?[0-9]{1,19}"),
}
_CATCH_ALL = "path"
_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(?::([a-z]+))?\}")
_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class BadTemplate(ValueError):
    """A path template that no request could match, or that says two things at once."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of a template: literal text, or a parameter of that kind (`""`: anything)."""

    text: str
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed path template such as `/api/files/{file_id}/access`."""

    segments: tuple[Segment, ...]

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names in braces, in order."""
        return tuple(segment.text for segment in self.segments if segment.kind is not None)

    def __str__(self) -> str:
        return "".join("/" + (each.text if each.kind is None else "{" + each.text + "}") for each in self.segments)

    @classmethod
    def parse(cls, path: str) -> Template:
        """Raises `BadTemplate`."""
        if not path.startswith("/"):
            raise BadTemplate("a path starts with /")
        template = cls(tuple(_segment(text) for text in path[1:].split("/")))
        _check(template)
        return template


def _segment(text: str) -> Segment:
    if not text:
        raise BadTemplate("a path has no empty segment and no slash at its end")
    parameter = _PARAMETER.fullmatch(text)
    if parameter is None:
        if re.search(r"[{}?#%\s]", text):
            raise BadTemplate(f"{text!r} is neither plain text nor one {{parameter}}")
        return Segment(text)
    kind = parameter[2] or ""
    if kind and kind != _CATCH_ALL and kind not in _PATTERNS:
        raise BadTemplate(f"{kind!r} is no kind of parameter; there are {', '.join(sorted([*_PATTERNS, _CATCH_ALL]))}")
    return Segment(parameter[1], kind)


def _check(template: Template) -> None:
    names = template.parameters
    for name in names:
        if names.count(name) > 1:
            raise BadTemplate(f"parameter {name!r} occurs twice")
    if any(segment.kind == _CATCH_ALL for segment in template.segments[:-1]):
        raise BadTemplate("a catch-all parameter is the last segment")


@dataclass(slots=True)
class _Leaf(Generic[T]):
    names: tuple[str, ...]
    target: T


@dataclass(slots=True)
class _Node(Generic[T]):
    static: dict[str, _Node[T]] = field(default_factory=dict)
    parameters: dict[str, _Node[T]] = field(default_factory=dict)
    leaves: dict[str, _Leaf[T]] = field(default_factory=dict)

    def child(self, segment: Segment) -> _Node[T]:
        if segment.kind is None:
            return self.static.setdefault(segment.text, _Node())
        return self.parameters.setdefault(segment.kind, _Node())


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """A route that serves the request, and the decoded path parameters."""

    target: T
    parameters: dict[str, str]


@dataclass(frozen=True, slots=True)
class NotAllowed(Generic[T]):
    """The path exists, for other methods; `target` is one that serves it."""

    methods: tuple[str, ...]
    target: T


class Router(Generic[T]):
    """Routes to targets. `reserved` first segments never match a parameter."""

    def __init__(self, reserved: frozenset[str] = frozenset()) -> None:
        self._root: _Node[T] = _Node()
        self._reserved = reserved

    def add(self, method: str, template: Template, new: Callable[[], T]) -> T:
        """The target of that route, made by `new` if it is the first; the same path under other names is the same route."""
        node = self._root
        for segment in template.segments:
            node = node.child(segment)
        return node.leaves.setdefault(method, _Leaf(template.parameters, new())).target

    def find(self, method: str, raw_path: bytes) -> Found[T] | NotAllowed[T] | None:
        """What serves that path; HEAD is served by GET."""
        segments = _split(raw_path)
        if segments is None:
            return None
        others: dict[str, T] = {}
        for node, values in self._walk(self._root, segments, 0):
            leaf = node.leaves.get(method) or (node.leaves.get("GET") if method == "HEAD" else None)
            if leaf is not None:
                return Found(leaf.target, dict(zip(leaf.names, values, strict=True)))
            others |= {other: leaf.target for other, leaf in node.leaves.items() if other not in others}
        return NotAllowed(_allowed(others), next(iter(others.values()))) if others else None

    def _walk(self, node: _Node[T], segments: Sequence[str], depth: int) -> Iterator[tuple[_Node[T], tuple[str, ...]]]:
        """Every node that the path reaches, best first, with the values of its parameters."""
        if depth == len(segments):
            yield node, ()
            return
        text = segments[depth]
        if text in node.static:
            yield from self._walk(node.static[text], segments, depth + 1)
        if depth == 0 and text in self._reserved:
            return
        for kind in (*_PATTERNS, ""):
            if kind in node.parameters and (_PATTERNS[kind].fullmatch(text) if kind else text):
                for reached, values in self._walk(node.parameters[kind], segments, depth + 1):
                    yield reached, (text, *values)
        if _CATCH_ALL in node.parameters:
            yield node.parameters[_CATCH_ALL], ("/".join(segments[depth:]),)


def _allowed(methods: dict[str, T]) -> tuple[str, ...]:
    return tuple(sorted({*methods, "HEAD"} if "GET" in methods else methods))


def _split(raw_path: bytes) -> list[str] | None:
    """The decoded segments; None if one is no text, which names nothing."""
    if not raw_path.startswith(b"/") or _BROKEN_ESCAPE.search(raw_path):
        return None
    try:
        if b"%" not in raw_path:
            return raw_path[1:].decode().split("/")
        return [unquote_to_bytes(segment).decode() for segment in raw_path[1:].split(b"/")]
    except UnicodeDecodeError:
        return None
