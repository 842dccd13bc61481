"""Subscriptions that look again whenever what they follow has changed.

A look depends on nothing but its arguments and the place that the look before it has reached. So whoever runs it may look late,
once for several changes, once for several clients who stand at the same place, or again after a failure: nothing is lost.
"""

from __future__ import annotations

from collections.abc import Hashable

from graphql import VariableValues, located_error

from core.context import Context
from engine.arguments import declared_arguments
from engine.kinds import Live, Topic
from engine.levels import NULLED, Completer, Run
from engine.operation import Look, Outcome
from engine.planner import Selected


class LiveStream:
    """The one field of a live subscription."""

    def __init__(self, selected: Selected, live: Live, completer: Completer) -> None:
        self.selected, self.live, self.completer = selected, live, completer
        self._arguments = declared_arguments(selected.field, selected.nodes[0])

    def topic(self, variables: VariableValues) -> Topic:
        """What to watch. Raises what is wrong with the arguments."""
        return self.live.topic(self._arguments(variables))

    async def look(self, run: Run, place: Hashable) -> Look:
        """A look from that place on; the first has None. One that fails is the last."""
        try:
            if self.selected.guard is not None:
                self.selected.guard(run.ctx)
            found = await self.live.look(run.ctx, self._arguments(run.variables), place)
        except Exception as error:  # noqa: BLE001  # whatever ends the stream is the error of its one field
            return Look(Outcome(None, [located_error(error, self.selected.nodes, [self.selected.key])]), place, ended=True)
        if found.value is None:
            return Look(None, found.place, found.ended, found.more)
        (value,) = await self.completer.complete([found.value], run, lambda _: [self.selected.key])
        outcome = Outcome(None if value is NULLED else {self.selected.key: value}, run.errors)
        return Look(outcome, found.place, found.ended, found.more)


class Following:
    """A live subscription with its variables."""

    def __init__(self, stream: LiveStream, variables: VariableValues) -> None:
        self.topic, self._stream, self._variables = stream.topic(variables), stream, variables

    async def look(self, ctx: Context, place: Hashable) -> Look:
        """See `engine.operation.Following`."""
        return await self._stream.look(Run(ctx, self._variables), place)
