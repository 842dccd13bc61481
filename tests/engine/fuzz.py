"""Random operations from a schema, and random rows (some of them broken) from its tables."""

from __future__ import annotations

import re
import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import asyncpg
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLObjectType,
    GraphQLSchema,
    OperationType,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_required_argument,
    is_required_input_field,
)
from sqlalchemy import BigInteger, Boolean, Column, Float, Integer, MetaData, Table, make_url

from core.identity import INSTRUMENTS
from core.ids import encode_global_id
from storage.sql.types import EnumColumn, JsonColumn, TimeColumn, UuidColumn, stored_time

POOL = 6
"""Keys per table: few, so that rows refer to each other."""


def pool_key(number: int) -> UUID:
    return UUID(int=number)


# --- operations ----------------------------------------------------------------------------------------------------------


class Operations:
    """One random operation per call, as text with variables. Some are invalid; whoever asks validates."""

    def __init__(self, schema: GraphQLSchema, random: Random) -> None:
        self._schema, self._random = schema, random
        self._cursors: deque[str] = deque(maxlen=30)

    def seen(self, data: Any) -> None:
        """Remember the cursors of an answer: later operations use them, for their own list and for others."""
        self._cursors.extend(_cursors(data))

    def query(self) -> tuple[str, dict[str, Any]]:
        return self._operation(OperationType.QUERY, self._random.randint(1, 3))

    def mutation(self) -> tuple[str, dict[str, Any]]:
        return self._operation(OperationType.MUTATION, self._random.randint(1, 4))

    def subscription(self) -> tuple[str, dict[str, Any]]:
        return self._operation(OperationType.SUBSCRIPTION, 1)

    def _operation(self, kind: OperationType, fields: int) -> tuple[str, dict[str, Any]]:
        self._fragments: dict[str, tuple[str, str]] = {}
        self._variables: dict[str, tuple[str, Any]] = {}
        root = self._schema.get_root_type(kind)
        assert root is not None
        streams = kind is OperationType.SUBSCRIPTION
        body = self._selections(root, 5, fields, plain=streams)
        spread = {
            name
            for name in self._fragments
            if f"...{name} " in body or any(f"...{name} " in text for _, text in self._fragments.values())
        }
        fragments = [
            f"fragment {name} on {self._fragments[name][0]} {{ {self._fragments[name][1]} }}" for name in sorted(spread)
        ]
        declared = ", ".join(f"${name}: {kind}" for name, (kind, _) in self._variables.items())
        values = {name: value for name, (_, value) in self._variables.items() if value is not ...}
        return "\n".join([f"{kind.value} Q{f'({declared})' if declared else ''} {{ {body} }}", *fragments]), values

    def _selections(self, kind: Any, depth: int, most: int, *, plain: bool = False) -> str:
        random = self._random
        if is_abstract_type(kind):
            return self._abstract(kind, depth)
        fields = list(kind.fields.items())
        shallow = [(name, field) for name, field in fields if is_leaf_type(get_named_type(field.type))]
        choices = fields if depth > 0 else shallow
        chosen = random.sample(choices, min(most, len(choices)))
        if kind is self._schema.mutation_type:  # in an order, some of them again
            chosen = random.choices(choices, k=most)
        parts: list[str] = []
        for name, field in chosen:
            parts.append(self._field(name, field, depth, plain=plain))
            if not plain and not field.args and random.random() < 0.15:
                parts.append(self._field(name, field, depth, alias=False))  # merged with the first
        if not plain and random.random() < 0.2:
            parts.append("__typename")
        if not plain and random.random() < 0.15 and depth > 0:
            parts.append(f"...{self._fragment(kind, depth)} {self._condition()}")
        if not plain and random.random() < 0.1:
            parts.append(f"... {self._condition()} {{ __typename }}")
        if not plain and kind.interfaces and random.random() < 0.2:
            interface = random.choice(list(kind.interfaces))
            parts.append(f"... on {interface.name} {{ {random.choice(list(interface.fields))} }}")
        random.shuffle(parts)
        return " ".join(parts) or "__typename"

    def _abstract(self, kind: Any, depth: int) -> str:
        random, parts = self._random, ["__typename"]
        parts += [name for name in getattr(kind, "fields", {}) if random.random() < 0.5]
        for possible in self._schema.get_possible_types(kind):
            if random.random() < 0.6:
                inner = self._selections(possible, depth - 1, 3)
                parts.append(f"... on {possible.name} {self._condition()} {{ {inner} }}")
        return " ".join(parts)

    def _field(self, name: str, field: GraphQLField, depth: int, *, plain: bool = False, alias: bool = True) -> str:
        target = get_named_type(field.type)
        arguments = self._arguments(field)
        key = f"a{self._random.randint(0, 99)}: " if alias and (arguments or self._random.random() < 0.2) else ""
        below = ""
        if not is_leaf_type(target):
            width = self._random.randint(1, 4)
            below = f" {{ {self._selections(target, depth - 1, width)} }}"
        return f"{key}{name}{arguments}{'' if plain else self._condition()}{below}"

    def _fragment(self, kind: GraphQLObjectType, depth: int) -> str:
        known = [name for name, (on, _) in self._fragments.items() if on == kind.name]
        if known and self._random.random() < 0.5:
            return self._random.choice(known)
        inner = self._selections(kind, min(depth - 1, 1), 2)
        name = f"F{len(self._fragments)}"
        self._fragments[name] = kind.name, inner
        return name

    def _condition(self) -> str:
        if self._random.random() > 0.12:
            return ""
        condition = self._random.choice(["true", "false", "$y", "$z", "$d"])
        if condition in {"$y", "$z"}:
            self._variables.setdefault(condition[1:], ("Boolean!", self._random.random() < 0.7))
        if condition == "$d":
            self._variables.setdefault("d", ("Boolean = true", self._random.choice([..., False, True])))
        return f" @{self._random.choice(['skip', 'include'])}(if: {condition})"

    def _arguments(self, field: GraphQLField) -> str:
        given: list[str] = []
        pages = [("first",), ("last",), ("first", "offset"), ()] * 4
        pages += [("first", "after"), ("after",), ("last", "before"), ("before",)] if self._cursors else []
        paging = self._random.choice([*pages, ("after",), ("first", "last")])
        for name, argument in field.args.items():
            is_paging = name in {"first", "last", "after", "before", "offset"}
            wanted = name in paging if is_paging else is_required_argument(argument) or self._random.random() < 0.3
            if wanted:
                given.append(f"{name}: {self._value(name, argument.type)}")
        return f"({', '.join(given)})" if given else ""

    def _value(self, name: str, kind: Any) -> str:
        literal, raw = self._pick(name, kind.of_type if is_non_null_type(kind) else kind)
        if self._random.random() < 0.5:
            return literal
        variable = f"v{len(self._variables)}"
        absent = not is_non_null_type(kind) and self._random.random() < 0.2
        if self._random.random() < 0.02:
            raw = self._random.choice([{}, [], "nonsense", 2**70, 1.5, True, None])
        self._variables[variable] = str(kind), ... if absent else raw
        return f"${variable}"

    def _pick(self, name: str, kind: Any) -> tuple[str, Any]:
        random = self._random
        if is_list_type(kind):
            made = [self._pick(name, get_named_type(kind)) for _ in range(random.choice([0, 1, 1, 1, 2, 3]))]
            return f"[{', '.join(literal for literal, _ in made)}]", [raw for _, raw in made]
        if isinstance(kind, GraphQLEnumType):
            value = random.choice(list(kind.values))
            return value, value
        if isinstance(kind, GraphQLInputObjectType):
            fields = list(kind.fields.items())
            if not any(map(is_required_input_field, kind.fields.values())):  # a filter
                nested = [each for each in fields if get_named_type(each[1].type) is not kind or random.random() < 0.3]
                fields = random.sample(nested, min(random.choice([0, 1, 1, 1, 2]), len(nested)))
            parts = {field: self._pick(field, get_nullable_type(each.type)) for field, each in fields}
            literal = ", ".join(f"{field}: {text}" for field, (text, _) in parts.items())
            return f"{{{literal}}}", {field: raw for field, (_, raw) in parts.items()}
        if name in {"first", "last", "offset"}:
            number = random.choice([0, 1, 2, 3, 20, 20, 50, 50, 50, 501, -1] if random.random() < 0.3 else [1, 2, 3, 20, 50])
            return str(number), number
        if kind.name == "Boolean":
            flag = random.random() < 0.5
            return str(flag).lower(), flag
        if kind.name in {"Int", "Long", "Float"}:
            number = random.choice([random.randint(0, POOL), 13, 14, 500])
            return str(number), number
        text = random.choice(self._cursors) if name in {"after", "before"} and self._cursors else self._text(kind.name)
        return f'"{text}"', text

    def _text(self, kind: str) -> str:
        key = pool_key(self._random.randint(0, POOL))
        if kind == "UUID":
            return str(key)
        if kind == "DateTime":
            return stored_time(self._random.choice(MOMENTS))
        if kind == "ID":
            types = [each for each in self._schema.type_map.values() if isinstance(each, GraphQLObjectType) and each.interfaces]
            local = self._random.choice([str(key), str(self._random.randint(0, POOL)), "zzz"])
            return self._random.choice([encode_global_id(self._random.choice(types).name, local), "no id", ""])
        return self._random.choice(["one", "two words", "nothing", "Ünïcode", "taken"])


