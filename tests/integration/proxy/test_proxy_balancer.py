"""ngx.balancer: what it checks, returns and bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.app_server import AppServer
from support.upstream import Conversation, Upstream

Serve = Callable[..., Upstream]
Proxy = Callable[..., AppServer]

CALLS = """
    balancer = function()
        local function try(fn, ...)
            local _, first, second = pcall(fn, ...)
            ngx.log(ngx.WARN, "got: ", tostring(first), " ", tostring(second), ";")
        end
        CODE
        balancer.set_current_peer("127.0.0.1", peers[1])
    end,
"""


def answer(conversation: Conversation) -> None:
    for _ in conversation.requests():
        peer = conversation.socket.getpeername()[0].encode()
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(peer)
        conversation.socket.sendall(head + peer)


@pytest.mark.parametrize(
    ("call", "got"),
    [
        ("balancer.set_current_peer, 'no.such.name', 80", "nil no host allowed"),
        ("balancer.set_current_peer, '127.0.0.1:81'", "true nil"),
        ("balancer.set_current_peer, '[::1]:81'", "true nil"),
        ("balancer.set_current_peer, '127.0.0.1', '81'", "true nil"),
        ("balancer.set_current_peer, '127.0.0.1', 81, { pool = 'a' }", "true nil"),
        (
            "balancer.set_current_peer, '127.0.0.1', 81, true",
            "bad argument #3 to 'set_current_peer' (string expected, got boolean)",
        ),
        (
            "balancer.set_current_peer, nil, 81",
            "bad argument #1 to 'set_current_peer' (string expected, got nil)",
        ),
        ("balancer.enable_keepalive", "nil no current peer set"),
        (
            "balancer.enable_keepalive, 'x'",
            "bad argument #1 to 'enable_keepalive' (number expected, got string)",
        ),
        (
            "balancer.enable_keepalive, 1, -1",
            "bad argument #2 to 'enable_keepalive' (expected >= 0)",
        ),
        ("balancer.set_timeouts, 0", "bad connect timeout"),
        ("balancer.set_timeouts, 1, nil, 'x'", "bad read timeout"),
        ("balancer.set_timeouts, 1, 1, 1", "true nil"),
        (
            "balancer.set_more_tries, nil",
            "bad argument #1 to 'set_more_tries' (number expected, got nil)",
        ),
        ("balancer.set_more_tries, 1", "true nil"),
        (
            "balancer.bind_to_local_addr, 1",
            "bad argument #1 to 'bind_to_local_addr' (string expected, got number)",
        ),
        ("balancer.bind_to_local_addr, 'x.y'", "nil invalid addr x.y"),
        ("balancer.recreate_request", "true nil"),
        ("balancer.get_last_failure", "nil nil"),
    ],
)
def test_arguments(proxy: Proxy, upstream: Serve, call: str, got: str) -> None:
    server = proxy(upstream(answer).port, more=CALLS.replace("CODE", f"try({call})"))
    assert server.ask().status == 200
    log = server.log.wait_for("got: ")
    line = next(line for line in log.splitlines() if "got: " in line)
    assert got in line
    assert "; while connecting to upstream, client: 127.0.0.1" in line


def test_elsewhere_there_is_nothing_to_choose(proxy: Proxy, upstream: Serve) -> None:
    code = """access = function()
        ngx.log(ngx.WARN, "early: ", select(2, balancer.set_current_peer("127.0.0.1", 1)), ";")
    end, header_filter = function()
        ngx.log(ngx.WARN, "late: ", select(2, balancer.set_more_tries(1)), ";")
    end,"""
    server = proxy(upstream(answer).port, more=code)
    assert server.ask().status == 200
    server.log.wait_for("early: no upstream found;")
    log = server.log.wait_for("late: API disabled in the current context;")
    assert "; while reading response header from upstream, client: 127.0.0.1" in log


def test_a_connection_may_come_from_another_address(proxy: Proxy, upstream: Serve) -> None:
    code = "balancer.bind_to_local_addr('127.0.0.' .. (ngx.var.arg_n or '1'))"
    server = proxy(upstream(answer).port, more=CALLS.replace("CODE", code))
    came = [server.ask(f"/?n={n}").body for n in (2, 3, 2)]
    assert came == [b"127.0.0.2", b"127.0.0.3", b"127.0.0.2"]


def test_connections_of_different_pools_are_not_taken_for_each_other(
    proxy: Proxy, upstream: Serve
) -> None:
    peer = upstream(answer)
    code = """balancer = function()
        balancer.set_current_peer("127.0.0.1", peers[1], { pool = ngx.var.arg_pool })
    end,"""
    server = proxy(peer.port, more=code)
    for pool in "aabba":
        assert server.ask(f"/?pool={pool}").status == 200
    assert peer.accepted == 2


def test_a_location_bounds_the_tries(proxy: Proxy) -> None:
    code = """proxy = { next_upstream_tries = 3 }, balancer = function()
        ngx.log(ngx.WARN, "more: ", tostring(select(2, balancer.set_more_tries(5))), ";")
        balancer.set_current_peer("127.0.0.1", 1)
    end,"""
    server = proxy(1, more=code)
    assert server.ask().status == 502
    log = server.log.wait_for("served: 502")
    assert log.count("connect() failed (111: Connection refused)") == 3
    assert log.count("more: reduced tries due to limit;") == 3


def test_what_connect_refuses_at_once_is_critical(proxy: Proxy) -> None:
    code = """balancer = function()
        balancer.set_current_peer("unix:/no/such/socket")
    end,"""
    server = proxy(1, more=code)
    assert server.ask().status == 502
    log: Any = server.log.wait_for("served: 502")
    line = next(line for line in log.splitlines() if "[crit]" in line)
    assert "connect() to unix:/no/such/socket failed (2: No such file or directory) while" in line
