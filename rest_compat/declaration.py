"""What a document says about one endpoint, read and typed, before anything is built from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from graphql import DirectiveNode, OperationDefinitionNode, OperationType

from rest_compat.dialect import Dialect
from rest_compat.directives import Representation, Rest, Wire
from rest_compat.mistakes import Place
from rest_compat.parameters import Parameter
from rest_compat.router import Template
from rest_compat.selection import Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """One `@rest` of one operation. Names are wire names already."""

    name: str
    definition: OperationDefinitionNode
    rest: Rest
    rest_node: DirectiveNode
    dialect: Dialect
    template: Template
    parameters: tuple[Parameter, ...]
    selection: Selection
    said_wire: Representation | None

    @property
    def kind(self) -> OperationType:
        """Query, mutation or subscription."""
        return self.definition.operation

    @property
    def keyed(self) -> bool:
        """Whether it is a change that its client may name, so that it is made once. What changes with GET has no keys."""
        return self.kind is OperationType.MUTATION and self.rest.method != "GET"

    @property
    def wire(self) -> Wire:
        """The representation of the body; a 204 implies that there is none."""
        if self.said_wire is not None:
            return self.said_wire.wire
        return Wire.EMPTY if self.rest.status == 204 else Wire.JSON

    @property
    def filename(self) -> str | None:
        """The template of the name under which the body is saved."""
        return None if self.said_wire is None else self.said_wire.filename

    @property
    def place(self) -> Place:
        """Where the operation is written."""
        return Place.of(self.definition)

    @property
    def tags(self) -> tuple[str, ...]:
        """The groups it belongs to in documentation; by default its file."""
        return self.rest.tags or (PurePath(self.place.file).stem.replace("_", " "),)

    @property
    def description(self) -> str:
        """What it does: its own description, else that of the field it asks for."""
        if self.definition.description is not None:
            return self.definition.description.value
        return next((field.description for field in self.selection.fields if field.description), self.name.replace("_", " "))