def _cursors(data: Any) -> Iterator[str]:
    if isinstance(data, dict | list):
        for each in data.values() if isinstance(data, dict) else data:
            yield from _cursors(each)
    elif isinstance(data, str) and data.startswith("Wy"):  # `["` in base64
        yield data


# --- rows ----------------------------------------------------------------------------------------------------------------


def relaxed(tables: MetaData) -> MetaData:
    """The same tables without what keeps them whole: only primary keys are left."""
    lax = MetaData()
    for table in tables.sorted_tables:
        for each in table.columns:
            column = Column(each.name, each.type, primary_key=each.primary_key, autoincrement=False)
            column.info["may be null"] = each.nullable  # unless the row is broken
            Table(table.name, lax, column, extend_existing=True)
    return lax


async def fill(url: str, tables: Iterable[Table], random: Random, broken: float) -> None:
    """Random rows in every table; `broken` is how likely a value is one that a healthy database would not hold."""
    on_postgresql = url.startswith("postgresql")
    statements = []
    for table in tables:
        rows = [
            [_cell(column, number, random, broken, on_postgresql=on_postgresql) for column in table.columns]
            for number in range(1, POOL + 1)
        ]
        names = ", ".join(f'"{column.name}"' for column in table.columns)
        marks = ", ".join(f"${number}" for number, _ in enumerate(table.columns, 1))
        insert = f'INSERT INTO "{table.name}" ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING'
        statements.append((f'DELETE FROM "{table.name}"', insert, rows))
    await (_into_postgresql if on_postgresql else _into_sqlite)(url, statements)


