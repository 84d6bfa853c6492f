"""What resty.apisix.client changes about the client of a request."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.app_server import AppServer

APP = """
local client = require "resty.apisix.client"
local var = ngx.var
local cases = {}

local function show()
    ngx.say(var.remote_addr, " ", var.remote_port == var.realip_remote_port, " ",
        var.realip_remote_addr, " ", #var.binary_remote_addr, " ", var.proxy_add_x_forwarded_for)
end

cases["/peer"] = show
cases["/address"] = function() assert(client.set_real_ip("127.0.0.2")) show() end
cases["/port"] = function()
    assert(client.set_real_ip("172.1.1.2", 1289))
    ngx.say(var.remote_port)
    show()
end
cases["/six"] = function() assert(client.set_real_ip("0:0::1")) show() end
cases["/twice"] = function()
    client.set_real_ip("1.1.1.1", 11)
    client.set_real_ip("2.2.2.2", 22)
    ngx.say(var.realip_remote_addr, ":", var.realip_remote_port, " ", var.remote_addr, ":",
        var.remote_port)
end
cases["/bad"] = function() ngx.say(client.set_real_ip("1.1.1")) show() end
cases["/below"] = function()
    client.set_real_ip("3.3.3.3")
    ngx.print(ngx.location.capture("/peer").body)
end
cases["/limit"] = function()
    assert(client.set_client_max_body_size(tonumber(var.arg_bytes)))
    ngx.req.read_body()
    ngx.say(#(ngx.req.get_body_data() or ""))
end
cases["/wrong"] = function() ngx.say(client.set_client_max_body_size("x")) end
cases["/flags"] = function()
    ngx.say(client.enable_mirror(), " ", client.set_proxy_request_buffering(false))
end

return { content = function() cases[var.uri]() end }
"""


@pytest.fixture(scope="module")
def server(module_app_server: Callable[..., AppServer]) -> AppServer:
    return module_app_server(APP, client_max_body_size=100)


def test_the_address_alone(server: AppServer) -> None:
    assert server.ask("/address").text == "127.0.0.2 true 127.0.0.1 4 127.0.0.2\n"


def test_address_and_port(server: AppServer) -> None:
    assert server.ask("/port").text == "1289\n172.1.1.2 false 127.0.0.1 4 172.1.1.2\n"


def test_ipv6_is_written_shortest(server: AppServer) -> None:
    assert server.ask("/six").text == "::1 true 127.0.0.1 16 ::1\n"


def test_the_second_call_takes_the_first_for_the_peer(server: AppServer) -> None:
    assert server.ask("/twice").text == "1.1.1.1:11 2.2.2.2:22\n"


def test_no_address(server: AppServer) -> None:
    text = "nilerror while setting real ip, rc: -5\n127.0.0.1 true 127.0.0.1 4 127.0.0.1\n"
    assert server.ask("/bad").text == text


def test_subrequests_are_of_the_same_client(server: AppServer) -> None:
    assert server.ask("/below").text == "3.3.3.3 true 127.0.0.1 4 3.3.3.3\n"


def test_the_next_request_of_the_connection_is_the_peers_again(server: AppServer) -> None:
    with server.connect() as client:
        for path, expected in [("/address", "127.0.0.2"), ("/peer", "127.0.0.1")] * 2:
            assert client.ask(path).text.startswith(f"{expected} ")


# the length of bodies


@pytest.mark.parametrize(
    ("limit", "length", "status"), [(10, 10, 200), (10, 11, 413), (0, 100, 200)]
)
def test_a_limit_of_the_requests_own(
    server: AppServer, limit: int, length: int, status: int
) -> None:
    answer = server.ask(f"/limit?bytes={limit}", method="POST", body=b"x" * length)
    assert answer.status == status
    assert status != 200 or answer.text == f"{length}\n"


def test_a_limit_of_chunks(server: AppServer) -> None:
    with server.connect() as client:
        client.send("POST /limit?bytes=4 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send("3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n")
        assert client.response().status == 413


def test_a_limit_must_be_a_number(server: AppServer) -> None:
    assert server.ask("/wrong").text == "nilerror while setting client max body size\n"


def test_what_else_can_be_asked_for(server: AppServer) -> None:
    assert server.ask("/flags").text == "true true\n"
