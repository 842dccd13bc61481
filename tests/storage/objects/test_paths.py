"""Names that stay where they are put, folders inside the allowed roots."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from storage.objects.paths import allowed_folder, safe_key, safe_name


@pytest.mark.parametrize("name", ["NMR 400", "...", "日本", " x ", "a:b"])
def test_a_safe_name_is_kept_as_it_is(name):
    assert safe_name(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a\0", "../../x", "\udcff"])
def test_an_unsafe_name_is_refused(name):
    with pytest.raises(InvalidInput):
        safe_name(name)


@given(st.text(alphabet="./\\\0a", max_size=12))
def test_a_safe_key_never_leaves_its_folder(key):
    try:
        path = safe_key(key)
    except InvalidInput:
        return
    assert not path.is_absolute()
    assert ".." not in path.parts


def test_a_folder_inside_a_root_need_not_exist(tmp_path):
    assert allowed_folder(f"{tmp_path}/new//folder/", [tmp_path], noun="the base path") == tmp_path / "new/folder"


def test_the_root_itself_is_inside(tmp_path):
    assert allowed_folder(str(tmp_path), [tmp_path], noun="the base path") == tmp_path


def test_a_root_may_be_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "root").symlink_to("real")
    assert allowed_folder(f"{tmp_path}/root/x", [tmp_path / "root"], noun="the base path") == tmp_path / "real/x"


@pytest.mark.parametrize(
    "path", ["/", "/etc", "relative", "", "{root}/..", "{root}/a/../b", "{root}\0", "{root}-other", "{root}/away"]
)
def test_a_folder_outside_is_refused_by_name(tmp_path, path):
    root = tmp_path / "root"
    root.mkdir()
    (root / "away").symlink_to(tmp_path)
    with pytest.raises(InvalidInput, match="the base path"):
        allowed_folder(path.format(root=root), [root], noun="the base path")


def test_links_in_a_circle_are_refused(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(InvalidInput):
        allowed_folder(f"{tmp_path}/a/x", [tmp_path], noun="the base path")
