"""CSV files, read and written: contract lmio-watcher §9.1, §9.2."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.errors import InvalidInput
from core.lookups.ids import id_of
from core.lookups.items import ABSENT, Change, Item
from resolvers.lookups.csv_reading import LONGEST_LINE, CsvRows, checked_delimiter, read_keys_cell
from resolvers.lookups.csv_writing import CsvWriter
from resolvers.lookups.declarations import declared

DATA = Path(__file__).parents[3] / "demo" / "lookups"
SAMPLES = Path(__file__).parents[2] / "samples" / "lookups"

SINGLE = declared(
    {"name": "x", "keys": [{"name": "code"}], "fields": {"a": {}, "n": {"type": "ui8"}, "location": {"type": "geopoint"}}}
)
MACS = declared({"name": "x", "type": "lookup", "keys": [{"name": "mac", "type": "mac"}], "fields": {"a": {}}})
COMPOUND = declared({"name": "x", "keys": [{"name": "k"}, {"name": "l"}], "fields": {"a": {}}})


def read(declaration, text: str | bytes, **options) -> list[Change]:
    data = text if isinstance(text, bytes) else text.encode()
    return list(CsvRows(io.BytesIO(data), declaration, **options))


def refused(declaration, text: str | bytes, **options) -> str:
    with pytest.raises(InvalidInput) as refusal:
        read(declaration, text, **options)
    assert refusal.value.field == "file"
    return refusal.value.detail


# --- what a row is -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "_id;a;n\nx;text;7\n",
        "_id;a;n\r\nx;text;7",
        "\ufeff_id;a;n\nx;text;7\n",
        ' _id ;"a"; n\n x ; text ;" 7 "\n',
        "_id;a;n;unknown\nx;text;7;y;beyond;the header\n",
        "\n\n_id;a;n\n\r\n\nx;text;7\n\n",
        "a;_id;a;n\nfirst;x;text;7\n",
        "code;a;n\nx;text;7\n",
        "_keys;a;n\nx;text;7\n",
        '_keys;a;n\n"[""x""]";text;7\n',
        "_id;code;a;n\nx;other;text;7\n",
        "_id;_keys;a;n;location;_exp\nx;;text;7;;\n",
    ],
)
def test_spellings_of_one_row(text):
    assert read(SINGLE, text) == [Change("x", ("x",), {"a": "text", "n": 7})]


def test_quoted_cells():
    text = '_id;a\n"x;1";"two\nlines, and a ""quote"""\n'
    assert read(SINGLE, text) == [Change("x;1", ("x;1",), {"a": 'two\nlines, and a "quote"'})]


def test_missing_and_empty_cells_are_not_set():
    assert read(SINGLE, "_id;a;n\nx\ny;;\nz; ;5\n") == [
        Change("x", ("x",)),
        Change("y", ("y",)),
        Change("z", ("z",), {"n": 5}),
    ]


def test_expirations():
    rows = read(SINGLE, "_id;_exp\nx; 1767225600.5 \ny;2026-01-01\nz;\n")
    assert [row.expires_at for row in rows] == [1767225600.5, 1767225600.0, ABSENT]


def test_geopoints_in_every_notation():
    text = '_id;location\nx;50.0643081, 14.443938\ny;9963493229983947706\nz;"50°03\'51.5091""N, 14°26\'38.1769""E"\n'
    assert {row.fields["location"] for row in read(SINGLE, text)} == {9963493229983947706}


@pytest.mark.parametrize("delimiter", [",", "\t", "|", "§"])
def test_other_delimiters(delimiter):
    assert read(SINGLE, f"_id{delimiter}a\nx{delimiter}1;2\n", delimiter=delimiter) == [Change("x", ("x",), {"a": "1;2"})]


@pytest.mark.parametrize("text", ["", "\ufeff", "\n\n", "_id;a\n", "code"])
def test_no_rows(text):
    assert read(SINGLE, text) == []


def test_a_file_can_be_read_again():
    rows = CsvRows(io.BytesIO(b"_id\nx\n\xc3\xa9\n"), SINGLE)
    assert list(rows) == list(rows) == [Change("x", ("x",)), Change("é", ("é",))]


@given(
    some.lists(
        some.lists(
            some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5), min_size=2, max_size=3
        )
    )
)
def test_rows_are_those_of_the_library(rows):
    text = io.StringIO()
    csv.writer(text, delimiter=";").writerows([["code", "a"], *rows])
    declaration = declared({"name": "x", "type": "lookup", "keys": [{"name": "code"}], "fields": {"a": {}}})
    wanted = [
        (row["code"].strip(), row["a"].strip())
        for row in csv.DictReader(io.StringIO(text.getvalue()), delimiter=";")
        if row["code"].strip()
    ]
    try:
        found = [(row.id, row.fields.get("a", "")) for row in read(declaration, text.getvalue())]
    except InvalidInput as error:
        assert "_id" in error.detail or "column code" in error.detail  # noqa: PT017  # control characters
    else:
        assert found == wanted


