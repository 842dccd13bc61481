"""Problem details: the members of RFC 9457."""

from __future__ import annotations

import json

from app.problems import problem, problem_body


def test_a_problem_of_a_request():
    reply = problem(405, "use GET", {"type": "http"}, {"Allow": "GET"})
    assert (reply.status_code, reply.headers["content-type"], reply.headers["allow"]) == (
        405,
        "application/problem+json",
        "GET",
    )
    assert json.loads(reply.body) == {
        "type": "about:blank",
        "title": "Method Not Allowed",
        "status": 405,
        "detail": "use GET",
        "instance": "-",
    }


def test_a_request_that_was_not_read_has_no_id():
    assert json.loads(problem_body(431, "too much")) == {
        "type": "about:blank",
        "title": "Request Header Fields Too Large",
        "status": 431,
        "detail": "too much",
    }
