"""Each location has a `proxy` of its own: what goes to the upstream, and what becomes of it."""

from collections.abc import Callable

import pytest
from support.app_server import AppServer
from support.upstream import Conversation, Upstream

Start = Callable[..., AppServer]
Serve = Callable[..., Upstream]

APP = """
local function peer() require("ngx.balancer").set_current_peer("127.0.0.1", PORT) end
local function note() ngx.log(ngx.WARN, "log ", ngx.var.uri, " ", ngx.status) end
return {
    balancer = peer, log = note,
    proxy = { set_header = { { "X", "app" } } },
    locations = {
        { path = "/" },
        { path = "/own", proxy = { set_header = { { "X", "own $uri" } }, uri = "/to$uri" } },
        { path = "/bare", proxy = { pass_request_headers = false, pass_request_body = false } },
        { path = "/on", proxy = { ignore_client_abort = true } },
        { path = "/bad", proxy = { set_header = {} } },
    },
}
"""


@pytest.fixture
def heads() -> list[str]:
    return []


@pytest.fixture
def server(app_server: Start, upstream: Serve, heads: list[str]) -> AppServer:
    def script(conversation: Conversation) -> None:
        for head in conversation.requests():
            heads.append(head.decode())
            conversation.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    return app_server(APP.replace("PORT", str(upstream(script).port)))


def test_what_goes_to_the_upstream_is_the_location_s(server: AppServer, heads: list[str]) -> None:
    for target in ("/", "/own", "/bad", "/own"):
        assert server.ask(target).text == "ok"
    lines = [head.split("\r\n") for head in heads]
    assert [line[0] for line in lines] == [
        "GET / HTTP/1.1",
        "GET /to/own HTTP/1.1",
        "GET /bad HTTP/1.1",
        "GET /to/own HTTP/1.1",
    ]
    assert ["X: app" in line for line in lines] == [True, False, False, False]
    assert ["X: own /own" in line for line in lines] == [False, True, False, True]


def test_neither_fields_nor_body_where_they_are_not_wanted(
    server: AppServer, heads: list[str]
) -> None:
    with server.connect() as client:
        for _ in range(2):
            assert client.ask("/bare", "X-Own: 1", method="POST", body=b"body").text == "ok"
    assert len(heads) == 2
    assert not any("X-Own" in head or "Content-Length" in head for head in heads)


@pytest.mark.parametrize(("target", "status"), [("/on", 200), ("/", 499)])
def test_a_client_that_goes_away_may_be_ignored(
    app_server: Start, upstream: Serve, target: str, status: int
) -> None:
    server: AppServer

    def script(conversation: Conversation) -> None:
        conversation.request()
        client.close()
        if status == 200:
            server.connections()  # the hub has seen the client's end
            conversation.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        conversation.read_all()

    peer = upstream(script)
    server = app_server(APP.replace("PORT", str(peer.port)))
    client = server.connect()
    client.send(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
    server.log.wait_for(f"log {target} {status}")


def test_an_unknown_directive_is_refused(app_server: Start) -> None:
    app = "return { balancer = print, proxy = { set_headers = {} } }"
    with pytest.raises(AssertionError, match="'s proxy has an unknown key 'set_headers'"):
        app_server(app)