# --- ids ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "keys"),
    [
        ("x,y", ("x", "y")),
        (" x , y ", ("x", "y")),
        ('["a,b"," y "]', ("a,b", " y ")),
        ("[x,y]", ("[x", "y]")),
        ('["x",5]', ("x", "5")),
    ],
)
def test_cells_of_compound_keys(cell, keys):
    text = io.StringIO()
    csv.writer(text, delimiter=";").writerows([["_keys"], [cell]])
    assert read(COMPOUND, text.getvalue()) == [Change(id_of(COMPOUND, keys), keys)]
    assert read_keys_cell(COMPOUND, cell) == keys


def test_key_columns():
    assert read(COMPOUND, "k;l\nx;y\n") == [Change(id_of(COMPOUND, ("x", "y")), ("x", "y"))]


def test_an_id_beside_keys_is_the_id():
    assert read(COMPOUND, "_id;_keys\nmine;x,y\n") == [Change("mine", ("x", "y"))]
    assert read(SINGLE, "_id;_keys\nmine;x\n") == [Change("mine", ("x",))]


def test_an_id_alone():
    assert read(COMPOUND, "_id;k;l\nmine;x;y\n") == [Change("mine", None)]
    assert read(MACS, "_id\nAABB.CCDD.EEFF\n") == [Change("aa:bb:cc:dd:ee:ff", ("aa:bb:cc:dd:ee:ff",))]


@pytest.mark.parametrize("text", ["_id;a\n;1\nx;2\n ;3\n", "_keys;a\n;1\nx;2\n;3\n", "code;a\n;1\nx;2\n ;3\n"])
def test_rows_without_an_id_are_skipped(text):
    rows = CsvRows(io.BytesIO(text.encode()), SINGLE)
    assert list(rows) == [Change("x", ("x",), {"a": "2"})]
    assert rows.skipped == 2


# --- what is wrong -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declaration", "text", "told"),
    [
        (SINGLE, "_id;n\nx;1\ny;256\n", "line 3, column n: a ui8 is from 0 to 255"),
        (SINGLE, '_id;a;n\nx;"two\nlines";1\n\ny;;256\n', "line 5, column n: a ui8 is from 0 to 255"),
        (SINGLE, '_id;a;n\nx;"two\nlines";256\n', "line 2, column n: a ui8 is from 0 to 255"),
        (SINGLE, "_id;_exp\nx;soon\n", "line 2, column _exp: a time is ISO 8601 text, or seconds since 1970"),
        (SINGLE, "_id;a\nx;a\0b\n", "line 2, column a: text may not contain the character U+0000"),
        (SINGLE, "_id\n" + "x" * 513, "line 2, column _id: it has 513 bytes of at most 512"),
        (SINGLE, "_id\na\x01b\n", "line 2, column _id: it has control characters"),
        (MACS, "_id\nx\n", "line 2, column mac: a mac is twelve hexadecimal digits"),
        (COMPOUND, "_keys\nx,y,z\n", "line 2, column _keys: 3 parts, and 2 are declared"),
        (COMPOUND, "_keys\nx\n", "line 2, column _keys: 1 parts, and 2 are declared"),
        (COMPOUND, "_keys\nx,\n", "line 2, column l: this part of the key is empty"),
        (COMPOUND, "k;l\nx;\n", "line 2, column l: this part of the key is empty"),
        (COMPOUND, "k\nx\n", "line 1: no column is _id or _keys"),
        (SINGLE, "_id,a\nx,1\n", "line 1: no column is _id or _keys, or has a key (code): is the delimiter another one?"),
        (SINGLE, "\n\na;n\nx;1\n", "line 3: no column is _id or _keys"),
        (SINGLE, b"_id;a\nx;1\ny;\xff\n", "line 3: the file is not valid UTF-8"),
        (SINGLE, b"_id;a\nx;1\n" + b"y;" + b"\xc3", "line 3: the file is not valid UTF-8"),
        (SINGLE, "_id;a\n".encode("utf-16"), "line 1: the file is not valid UTF-8"),
        (SINGLE, b"_id;a\n" + b"x;1\n" * 30_000 + b"\xff", "line 30002: the file is not valid UTF-8"),
        (SINGLE, '_id;a\nx;"never closed\n' + "y;1\n" * 50_000, "field larger than field limit"),
        (SINGLE, "x" * (LONGEST_LINE + 1), f"line 1: the line has more than {LONGEST_LINE} characters"),
    ],
)
def test_the_place_of_a_mistake_is_told(declaration, text, told):
    assert told in refused(declaration, text)