Statements = Sequence[tuple[str, str, list[list[Any]]]]
"""For each table: how to empty it, how to insert a row, its rows."""


async def _into_sqlite(url: str, statements: Statements) -> None:
    with sqlite3.connect(make_url(url).database or "") as connection:
        for delete, insert, rows in statements:
            connection.execute(delete)
            connection.executemany(re.sub(r"\$\d+", "?", insert), rows)
    connection.close()


async def _into_postgresql(url: str, statements: Statements) -> None:
    connection = await asyncpg.connect(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False))
    try:
        async with connection.transaction():
            for delete, insert, rows in statements:
                await connection.execute(delete)
                await connection.executemany(insert, rows)
    finally:
        await connection.close()


def _cell(column: Any, number: int, random: Random, broken: float, *, on_postgresql: bool) -> Any:
    alone = column.primary_key and len(column.table.primary_key.columns) == 1
    if alone and isinstance(column.type, UuidColumn | Integer):
        return number if isinstance(column.type, Integer) else str(pool_key(number))
    is_broken = random.random() < broken
    absent = 0.75 if column.name == "deleted_at" else 0.08
    if not column.primary_key and (
        random.random() < absent if column.info["may be null"] else is_broken and random.random() < 0.3
    ):
        return None
    if column.name == "domain":  # of a membership; what belongs to another domain is nobody's business
        return random.choice([INSTRUMENTS, INSTRUMENTS, "elsewhere"])
    if column.name == "kind" and column.table.name == "runs":
        return random.choice(["harvest", "harvest", "other"])
    if column.table.name == "links" and not is_broken:
        if column.name.endswith("_type"):
            return random.choice(["FileRecord", "HarvestRun", "User"])
        if column.name.endswith("_id"):
            return str(pool_key(random.randint(1, POOL)))
        if column.name == "kind":
            return random.choice(["produced_by", "consumed_by", "derived_from", "derived_from"])
    values = _postgresql_value if on_postgresql else _sqlite_value
    return random.choice(values(column.type, random, is_broken=is_broken))


