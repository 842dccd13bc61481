"""What the documents repeat of the code is what the code says."""

from scripts.generate import DOCUMENTS, PARTS, ROOT, expected, generated


def test_generated_parts_are_up_to_date():
    outdated = [str(path.relative_to(ROOT)) for path, text in expected() if path.read_text() != text]
    assert outdated == [], "run `make docs`"


def test_every_part_is_in_a_document():
    text = "".join(path.read_text() for path in DOCUMENTS)
    assert [name for name in PARTS if f"<!-- generated: {name} -->" not in text] == []


def test_only_what_lies_between_the_marks_is_written():
    text = "before\n<!-- generated: settings -->\nold\n<!-- end of settings -->\nafter\n"
    written = generated(text)
    assert written.startswith("before\n<!-- generated: settings -->\n\n| Setting |")
    assert written.endswith(" |\n\n<!-- end of settings -->\nafter\n")
    assert generated(written) == written
