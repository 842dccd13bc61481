"""Documents that the operator chose."""

import json

import pytest

from engine.trusted import Trusted, hashed_id, load_trusted

COUNT = "{ books { totalCount } }\n"
TYPE = "query A { __typename }"
TEXT = "query ($id: ID!) {\n  user(id: $id) {\n    name\n  }\n}"


def test_the_id_is_that_of_the_specification():
    """GraphQL over HTTP, appendix on persisted documents."""
    assert hashed_id(TEXT) == "sha256:7dba4bd717b41f10434822356a93c32b1fb4907b983e854300ad839f84cdcd6e"


def load(world, place, *, only=False):
    return load_trusted(place, lambda text: world.graph.document(text)[1], only=only)


def test_a_folder(world, tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "count.graphql").write_bytes(COUNT.encode())
    (tmp_path / "below" / "type.graphql").write_bytes(TYPE.encode())
    (tmp_path / "notes.txt").write_text("no document")
    trusted = load(world, tmp_path)
    assert len(trusted) == 2
    assert [trusted.find(hashed_id(text)) for text in (COUNT, TYPE, TEXT)] == [COUNT, TYPE, None]


def test_a_manifest(world, tmp_path):
    file = tmp_path / "documents.json"
    file.write_text(json.dumps({"count": COUNT, hashed_id(TYPE): TYPE}))
    trusted = load(world, file)
    assert [trusted.find(name) for name in ("count", hashed_id(COUNT), hashed_id(TYPE), "type")] == [COUNT, COUNT, TYPE, None]


def test_what_is_allowed():
    assert Trusted({"a": TYPE}).allows(COUNT)
    assert Trusted({"a": TYPE}, only=True).allows(TYPE)
    assert not Trusted({"a": TYPE}, only=True).allows(COUNT)


def test_every_mistake_is_told_with_its_place(world, tmp_path):
    (tmp_path / "a.graphql").write_text("{\n  boks { totalCount }\n}")
    (tmp_path / "b.graphql").write_text("{ books {")
    (tmp_path / "c.graphql").write_text("{" + " a" * 20_000 + "}")
    with pytest.raises(ValueError, match="boks") as error:
        load(world, tmp_path)
    assert str(error.value).splitlines() == [
        f"{tmp_path}/a.graphql:2:3: Cannot query field 'boks' on type 'Query'. Did you mean 'books', 'book', or 'boxes'?",
        f"{tmp_path}/b.graphql:1:10: Syntax Error: Expected Name, found <EOF>.",
        f"{tmp_path}/c.graphql: the document has more than 10000 tokens",
    ]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"a": }', ": Expecting value: line 1 column 7 (char 6)"),
        ('["{ __typename }"]', ": this is no JSON object of ids and documents"),
        ('{"a": 7}', ": this is no JSON object of ids and documents"),
        ('{"": "{ __typename }"}', ": this is no JSON object of ids and documents"),
        ('{"a": "{ __typename }", "a": "{ __typename }"}', ": the id a is there twice"),
        ('{"a": "{ boks }"}', ": a:1:3: Cannot query field 'boks' on type 'Query'."),
        ('{"sha256:7d": "query A { __typename }"}', f": sha256:7d: the id is not that of the text, which is {hashed_id(TYPE)}"),
        ("{}", ": there is no document in it"),
    ],
)
def test_a_broken_manifest(world, tmp_path, content, complaint):
    file = tmp_path / "documents.json"
    file.write_text(content)
    with pytest.raises(ValueError, match=r"documents\.json") as error:
        load(world, file)
    assert str(error.value).startswith(f"{file}{complaint}")


def test_an_empty_folder(world, tmp_path):
    with pytest.raises(ValueError, match="there is no document in it"):
        load(world, tmp_path)


def test_a_file_that_is_no_text(world, tmp_path):
    (tmp_path / "a.graphql").write_bytes(b"\xff")
    with pytest.raises(ValueError, match=r"a\.graphql: not UTF-8"):
        load(world, tmp_path)


def test_a_place_that_is_not_there(world, tmp_path):
    with pytest.raises(FileNotFoundError):
        load(world, tmp_path / "nowhere")