MOMENT = datetime(2026, 11, 21, tzinfo=UTC)
MOMENTS = [MOMENT + timedelta(microseconds=after) for after in (0, 1, 10**6, 123456789)]


def _sqlite_value(kind: Any, random: Random, *, is_broken: bool) -> Sequence[Any]:
    """SQLite keeps whatever it is given."""
    if isinstance(kind, UuidColumn):
        return [str(pool_key(random.randint(1, POOL + 1)))]
    if isinstance(kind, EnumColumn):
        return ["no such value", 7, ""] if is_broken else [each.value for each in kind.kind]
    if isinstance(kind, TimeColumn):
        broken = ["never", "", "2026-11-21", "2026-13-45T00:00:00.000000Z", "2026-11-21T00:00:00+02:00", 7]
        return broken if is_broken else list(map(stored_time, MOMENTS))
    if isinstance(kind, JsonColumn):
        return ["{", "", "NaN", '{"a":1} x', 7] if is_broken else ['{"a":[1,null,"é"]}', "[]", "3", "null"]
    if isinstance(kind, Boolean):
        return [2] if is_broken else [0, 1]
    if isinstance(kind, Float):
        return [float("inf"), "many"] if is_broken else [0.5, 2.0, 10.25]
    if isinstance(kind, Integer):
        return [2**40, "twelve", 1.5] if is_broken else [1, 2, 13, 14, 500]
    return [b"\x00bytes", 1] if is_broken else ["one", "two words", "", "Ünïcode", "nul \x00 inside"]


def _postgresql_value(kind: Any, random: Random, *, is_broken: bool) -> Sequence[Any]:
    """What the column's type lets through."""
    if isinstance(kind, UuidColumn):
        return [str(pool_key(random.randint(1, POOL + 1)))]
    if isinstance(kind, EnumColumn):
        return ["no such value", ""] if is_broken else [each.value for each in kind.kind]
    if isinstance(kind, TimeColumn):
        return [MOMENT.replace(year=1), datetime.max.replace(tzinfo=UTC)] if is_broken else MOMENTS
    if isinstance(kind, JsonColumn):
        return ['"\\u0000"'] if is_broken else ['{"a":[1,null,"é"]}', "[]", "3", "null"]
    if isinstance(kind, Boolean):
        return [False, True]
    if isinstance(kind, Float):
        return [float("inf"), float("nan")] if is_broken else [0.5, 2.0, 10.25]
    if isinstance(kind, BigInteger):
        return [2**40, -(2**63)] if is_broken else [1, 2, 13, 14, 500]
    if isinstance(kind, Integer):
        return [2**31 - 1, -1] if is_broken else [1, 2, 13, 14, 500]
    return ["\ufffe\U0010ffff"] if is_broken else ["one", "two words", "", "Ünïcode"]
