"""Any bytes of an upstream give a response, whole or broken off, never a hang or a dead worker."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.app_server import AppServer, running_app
from support.http import Truncated
from support.upstream import Conversation, running_upstream

HEADS = [
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.0 200 OK\r\n",
    b"HTTP/1.1 204 No Content\r\n",
    b"HTTP/1.1 304 Not Modified\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 999 \r\n",
]
FIELDS = [
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Connection: upgrade\r\nUpgrade: x\r\n",
    b"X: y\r\n",
    b"\r\n",
]
BODIES = [b"hello", b"", b"5\r\nhello\r\n0\r\n\r\n", b"5\r\nhello\r\n", b"HTTP/1.1 200 OK\r\n\r\n"]


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    fields = draw(st.lists(st.sampled_from(FIELDS), max_size=4))
    data = draw(st.sampled_from(HEADS)) + b"".join(fields) + b"\r\n" + draw(st.sampled_from(BODIES))
    changes = st.tuples(st.integers(0, 120), st.binary(max_size=2))
    for place, others in draw(st.lists(changes, max_size=2)):
        data = data[:place] + others + data[place + 1 :]
    return data


class Scripted:
    """An upstream that answers with what it is told, and a worker that proxies to it."""

    response = b""
    cut = 0

    def __call__(self, conversation: Conversation) -> None:
        conversation.request()
        conversation.send(self.response[: self.cut])
        conversation.send(self.response[self.cut :])


@pytest.fixture(scope="module")
def scripted() -> Scripted:
    return Scripted()


APP = """
return { balancer = function()
    require("ngx.balancer").set_current_peer("127.0.0.1", PORT)
end }
"""


@pytest.fixture(scope="module")
def server(scripted: Scripted) -> Iterator[AppServer]:
    with (
        running_upstream(scripted) as upstream,
        running_app(APP.replace("PORT", str(upstream.port)), upstream_keepalive=0) as server,
    ):
        yield server


@settings(max_examples=800, deadline=None)
@given(
    response=st.one_of(responses(), st.binary(max_size=80)),
    cut=st.integers(0, 100),
    method=st.sampled_from(["GET", "HEAD", "POST"]),
    version=st.sampled_from(["1.1", "1.0"]),
)
def test_any_response(
    server: AppServer, scripted: Scripted, response: bytes, cut: int, method: str, version: str
) -> None:
    scripted.response, scripted.cut = response, cut
    with server.connect() as client:
        try:
            answer = client.ask(method=method, version=version)
        except (Truncated, ConnectionError):
            assert server.connections()  # broken off, and the worker lives
        else:
            assert answer.status >= 200
            if answer.header("Connection") == "close":
                assert client.closed()


def test_a_good_response_still_passes(server: AppServer, scripted: Scripted) -> None:
    scripted.response, scripted.cut = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 7
    assert server.ask().text == "hi"


def test_nothing_is_left_open(server: AppServer) -> None:
    server.settle()
    assert server.descriptors() < 20
