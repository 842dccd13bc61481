"""A plan as text, for `switchyard explain`: its levels, their steps, and the SQL that each step sends for one kind of viewer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.levels import AbstractCompleter, Completer, Level, ListCompleter, ObjectCompleter, Step
from engine.live import LiveStream
from engine.operation import Operation
from engine.plan import PieceStream, Plan, RowStream
from engine.reference import Reference
from engine.relations import ManyRelation, OneRelation, Shape
from engine.steps import BatchStep, ManyStep, NodeStep, OneStep, SomeStep

ViewerShape = tuple[tuple[str, str], ...]
"""`(domain, role)` for each credential; nothing for an anonymous viewer."""


def explain(operation: Operation, shape: ViewerShape) -> str:
    """The tree of an operation with no optional argument given and every condition true."""
    return "\n".join(_Explanation(shape).lines(operation))


class _Explanation:
    def __init__(self, shape: ViewerShape) -> None:
        self._shape = shape

    def lines(self, operation: Operation) -> Iterator[str]:
        if isinstance(operation, Reference):
            yield f"graphql-core: {operation.reason}"
        elif isinstance(operation, Plan):
            match operation.everything():
                case RowStream() as stream:
                    yield from self._stream(stream)
                case PieceStream() as stream:
                    yield f"{stream.selected.key}: pieces, {stream.pieces.generate.__qualname__}"
                    yield from _indented(self._below(stream.completer))
                case LiveStream() as stream:
                    yield f"{stream.selected.key}: looks again when what it follows has changed"
                    yield from _indented(self._below(stream.completer))
                case level:
                    yield from self._level(level)

    def _stream(self, stream: RowStream) -> Iterator[str]:
        yield f"{stream.selected.key}: stream of {stream.relation.many.batch} rows a batch"
        yield from _indented(_sql("rows", stream.relation.statement("rows", Shape(self._shape)).text))
        yield from _indented(self._below(stream.completer))

    def _level(self, level: Level) -> Iterator[str]:
        leaves = ", ".join(leaf.key for leaf in level.leaves)
        yield f"{level.type_name}{f' {{ {leaves} }}' if leaves else ''}"
        for step in level.steps:
            yield from _indented(self._step(step))

    def _step(self, step: Step) -> Iterator[str]:
        match step:
            case ManyStep(relation=relation, rows=rows, count=count):
                yield f"{step.key}: many, {relation.name}"
                yield from _indented(
                    self._many(relation, [what for what, asked in (("rows", rows), ("count", count)) if asked])
                )
            case OneStep(relation=relation, parent_index=parent):
                yield f"{step.key}: one"
                yield from _indented(self._one(relation, single=parent is None))
            case NodeStep(relations=relations):
                yield f"{step.key}: one of {', '.join(relations)}"
                for relation in relations.values():
                    yield from _indented(self._one(relation, single=True))
            case SomeStep(relation=relation):
                yield f"{step.key}: some"
                yield from _indented(self._one(relation, single=False))
            case BatchStep(batch=batch):
                yield f"{step.key}: batch, {batch.load.__qualname__}"
            case _:
                yield f"{step.key}: {type(step).__name__.removesuffix('Step').lower()}"
        yield from _indented(self._below(step.completer))

    def _many(self, relation: ManyRelation, wanted: Sequence[str]) -> Iterator[str]:
        for what in wanted:
            yield from _sql(what, relation.statement(what, Shape(self._shape)).text)

    def _one(self, relation: OneRelation, *, single: bool) -> Iterator[str]:
        yield from _sql("row" if single else "rows", relation.statement(self._shape, single=single).text)

    def _below(self, completer: Completer) -> Iterator[str]:
        match completer:
            case ListCompleter(items=items):
                yield from self._below(items)
            case ObjectCompleter(level=level):
                yield from self._level(level)
            case AbstractCompleter(levels=levels):
                for level in levels.values():
                    yield from self._level(level)


def _sql(what: str, text: str) -> Iterator[str]:
    first, *rest = text.splitlines()
    yield f"{what}: {first.rstrip()}"
    yield from _indented(line.rstrip() for line in rest)


def _indented(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield f"  {line}"
