"""The segment trie: precedence, methods, decoding."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_compat.router import BadTemplate, Found, NotAllowed, Router, Template


def router(*routes, reserved=frozenset()):
    made = Router(reserved)
    for route in routes:
        method, path = route.split()
        made.add(method, Template.parse(path), lambda route=route: route)
    return made


def found(made, method, path):
    match made.find(method, path.encode()):
        case Found(target, parameters):
            return target, parameters
        case NotAllowed(methods, _):
            return methods
    return None


def test_static_beats_typed_beats_parameter_beats_catch_all():
    made = router("GET /a/b", "GET /a/{n:int}", "GET /a/{x}", "GET /a/{key:path}")
    assert found(made, "GET", "/a/b") == ("GET /a/b", {})
    assert found(made, "GET", "/a/-7") == ("GET /a/{n:int}", {"n": "-7"})
    assert found(made, "GET", "/a/c") == ("GET /a/{x}", {"x": "c"})
    assert found(made, "GET", "/a/c/d") == ("GET /a/{key:path}", {"key": "c/d"})


def test_a_dead_end_is_left_again():
    made = router("GET /users/me", "GET /users/{id}/groups")
    assert found(made, "GET", "/users/me/groups") == ("GET /users/{id}/groups", {"id": "me"})


def test_a_static_path_for_other_methods_gives_way_to_a_parameter():
    made = router("GET /hooks/builtins", "DELETE /hooks/{id}")
    assert found(made, "DELETE", "/hooks/builtins") == ("DELETE /hooks/{id}", {"id": "builtins"})
    assert found(made, "PUT", "/hooks/builtins") == ("DELETE", "GET", "HEAD")


def test_head_is_served_by_get():
    made = router("GET /a", "POST /b")
    assert found(made, "HEAD", "/a") == ("GET /a", {})
    assert found(made, "HEAD", "/b") == ("POST",)


def test_a_uuid_parameter_matches_nothing_else():
    made = router("GET /users/{id:uuid}")
    assert found(made, "GET", "/users/61b08ff4-4e91-44b0-9276-07254109da6d") is not None
    assert found(made, "GET", "/users/61b08ff4") is None


def test_an_empty_segment_is_no_parameter():
    made = router("GET /a/{x}", "GET /{x}/{y}")
    assert found(made, "GET", "/a/") is None
    assert found(made, "GET", "//evil.example") is None


def test_reserved_first_segments_are_never_parameters():
    made = router("GET /{dataset}/{key:path}", "GET /api/files", reserved=frozenset({"api"}))
    assert found(made, "GET", "/api/nothing") is None
    assert found(made, "GET", "/open/api/x") == ("GET /{dataset}/{key:path}", {"dataset": "open", "key": "api/x"})


def test_a_slash_in_an_escape_stays_in_its_segment():
    made = router("GET /lookup/{id}")
    assert found(made, "GET", "/lookup/a%2Fb%20c+d%25") == ("GET /lookup/{id}", {"id": "a/b c+d%"})


def test_segments_are_decoded_once():
    assert found(router("GET /{x}"), "GET", "/%2541") == ("GET /{x}", {"x": "%41"})


@pytest.mark.parametrize("path", ["/a/%", "/a/%4", "/a/%zz", "/a/%ff", "/a/%c0%af", "/a/%ed%a0%80", "a", ""])
def test_what_is_no_text_names_nothing(path):
    assert found(router("GET /a/{x}"), "GET", path) is None


@given(st.text(min_size=1).filter(lambda text: not any("\ud800" <= each <= "\udfff" for each in text)))
def test_every_text_survives_its_encoding(text):
    assert found(router("GET /items/{id}"), "GET", "/items/" + quote(text, safe="")) == ("GET /items/{id}", {"id": text})


@given(st.binary())
def test_no_path_whatsoever_raises(raw):
    router("GET /a/{x}", "GET /{y}/{key:path}").find("GET", b"/" + raw)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("files", "starts with /"),
        ("/files/", "no slash at its end"),
        ("/a//b", "no empty segment"),
        ("/a/{b", "neither plain text"),
        ("/a/x{b}", "neither plain text"),
        ("/a?b", "neither plain text"),
        ("/a/{b:date}", "no kind of parameter"),
        ("/{a}/{a}", "occurs twice"),
        ("/{key:path}/b", "is the last segment"),
    ],
)
def test_bad_templates(path, reason):
    with pytest.raises(BadTemplate, match=reason):
        Template.parse(path)


def test_a_template_prints_without_its_kinds():
    assert str(Template.parse("/users/{id:uuid}/groups")) == "/users/{id}/groups"
