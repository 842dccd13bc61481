"""Headers hold what headers can hold."""

from rest_compat.reply import Reply, encoded


def test_what_a_header_cannot_hold_is_escaped():
    assert encoded([("Location", "/a b/ä\r\nx: y%20")]) == [(b"location", b"/a b/%C3%A4%0D%0Ax: y%20")]


def test_further_headers_leave_the_first_reply_alone():
    reply = Reply(204)
    assert reply.with_headers([("a", "b")]) == Reply(204, b"", (("a", "b"),))
    assert reply == Reply(204)
