"""Pydantic models generated from variables and input types: what a request is checked against, never written by hand.

Their messages are those of the services being replaced, which were built with the same library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

from graphql import (
    GraphQLEnumType,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    is_required_input_field,
)
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, create_model
from pydantic_core import PydanticCustomError

from core.clock import wire_time
from engine.constraints import Constraint, constraint_of
from engine.operation import Leaves
from engine.scalars import LARGEST_LONG, SMALLEST_LONG


class Unsupported(Exception):
    """An input type that no request can be checked against."""


class WireModel(BaseModel):
    """Base of the generated models: unknown keys are ignored, patterns mean what Python's `re` says they mean."""

    model_config = ConfigDict(extra="ignore", regex_engine="python-re")


@dataclass(frozen=True, slots=True)
class Member:
    """One key of a model: its name on the wire and in the graph, and what it holds."""

    wire: str
    name: str
    type: GraphQLInputType
    constraint: Constraint | None
    required: bool


def _utc(moment: datetime) -> str:
    return wire_time(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


_SCALARS: dict[str, Any] = {
    "Int": Annotated[int, Field(ge=-(2**31), le=2**31 - 1)],
    "Long": Annotated[int, Field(ge=SMALLEST_LONG, le=LARGEST_LONG)],
    "Float": Annotated[float, Field(allow_inf_nan=False)],
    "String": str,
    "ID": str,
    "Boolean": bool,
    "UUID": Annotated[UUID, PlainSerializer(str)],
    "DateTime": Annotated[datetime, PlainSerializer(_utc)],
    "Date": Annotated[date, PlainSerializer(date.isoformat)],
    "JSON": Annotated[Any, PlainSerializer(lambda value: value)],
}


class Models:
    """Generates the models of one dialect, one per input type."""

    def __init__(self, leaves: Leaves, spell: Callable[[str], str]) -> None:
        self._leaves = leaves
        self._spell = spell
        self._made: dict[str, Any] = {}

    def model(self, name: str, members: Iterable[Member]) -> type[WireModel]:
        """A model of those members. Attributes are numbered: a key may have any name."""
        fields: dict[str, Any] = {
            f"f{number}": (
                self.annotation(member.type, member.constraint),
                Field(... if member.required else None, validation_alias=member.wire, serialization_alias=member.name),
            )
            for number, member in enumerate(members)
        }
        return create_model(name, __base__=WireModel, **fields)

    def annotation(self, type_: GraphQLInputType, constraint: Constraint | None = None) -> Any:
        """The Python type of a GraphQL input type, within its constraint."""
        if isinstance(type_, GraphQLNonNull):
            return self._within(type_.of_type, constraint)
        inner = self._within(type_, constraint)
        return inner if constraint is not None and constraint.nullable is False else inner | None

    def _within(self, type_: Any, constraint: Constraint | None) -> Any:
        if isinstance(type_, GraphQLList):
            return list[self.annotation(type_.of_type)]  # type: ignore[misc]  # a type made here, not written
        if constraint is not None and constraint.one_of:
            return Literal[tuple(constraint.one_of)]
        plain = self._named(type_)
        return plain if constraint is None else Annotated[plain, _bounds(constraint)]

    def _named(self, type_: Any) -> Any:
        if type_.name not in self._made:
            self._made[type_.name] = None
            self._made[type_.name] = self._make(type_)
        made = self._made[type_.name]
        if made is None:
            raise Unsupported(f"The input type {type_.name!r} contains itself.")
        return made

    def _make(self, type_: Any) -> Any:
        if isinstance(type_, GraphQLEnumType):
            return self._enum(type_)
        if isinstance(type_, GraphQLInputObjectType):
            return self.model(type_.name, [self._member(name, field) for name, field in type_.fields.items()])
        return _SCALARS.get(type_.name) or _by_its_own_parser(type_)

    def _enum(self, type_: GraphQLEnumType) -> Any:
        """Members are named as in the graph and valued as on the wire."""
        members = Enum(type_.name, {name: self._leaves.enum(name) for name in type_.values})  # type: ignore[misc]  # its members are known here
        return Annotated[members, PlainSerializer(lambda member: member.name)]

    def _member(self, name: str, field: Any) -> Member:
        return Member(self._spell(name), name, field.type, constraint_of(field), is_required_input_field(field))


def _bounds(constraint: Constraint) -> Any:
    return Field(
        ge=constraint.min,
        le=constraint.max,
        min_length=constraint.min_length,
        max_length=constraint.max_length,
        pattern=constraint.pattern,
    )


def _by_its_own_parser(scalar: GraphQLScalarType) -> Any:
    """A scalar unknown here is checked by what the graph itself would do with the value."""

    def check(value: Any) -> Any:
        try:
            scalar.coerce_input_value(value)
        except (GraphQLError, ValueError, TypeError) as error:
            raise PydanticCustomError("value_error", "{reason}", {"reason": str(error)}) from error
        return value

    return Annotated[Any, AfterValidator(check), PlainSerializer(lambda value: value)]
