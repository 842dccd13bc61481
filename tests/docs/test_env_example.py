"""`.env.example` shows the settings that there are, with their defaults."""

import re

from app.settings import Settings, documented
from scripts.generate import required_by_compose
from tests.docs.support import ROOT

_LINES = [line for line in (ROOT / ".env.example").read_text().splitlines() if re.match(r"#? ?[A-Z0-9_]+=", line)]


def test_every_setting_is_there_once_and_nothing_else():
    shown = [re.split(r"=", line.lstrip("# "))[0] for line in _LINES]
    assert shown == [*(setting.names[0] for setting in documented()), *required_by_compose()]


def test_nothing_is_set_by_it():
    assert [line for line in _LINES if not line.startswith("# ")] == []


def test_the_values_are_the_defaults():
    given = dict(line.removeprefix("# ").split("=", 1) for line in _LINES)
    for setting in documented():
        value = given[setting.names[0]]
        assert value == setting.default.strip("`"), setting.names[0]
    assert {name: given[name] for name in required_by_compose()} == dict.fromkeys(required_by_compose(), "")


def test_the_lines_can_be_used_as_they_are(tmp_path, monkeypatch):
    for setting in documented():
        for name in setting.names:
            monkeypatch.delenv(name, raising=False)
    (tmp_path / ".env").write_text("\n".join(line.removeprefix("# ") for line in _LINES))
    assert Settings(_env_file=tmp_path / ".env").model_dump() == Settings(_env_file=None).model_dump()