def test_long_cells():
    assert refused(SINGLE, "_id;a\nx;12345\ny;123456\n", longest_cell=5) == "line 3: a cell has more than 5 characters"


@pytest.mark.parametrize("delimiter", ["", ";;", '"', "\n", "\r", "\0"])
def test_what_is_no_delimiter(delimiter):
    with pytest.raises(InvalidInput) as refusal:
        checked_delimiter(delimiter)
    assert refusal.value.field == "delimiter"


def test_delimiters():
    assert [checked_delimiter(each) for each in (None, ";", ",", "\t", "§")] == [";", ";", ",", "\t", "§"]


# --- written -----------------------------------------------------------------------------------------------------------


def item(*keys, item_id: str | None = None, expires_at: float | None = None, **fields) -> Item:
    return Item(item_id or "-".join(map(str, keys)), keys, fields, expires_at, 0, 0, 1)


def test_a_single_key_has_no_column_of_its_own():
    writer = CsvWriter(SINGLE)
    assert writer.header() == "_id;a;n;location\r\n"
    assert writer.rows([item("x", a="1;2", n=7, location=9963493229983947706), item("y", a='"q"\n')]) == (
        'x;"1;2";7;"50°03\'51.5091""N, 14°26\'38.1769""E"\r\ny;"""q""\n";;\r\n'
    )


def test_compound_keys():
    writer = CsvWriter(COMPOUND)
    assert writer.header() == "_id;_keys;a\r\n"
    rows = [item("x", "y"), item("a,b", "y"), item(" x", "y"), item("[x", "y"), item(item_id="mine")]
    assert writer.rows(rows) == (
        'x-y;x,y;\r\na,b-y;"[""a,b"",""y""]";\r\n x-y;"["" x"",""y""]";\r\n[x-y;"[""[x"",""y""]";\r\nmine;;\r\n'
    )


def test_expirations_are_written_when_they_are_asked_for():
    writer = CsvWriter(COMPOUND, expirations=True)
    assert writer.header() == "_id;_keys;a;_exp\r\n"
    assert writer.rows([item("x", "y", expires_at=5.0), item("x", "z", expires_at=5.5), item("y", "z")]) == (
        "x-y;x,y;;5\r\nx-z;x,z;;5.5\r\ny-z;y,z;;\r\n"
    )


def test_what_a_spreadsheet_would_run_is_not_altered():
    assert CsvWriter(COMPOUND).rows([item("=1+1", "@x", a="-2")]) == "=1+1-@x;=1+1,@x;-2\r\n"


TEXT = some.text(some.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8).map(str.strip).filter(bool)


@given(some.lists(some.tuples(TEXT, TEXT, some.none() | TEXT, some.none() | some.floats(0, 10**9)), max_size=4))
def test_what_is_written_is_read_back(rows):
    items = [
        Item(id_of(COMPOUND, (k, second)), (k, second), {} if a is None else {"a": a}, expires, 0, 0, 1)
        for k, second, a, expires in rows
    ]
    writer = CsvWriter(COMPOUND, expirations=True)
    found = read(COMPOUND, writer.header() + writer.rows(items))
    assert [(row.id, row.keys, row.fields) for row in found] == [(each.id, each.keys, each.fields) for each in items]
    for row, each in zip(found, items, strict=True):
        assert row.expires_at is ABSENT if each.expires_at is None else abs(row.expires_at - each.expires_at) < 1e-5


@pytest.mark.parametrize(
    ("name", "file", "delimiter"),
    [
        ("countries", "countries.csv", ";"),
        ("countries", "countries_comma.csv", ","),
        ("macvendors", "macvendors.csv", ";"),
        ("ipgeo", "ipgeo.csv", ";"),
    ],
)
def test_sample_files(name, file, delimiter):
    declaration = declared(json.loads((DATA / f"{name}.declaration.json").read_text()))
    (path,) = SAMPLES.glob(f"{name}.expected*.jsonl")
    wanted = [json.loads(line) for line in path.read_text().splitlines()]
    folder = DATA if (DATA / file).exists() else SAMPLES
    found = read(declaration, (folder / file).read_bytes(), delimiter=delimiter)
    assert [{"_id": row.id, "_keys": list(row.keys), **row.fields} for row in found[: len(wanted)]] == wanted
