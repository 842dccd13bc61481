"""Compiled operations: a query or mutation as levels of statements, a subscription as a row stream.

A plan is compiled per combination of the booleans behind `@skip` and `@include`, when that combination is first asked for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, suppress
from typing import Any

from graphql import DocumentNode, GraphQLError, GraphQLSchema, OperationDefinitionNode, OperationType, located_error
from sqlalchemy.engine import Dialect

from core.context import Context
from core.errors import DomainError
from core.sql import Statement
from engine.admission import MOST_VARIANTS, Admission
from engine.arguments import declared_arguments
from engine.kinds import Pieces
from engine.levels import NULLED, Completer, Level, Run
from engine.live import Following, LiveStream
from engine.operation import Leaves, Operation, Outcome
from engine.planner import Planner, Selected, refuse_unknown
from engine.recent import Recent
from engine.relations import ManyRelation
from engine.selections import condition_variables


class Plan(Operation):
    """A compiled operation."""

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        definition: OperationDefinitionNode,
        admission: Admission,
        leaves: Leaves,
        dialect: Dialect,
        statements: Recent[Statement],
    ) -> None:
        refuse_unknown(document)
        self.definition = definition
        self._schema, self._document, self._leaves, self._dialect = schema, document, leaves, dialect
        self._statements = statements
        self._admission = admission
        self._conditions = condition_variables(document)
        self._variants: Recent[Compiled] = Recent(MOST_VARIANTS)
        self.everything()

    def everything(self) -> Compiled:
        """What runs when every condition is true."""
        return self.variant((True,) * len(self._conditions))

    def variant(self, flags: tuple[bool, ...]) -> Compiled:
        """What runs for these values of the operation's boolean variables."""
        return self._variants.remember(flags, lambda: self._compile(dict(zip(self._conditions, flags, strict=True))))

    def _compile(self, flags: Mapping[str, bool]) -> Compiled:
        planner = Planner(self._schema, self._document, self.definition, flags, self._leaves, self._dialect, self._statements)
        if self.definition.operation is OperationType.SUBSCRIPTION:
            if (live := planner.live()) is not None:
                return LiveStream(*live)
            pieces = planner.pieces()
            return RowStream(*planner.stream()) if pieces is None else PieceStream(*pieces)
        return planner.level()

    def guard(self, ctx: Context) -> None:
        self._admission.guard(ctx)

    async def about(self, ctx: Context, variables: Mapping[str, Any]) -> None:
        await self._admission.about(ctx, variables)

    def nodes(self, variables: Mapping[str, Any]) -> int | None:
        return self._admission.nodes(variables)

    async def execute(self, ctx: Context, variables: Mapping[str, Any]) -> Outcome:
        run = self._begin(ctx, variables)
        if isinstance(run, list):
            return Outcome(None, run)
        level = self._variant_of(run)
        assert isinstance(level, Level), "a subscription is streamed"
        (data,) = await level.complete([None], run, lambda _: [])
        return Outcome(None if data is NULLED else data, run.errors)

    async def stream(self, ctx: Context, variables: Mapping[str, Any]) -> AsyncIterator[Outcome]:
        run = self._begin(ctx, variables)
        if isinstance(run, list):
            yield Outcome(None, run)
            return
        rows = self._variant_of(run)
        if isinstance(rows, LiveStream):
            outcome = (await rows.look(run, None)).outcome
            if outcome is not None:
                yield outcome
            return
        assert isinstance(rows, RowStream | PieceStream), "only a subscription is streamed"
        async with aclosing(rows.outcomes(run)) as outcomes:
            async for outcome in outcomes:
                yield outcome

    def live(self, variables: Mapping[str, Any]) -> Following | None:
        found = self._admission.variables(variables)
        if isinstance(found, list):
            return None
        stream = self.variant(tuple(found.coerced[name] for name in self._conditions))
        with suppress(DomainError, GraphQLError):  # which the first look will tell
            return Following(stream, found) if isinstance(stream, LiveStream) else None
        return None

    def _begin(self, ctx: Context, variables: Mapping[str, Any]) -> Run | list[GraphQLError]:
        found = self._admission.variables(variables)
        return found if isinstance(found, list) else Run(ctx, found)

    def _variant_of(self, run: Run) -> Compiled:
        return self.variant(tuple(run.variables.coerced[name] for name in self._conditions))


class _Stream(ABC):
    """One field whose values come one after another, each completed like any other."""

    def __init__(self, selected: Selected, completer: Completer) -> None:
        self.selected, self.completer = selected, completer
        self._arguments = declared_arguments(selected.field, selected.nodes[0])

    @abstractmethod
    def _values(self, ctx: Context, arguments: Mapping[str, Any]) -> AsyncGenerator[Any, None]:
        """What comes."""

    async def outcomes(self, run: Run) -> AsyncGenerator[Outcome, None]:
        """An outcome per value. After an error that ends the stream there is one more, without data."""
        try:
            if self.selected.guard is not None:
                self.selected.guard(run.ctx)
            async with aclosing(self._values(run.ctx, self._arguments(run.variables))) as values:
                async for value in values:
                    yield await self._outcome(value, Run(run.ctx, run.variables))
        except Exception as error:  # noqa: BLE001  # whatever ends the stream is the error of its one field
            yield Outcome(None, [located_error(error, self.selected.nodes, [self.selected.key])])

    async def _outcome(self, value: Any, run: Run) -> Outcome:
        (completed,) = await self.completer.complete([value], run, lambda _: [self.selected.key])
        return Outcome(None if completed is NULLED else {self.selected.key: completed}, run.errors)


class RowStream(_Stream):
    """Batch after batch of one list."""

    def __init__(self, selected: Selected, relation: ManyRelation, completer: Completer) -> None:
        super().__init__(selected, completer)
        self.relation = relation

    def _values(self, ctx: Context, arguments: Mapping[str, Any]) -> AsyncGenerator[Any, None]:
        return self.relation.batches(ctx, arguments)


class PieceStream(_Stream):
    """What a store yields."""

    def __init__(self, selected: Selected, pieces: Pieces, completer: Completer) -> None:
        super().__init__(selected, completer)
        self.pieces = pieces

    def _values(self, ctx: Context, arguments: Mapping[str, Any]) -> AsyncGenerator[Any, None]:
        return self.pieces.generate(ctx, arguments)


Compiled = Level | RowStream | PieceStream | LiveStream
