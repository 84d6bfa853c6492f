"""resty.http between a client and another server: requests passed on, responses passed back."""

from collections.abc import Callable
from typing import Any

import pytest
from support.app_server import AppServer
from support.upstream import Conversation, Script, Upstream

APP = """
local http = require "resty.http"
return { content = function()
    local httpc = http.new()
    httpc:set_timeout(5000)
    %s
end }
"""


class Far:
    """Keeps a request and answers in chunks, with fields of the connection."""

    head = ""
    body = b""

    def __call__(self, conversation: Conversation) -> None:
        self.head = conversation.request().decode()
        if "content-length: 6" in self.head.lower():
            self.body = conversation.read_exactly(6)
        conversation.send(
            b"HTTP/1.1 202 Fine\r\nTransfer-Encoding: chunked\r\nX-Far: 1\r\nKeep-Alive: x\r\n\r\n"
            b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"
        )
        conversation.closed()


def test_a_request_passed_on(
    app_server: Callable[..., AppServer], upstream: Callable[[Script], Upstream]
) -> None:
    far = Far()
    code = f"""
        assert(httpc:connect("127.0.0.1", {upstream(far).port}))
        httpc:proxy_response(httpc:proxy_request(4), 4)
        httpc:set_keepalive()
    """
    answer = app_server(APP % code).ask("/a%20b?c=d", "X-Mine: 7", method="POST", body=b"123456")
    assert (answer.status, answer.text, answer.header("X-Far")) == (202, "abcdef", "1")
    assert answer.header("Keep-Alive") is None
    assert far.head.startswith("POST /a%20b?c=d HTTP/1.1\r\n")
    assert "x-mine: 7\r\n" in far.head.lower()
    assert far.body == b"123456"


def test_no_response_to_pass_back(app_server: Callable[..., AppServer]) -> None:
    server = app_server(APP % 'httpc:proxy_response(nil) ngx.say("on")')
    assert server.ask().text == "on\n"
    server.log.wait_for("no response provided")


READ = """
    local reader, err = httpc:get_client_body_reader(3)
    if not reader then
        return ngx.say("none: ", tostring(err))
    end
    local pieces = {}
    repeat
        local piece, why = reader()
        pieces[#pieces + 1] = piece or tostring(why)
    until not piece
    ngx.say(table.concat(pieces, "|"))
"""


@pytest.mark.parametrize(
    ("method", "body", "said"),
    [("POST", b"12345678", "123|456|78|nil"), ("GET", None, "none: nil")],
)
def test_the_clients_body(
    app_server: Callable[..., AppServer], method: str, body: bytes | None, said: str
) -> None:
    assert app_server(APP % READ).ask(method=method, body=body).text == f"{said}\n"


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("http://a.test", "http a.test 80 / "),
        ("https://a.test/b?c=d", "https a.test 443 /b?c=d nil"),
        ("http://a.test:8080?x", "http a.test 8080 /?x nil"),
        ("http://[::1]:81/", "http [::1] 81 / "),
        ("//a.test/b", "http a.test 80 /b "),
        ("ftp://a.test/", "nil bad uri: ftp://a.test/"),
        ("a.test/b", "nil bad uri: a.test/b"),
    ],
)
def test_uris(app_server: Callable[..., Any], uri: str, parts: str) -> None:
    code = f"""
        local parts, err = httpc:parse_uri("{uri}")
        if not parts then
            return ngx.print("nil ", err)
        end
        for i = 1, 5 do
            parts[i] = tostring(parts[i])
        end
        ngx.print(table.concat(parts, " "))
    """
    assert app_server(APP % code).ask().text == parts


def test_the_query_apart_and_no_scheme_to_inherit(app_server: Callable[..., Any]) -> None:
    code = """
        local parts = httpc:parse_uri("http://a.test/b?c=d", false)
        ngx.say(parts[4], " ", parts[5])
        ngx.timer.at(0, function() ngx.log(ngx.WARN, select(2, http:parse_uri("//a.test/b"))) end)
    """
    server = app_server(APP % code)
    assert server.ask().text == "/b c=d\n"
    server.log.wait_for("schemaless URIs require a request context: //a.test/b")
