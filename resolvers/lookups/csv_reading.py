"""Rows of an uploaded CSV file, in memory that does not grow with it (contract lmio-watcher §9.1).

What a row is is what `csv.DictReader` says.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

from core.errors import InvalidInput, Problem
from core.exact_json import read_json as exact_json
from core.lookups.declarations import Declaration
from core.lookups.ids import checked_id, id_of
from core.lookups.items import ABSENT, Change
from core.lookups.values import KINDS, Value
from resolvers.lookups.bodies import key_part
from resolvers.lookups.expiration import expiration

LONGEST_CELL = 131_072
"""Characters; the module `csv` takes no more."""

LONGEST_LINE = 2**22
"""Characters until the next line break."""

_BLOCK = 2**18

Cells = Sequence[str]


def checked_delimiter(given: str | None) -> str:
    """One character; a semicolon by default."""
    if given is None:
        return ";"
    if len(given) != 1 or given in '"\r\n\0':
        raise InvalidInput("delimiter: it is one character, and no quote or line break", field="delimiter", value=given)
    return given


class CsvRows:
    """The changes that a file stands for. Each iteration begins anew, and raises `InvalidInput` with line and column."""

    def __init__(
        self, file: BinaryIO, declaration: Declaration, *, delimiter: str = ";", longest_cell: int = LONGEST_CELL
    ) -> None:
        """The file has to be seekable; it stays open."""
        self.skipped = 0
        """Rows without any id, in the last iteration."""
        self._file, self._declaration = file, declaration
        self._delimiter, self._longest, self._has_long_lines = delimiter, min(longest_cell, LONGEST_CELL), False

    def __iter__(self) -> Iterator[Change]:
        self._file.seek(0)
        self.skipped = 0
        text = io.TextIOWrapper(self._file, "utf-8-sig", newline="")
        try:
            yield from self._changes(csv.reader(self._lines(text), delimiter=self._delimiter))
        finally:
            if not self._file.closed:
                text.detach()

    def _changes(self, reader: Any) -> Iterator[Change]:
        header, begun = None, 1
        for row in self._rows(reader):
            line, begun = begun, reader.line_num + 1
            if not row:
                continue
            if header is None:
                header = _Header(self._declaration, row, line)
                continue
            if self._has_long_lines or begun > line + 1:  # else no cell can be too long
                self._check(row, line)
            if (change := header.change(row, line)) is None:
                self.skipped += 1
            else:
                yield change

    def _rows(self, reader: Any) -> Iterator[Cells]:
        try:
            yield from reader
        except UnicodeDecodeError as error:
            raise _bad(_undecodable_line(self._file), None, "the file is not valid UTF-8") from error
        except csv.Error as error:
            raise _bad(reader.line_num, None, str(error)) from error

    def _check(self, row: Cells, line: int) -> None:
        if len(max(row, key=len)) > self._longest:
            raise _bad(line, None, f"a cell has more than {self._longest} characters")

    def _lines(self, text: io.TextIOWrapper) -> Iterator[str]:
        """As they are, but none without end: the module `csv` keeps a whole line in memory."""
        number = 0
        while line := text.readline(LONGEST_LINE):
            number += 1
            if len(line) > self._longest:
                self._has_long_lines = True
                if len(line) == LONGEST_LINE:
                    raise _bad(number, None, f"the line has more than {LONGEST_LINE} characters")
            yield line


class _Header:
    """Which column is what."""

    def __init__(self, declaration: Declaration, row: Cells, line: int) -> None:
        self._declaration, self._key = declaration, _KeyReader(declaration)
        columns = {cell.strip(): at for at, cell in enumerate(row)}  # of a repeated one the last
        self._id, self._keys, self._exp = (columns.get(name, -1) for name in ("_id", "_keys", "_exp"))
        self._parts = [columns.get(name, -1) for name in declaration.key_types]
        self._by_parts = -1 not in self._parts
        self._fields: list[tuple[int, str, Callable[[str], Value]]] = [
            (columns[name], name, KINDS[kind].from_text) for name, kind in declaration.field_types.items() if name in columns
        ]
        if self._id < 0 and self._keys < 0 and not self._by_parts:
            names = ", ".join(declaration.key_types)
            raise _bad(line, None, f"no column is _id or _keys, or has a key ({names}): is the delimiter another one?")

    def change(self, row: Cells, line: int) -> Change | None:
        """What one row says; None if it has no id."""
        name = "_id"
        try:
            found = self._identity(row)
            if found is None:
                return None
            fields: dict[str, Value | None] = {}
            width = len(row)
            for at, name, read in self._fields:
                if at < width and (cell := row[at].strip()):
                    fields[name] = read(cell)
            name = "_exp"
            expires = _cell(row, self._exp)
            return Change(*found, fields, expiration(expires) if expires else ABSENT)
        except InvalidInput as error:
            raise _bad(line, error.field or name, error.detail) from error
        except ValueError as error:
            raise _bad(line, name, str(error)) from error

    def _identity(self, row: Cells) -> tuple[str, tuple[Value, ...] | None] | None:
        item_id, keys_cell = _cell(row, self._id), _cell(row, self._keys)
        if item_id and keys_cell:
            return checked_id(item_id), self._key.of_cell(keys_cell)
        if item_id and self._declaration.is_compound:
            return checked_id(item_id), None
        if item_id:
            keys = self._key.of_texts([item_id])
        elif keys_cell:
            keys = self._key.of_cell(keys_cell)
        else:
            cells = [_cell(row, at) for at in self._parts] if self._by_parts else ()
            if not any(cells):
                return None
            keys = self._key.of_texts(cells)
        return id_of(self._declaration, keys), keys


class _KeyReader:
    """Parts of keys as text."""

    def __init__(self, declaration: Declaration) -> None:
        self._types = declaration.key_types
        self._readers = [(name, KINDS[kind].from_text) for name, kind in self._types.items()]

    def of_cell(self, cell: str) -> tuple[Value, ...]:
        """Separated by commas, or as a JSON array of scalars."""
        values = _json_parts(cell, len(self._types)) if cell.startswith("[") else None
        if values is not None:
            return tuple(key_part(kind, value, name) for value, (name, kind) in zip(values, self._types.items(), strict=True))
        parts = cell.split(",") if len(self._types) > 1 else [cell]
        if len(parts) != len(self._types):
            raise InvalidInput(f"_keys: {len(parts)} parts, and {len(self._types)} are declared", field="_keys", value=cell)
        return self.of_texts(parts)

    def of_texts(self, parts: Sequence[str]) -> tuple[Value, ...]:
        """Of each part, in declared order."""
        values = []
        for part, (name, read) in zip(parts, self._readers, strict=True):
            if not (text := part.strip()):
                raise InvalidInput(f"{name}: this part of the key is empty", field=name)
            try:
                values.append(read(text))
            except ValueError as error:
                raise InvalidInput(f"{name}: {error}", field=name, value=part) from error
        return tuple(values)


def read_keys_cell(declaration: Declaration, cell: str) -> tuple[Value, ...]:
    """Parts of a key in one text: separated by commas, or as a JSON array. `InvalidInput` if they are not as declared."""
    return _KeyReader(declaration).of_cell(cell.strip())


def _json_parts(cell: str, count: int) -> Sequence[object] | None:
    try:
        parts = exact_json(cell.encode())
    except (ValueError, RecursionError):
        return None
    fits = isinstance(parts, list) and len(parts) == count and all(isinstance(part, str | int | float) for part in parts)
    return parts if fits else None


def _cell(row: Cells, at: int) -> str:
    return row[at].strip() if 0 <= at < len(row) else ""


def _undecodable_line(file: BinaryIO) -> int:
    file.seek(0)
    decoder, line = codecs.getincrementaldecoder("utf-8")(), 1
    while True:
        block = file.read(_BLOCK)
        try:
            decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            return line + error.object[: error.start].count(b"\n")
        assert block, "it was not valid a moment ago"
        line += block.count(b"\n")


def _bad(line: int, column: str | None, detail: str) -> InvalidInput:
    where = f"line {line}" if column is None else f"line {line}, column {column}"
    detail = detail.removeprefix(f"{column}: ")
    return InvalidInput(f"{where}: {detail}", field="file", problems=[Problem(("file", line, column or ""), detail)])
