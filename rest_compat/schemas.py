"""JSON Schemas of what goes over the wire, from selections and input types. Named ones are collected as components."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    Undefined,
    get_named_type,
    is_enum_type,
    is_required_input_field,
)

from engine.constraints import Constraint, constraint_of
from rest_compat.declaration import Declaration
from rest_compat.dialect import Dialect, Json
from rest_compat.directives import NULL, Source
from rest_compat.parameters import Parameter
from rest_compat.selection import Selected, Selection

_SCALARS: dict[str, Json] = {
    "Int": {"type": "integer", "format": "int32"},
    "Long": {"type": "integer"},
    "Float": {"type": "number"},
    "String": {"type": "string"},
    "ID": {"type": "string"},
    "Boolean": {"type": "boolean"},
    "UUID": {"type": "string", "format": "uuid"},
    "DateTime": {"type": "string", "format": "date-time"},
    "Date": {"type": "string", "format": "date"},
}
"""Any other scalar holds any JSON."""


class Schemas:
    """The schemas of one dialect. What a fragment or an input type names becomes a component of that name."""

    def __init__(self, dialect: Dialect, components: dict[str, Json]) -> None:
        self._dialect = dialect
        self._components = components

    def body(self, declared: Declaration) -> Json:
        """The body of a successful reply."""
        return self._selection(declared.selection, found=True)

    def headers(self, declared: Declaration) -> Json:
        """The headers that the selection fills."""
        marked = [field for selection in declared.selection.walk() for field in selection.fields if field.marks.header]
        return {str(field.marks.header): {"schema": self._output(field.type, field)} for field in marked}

    def error(self, status: int) -> Json:
        """The body of an error of that status."""
        schema = self._dialect.error_schemas()[status]
        return self._component(schema["title"], schema)

    def parameter(self, parameter: Parameter) -> Json:
        """The value of one variable."""
        schema = self._input(parameter.type, parameter.constraint)
        if parameter.default is not Undefined and parameter.default is not None:
            is_enum = is_enum_type(get_named_type(parameter.type)) and isinstance(parameter.default, str)
            schema = schema | {"default": self._dialect.leaves.enum(parameter.default) if is_enum else parameter.default}
        return _described(schema, parameter.description)

    def query(self, parameter: Parameter) -> Iterator[Json]:
        """The parameters of which the dialect makes one variable."""
        pages, prefix = self._dialect.pages, parameter.wire
        if parameter.source is Source.PREFIX:
            described = (
                f"`{prefix}` and the name of a field: `{self._dialect.ascending}` is ascending, anything else descending."
            )
            terms = {"type": "object", "patternProperties": {f"^{re.escape(prefix)}.+": {"type": "string"}}}
            yield _query(prefix, terms | {"additionalProperties": False}) | {"explode": True, "description": described}
        elif pages is not None:
            yield _query(pages.number, {"type": "integer", "minimum": 1, "default": 1})
            yield _query(pages.size, {"type": "integer", "minimum": 1, "default": pages.largest})

    def file(self, parameter: Parameter) -> Json:
        """A multipart body with one."""
        part = _described({"type": "string", "format": "binary"}, parameter.description)
        return _object({parameter.wire: part}, [parameter.wire])

    def members(self, parameters: Sequence[Parameter]) -> Json:
        """Variables that are members of one body."""
        required = [each.wire for each in parameters if each.required]
        return _object({each.wire: self.parameter(each) for each in parameters}, required)

    def _selection(self, selection: Selection, *, found: bool = False) -> Json:
        if selection.fragment is None:
            return self._opened(selection, found=found)
        name = self._name(selection.fragment)
        if name not in self._components:
            self._components[name] = self._opened(selection, found=found)
        return _reference(name)

    def _opened(self, selection: Selection, *, found: bool) -> Json:
        unwrapped = selection.unwrapped
        if unwrapped is not None:
            return self._unwrapped(unwrapped, found=found)
        alternatives: list[Json] = []
        for fields in selection.variants.values():
            schema = self._object(fields)
            if schema not in alternatives:
                alternatives.append(schema)
        return _any_of(alternatives)

    def _unwrapped(self, field: Selected, *, found: bool) -> Json:
        """Unwrapped from the root on, what is null is a 404 and no body."""
        exists = found and field.below is not None and not any(each.when == NULL for each in field.marks.statuses)
        if exists and not field.many and field.below is not None:
            return self._selection(field.below, found=True)
        return self._output(field.type, field)

    def _object(self, fields: Iterable[Selected]) -> Json:
        properties: Json = {}
        required: list[str] = []
        for field in fields:
            if field.marks.spread and field.below is None:
                continue  # any other keys
            if field.marks.spread and field.below is not None:
                inner = self._object(field.below.fields)
                properties |= inner["properties"]
                required += inner["required"]
            elif field.marks.header is None:
                properties[field.key] = _described(self._output(field.type, field), field.description)
                required += [] if field.marks.omit else [field.key]
        return _object(properties, required)

    def _output(self, type_: Any, field: Selected) -> Json:
        if isinstance(type_, GraphQLNonNull):
            return self._present(type_.of_type, field)
        return _nullable(self._present(type_, field))

    def _present(self, type_: Any, field: Selected) -> Json:
        if isinstance(type_, GraphQLList):
            return {"type": "array", "items": self._output(type_.of_type, field)}
        return self._leaf(type_) if field.below is None else self._selection(field.below)

    def _input(self, type_: Any, constraint: Constraint | None) -> Json:
        if isinstance(type_, GraphQLNonNull):
            return self._given(type_.of_type, constraint)
        given = self._given(type_, constraint)
        return given if constraint is not None and constraint.nullable is False else _nullable(given)

    def _given(self, type_: Any, constraint: Constraint | None) -> Json:
        if isinstance(type_, GraphQLList):
            return {"type": "array", "items": self._input(type_.of_type, None)}
        if isinstance(type_, GraphQLInputObjectType):
            return self._input_object(type_)
        return self._leaf(type_) | _bounds(constraint)

    def _input_object(self, type_: GraphQLInputObjectType) -> Json:
        spell = self._dialect.spell
        properties = {
            spell(name): _described(self._input(field.type, constraint_of(field)), field.description)
            for name, field in type_.fields.items()
        }
        required = [spell(name) for name, field in type_.fields.items() if is_required_input_field(field)]
        return self._component(type_.name, _described(_object(properties, required), type_.description))

    def _leaf(self, type_: Any) -> Json:
        if isinstance(type_, GraphQLEnumType):
            return {"type": "string", "enum": [self._dialect.leaves.enum(name) for name in type_.values]}
        return dict(_SCALARS.get(type_.name, {}))

    def _component(self, name: str, schema: Json) -> Json:
        self._components[self._name(name)] = schema
        return _reference(self._name(name))

    def _name(self, name: str) -> str:
        return f"{self._dialect.name}.{name}"


def _query(name: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "required": False, "schema": schema}


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: Json, required: list[str]) -> Json:
    return {"type": "object", "properties": properties, "required": required}


def _any_of(alternatives: list[Json]) -> Json:
    return alternatives[0] if len(alternatives) == 1 else {"anyOf": alternatives}


def _described(schema: Json, description: str | None) -> Json:
    return schema | {"description": description} if description else schema


def _nullable(schema: Json) -> Json:
    if not schema:
        return schema
    if "type" not in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    with_null = schema | {"type": [schema["type"], "null"]}
    return with_null | {"enum": [*schema["enum"], None]} if "enum" in schema else with_null


def _bounds(constraint: Constraint | None) -> Json:
    if constraint is None:
        return {}
    bounds = {
        "minimum": constraint.min,
        "maximum": constraint.max,
        "minLength": constraint.min_length,
        "maxLength": constraint.max_length,
        "pattern": constraint.pattern,
        "enum": constraint.one_of,
    }
    return {keyword: value for keyword, value in bounds.items() if value is not None}
