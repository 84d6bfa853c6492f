"""The next peer: after which failures, for which requests, and how often."""

from collections.abc import Callable

import pytest
from support.app_server import AppServer
from support.upstream import Conversation, Upstream, answer_with

Proxy = Callable[..., AppServer]
Serve = Callable[..., Upstream]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def reset(conversation: Conversation) -> None:
    conversation.request()
    conversation.reset()


def close(conversation: Conversation) -> None:
    conversation.request()


def test_all_peers_are_tried(proxy: Proxy, upstream: Serve, refusing_port: int) -> None:
    peers = [
        refusing_port,
        upstream(close).port,
        upstream(reset).port,
        upstream(answer_with(OK)).port,
    ]
    server = proxy(*peers)
    assert server.ask().text == "hi"
    server.log.wait_for(
        "served: 200 upstream: 502, 502, 502, 200 failures: failed=502;failed=502;failed=502;"
    )


def test_when_the_last_peer_fails_so_does_the_request(proxy: Proxy, upstream: Serve) -> None:
    server = proxy(upstream(close).port, upstream(close).port)
    assert server.ask().status == 502
    server.log.wait_for("served: 502 upstream: 502, 502 failures: failed=502; end")


def test_no_more_peers_than_allowed_are_tried(proxy: Proxy, upstream: Serve) -> None:
    last = upstream(answer_with(OK))
    few = """
        balancer = function()
            local ctx = ngx.ctx
            ctx.tries = (ctx.tries or 0) + 1
            if ctx.tries == 1 then
                assert(balancer.set_more_tries(1))
            end
            assert(balancer.set_current_peer("127.0.0.1", peers[ctx.tries]))
        end,
    """
    server = proxy(upstream(close).port, upstream(close).port, last.port, more=few)
    assert server.ask().status == 502
    assert last.accepted == 0


POST = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
PUT = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"


def test_a_post_that_was_sent_is_not_sent_again(proxy: Proxy, upstream: Serve) -> None:
    second = upstream(answer_with(OK))
    server = proxy(upstream(close).port, second.port)
    with server.connect() as client:
        client.send(POST)
        assert client.response().status == 502
    assert second.accepted == 0


def echo_body(conversation: Conversation) -> None:
    conversation.request()
    conversation.send(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + conversation.read_exactly(5)
    )


def test_a_post_that_was_not_sent_goes_to_the_next_peer(
    proxy: Proxy, upstream: Serve, refusing_port: int
) -> None:
    server = proxy(refusing_port, upstream(echo_body).port)
    with server.connect() as client:
        client.send(POST)
        assert client.response().text == "hello"


def read_and_close(conversation: Conversation) -> None:
    conversation.request()
    conversation.read_exactly(5)


def test_a_body_that_was_streamed_away_cannot_be_sent_again(proxy: Proxy, upstream: Serve) -> None:
    second = upstream(echo_body)
    server = proxy(upstream(read_and_close).port, second.port)
    with server.connect() as client:
        client.send(PUT)
        assert client.response().status == 502
    assert second.accepted == 0


def test_a_body_that_was_read_before_can_be_sent_again(proxy: Proxy, upstream: Serve) -> None:
    more = "access = function() ngx.req.read_body() end,"
    server = proxy(upstream(read_and_close).port, upstream(echo_body).port, more=more)
    with server.connect() as client:
        client.send(PUT)
        assert client.response().text == "hello"


def test_the_next_peer_after_a_timeout(proxy: Proxy, upstream: Serve) -> None:
    silent = upstream(lambda c: c.read_all() and None)
    server = proxy(silent.port, upstream(answer_with(OK)).port, virtual=True)
    with server.connect() as client:
        client.send(GET)
        server.advance(61)
        assert client.response().text == "hi"
    server.log.wait_for("upstream: 504, 200 failures: failed=504;")


@pytest.mark.parametrize(
    ("conditions", "status"),
    [('{ "timeout" }', 502), ('{ "error" }', 200), ('{ "error", "http_503" }', 200), ("{}", 502)],
)
def test_next_upstream_says_which_failures_count(
    proxy: Proxy, upstream: Serve, conditions: str, status: int
) -> None:
    more = f"proxy = {{ next_upstream = {conditions} }},"
    server = proxy(upstream(close).port, upstream(answer_with(OK)).port, more=more)
    assert server.ask().status == status


def test_an_invalid_response_is_no_reason_to_go_on_unless_it_is_said(
    proxy: Proxy, upstream: Serve
) -> None:
    bad = answer_with(b"bad\r\n\r\n")
    server = proxy(upstream(bad).port, upstream(answer_with(OK)).port)
    assert server.ask().status == 502
    more = 'proxy = { next_upstream = { "invalid_header" } },'
    server = proxy(upstream(bad).port, upstream(answer_with(OK)).port, more=more)
    assert server.ask().status == 200


BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"


def test_a_status_that_is_not_wanted_leads_to_the_next_peer(proxy: Proxy, upstream: Serve) -> None:
    more = 'proxy = { next_upstream = { "http_503", "http_404" } },'
    missing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    ports = [upstream(answer_with(answer)).port for answer in (BUSY, missing, OK)]
    server = proxy(*ports, more=more)
    assert server.ask().text == "hi"
    server.log.wait_for("upstream: 503, 404, 200 failures: failed=503;next=404;")


def test_an_unwanted_status_of_the_last_peer_is_passed_on(proxy: Proxy, upstream: Serve) -> None:
    more = 'proxy = { next_upstream = { "http_503" } },'
    ports = [upstream(answer_with(BUSY)).port for _ in range(2)]
    answer = proxy(*ports, more=more).ask()
    assert (answer.status, answer.text) == (503, "busy")


def test_no_peer_is_a_500(app_server: Callable[..., AppServer]) -> None:
    server = app_server("return { balancer = function() end }")
    assert server.ask().status == 500
    server.log.wait_for("lua balancer: no peer set while connecting to upstream")


def test_the_balancer_may_exit_with_a_status(app_server: Callable[..., AppServer]) -> None:
    server = app_server("return { balancer = function() return ngx.exit(503) end }")
    assert server.ask().status == 503


def test_an_error_in_the_balancer_is_a_500(proxy: Proxy, upstream: Serve) -> None:
    server = proxy(
        upstream(close).port, more="proxy = {}, balancer = function() error('oops') end,"
    )
    assert server.ask().status == 500
    assert "failed to run balancer_by_lua*: " in server.log.wait_for("oops")
    assert server.ask().status == 500
