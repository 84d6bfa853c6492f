"""Messages as the kit reads them."""

from __future__ import annotations

import io

import pytest

from pygw.testing.messages import answer, read_request


@pytest.mark.parametrize(
    ("method", "first"),
    [("HEAD", b"HTTP/1.1 200 OK"), ("GET", b"HTTP/1.1 204 Empty"), ("GET", b"HTTP/1.1 304 Same")],
)
def test_a_body_where_none_may_be_is_told(method: str, first: bytes) -> None:
    head = first + b"\r\nContent-Length: 3\r\n\r\n"
    assert answer(head, method).body == b""
    with pytest.raises(ValueError, match="must have no body, but has b'abc'"):
        answer(head + b"abc", method)


def test_requests_of_one_connection() -> None:
    stream = io.BytesIO(
        b"POST /a?b HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi"
        b"PUT /c HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nye\r\n1\r\ns\r\n0\r\n\r\n"
    )
    first, second = read_request(stream), read_request(stream)
    assert first
    assert (first.method, first.target, first.version) == ("POST", "/a?b", "HTTP/1.1")
    assert first.body == b"hi"
    assert second
    assert (second.method, second.version, second.body) == ("PUT", "HTTP/1.0", b"yes")
    assert read_request(stream) is None
