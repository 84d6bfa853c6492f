"""The choice of a server: by listener and by name, as nginx chooses."""

from collections.abc import Callable

import pytest
from support.app_server import AppServer

Start = Callable[..., AppServer]

APP = """
local function server(name, ...)
    return {
        names = { ... },
        locations = { { path = "/", content = function()
            ngx.say(name, " ", ngx.var.server_name, " ", ngx.var.user or "", " ", ngx.var.host)
        end } },
    }
end
return { servers = {
    server("default", "first.org"),
    server("exact", "www.a.com", "UPPER.com"),
    server("star", "*.a.com"),
    server("longer", "*.b.a.com"),
    server("prefix", "www.*", "mail.a.*"),
    server("shorter", "mail.*"),
    server("dot", ".dot.com"),
    server("regex", "~^(?<user>[a-z]+)\\\\.user\\\\.net$"),
    server("regex2", "~\\\\.net$"),
    server("none", ""),
} }
"""


@pytest.fixture(scope="module")
def named(module_app_server: Start) -> AppServer:
    """One server for all names."""
    return module_app_server(APP)


@pytest.mark.parametrize(
    ("host", "chosen"),
    [
        ("first.org", "default first.org  first.org"),
        ("unknown", "default first.org  unknown"),
        ("www.a.com", "exact www.a.com  www.a.com"),
        ("WWW.A.com:80", "exact www.a.com  www.a.com"),
        ("upper.com", "exact www.a.com  upper.com"),
        ("x.a.com", "star *.a.com  x.a.com"),
        ("y.x.a.com", "star *.a.com  y.x.a.com"),
        ("x.b.a.com", "longer *.b.a.com  x.b.a.com"),
        ("b.a.com", "star *.a.com  b.a.com"),
        ("a.com", "default first.org  a.com"),
        ("www.x", "prefix www.*  www.x"),
        ("mail.a.x", "prefix www.*  mail.a.x"),
        ("mail.b", "shorter mail.*  mail.b"),
        ("dot.com", "dot dot.com  dot.com"),
        ("a.dot.com", "dot dot.com  a.dot.com"),
        ("joe.user.net", "regex ~^(?<user>[a-z]+)\\.user\\.net$ joe joe.user.net"),
        ("12.user.net", "regex2 ~\\.net$  12.user.net"),
    ],
)
def test_the_name_decides(named: AppServer, host: str, chosen: str) -> None:
    with named.connect() as client:
        client.send(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")
        assert client.response().text.rstrip("\n") == chosen


def test_each_request_of_a_connection_is_chosen_for_anew(app_server: Start) -> None:
    with app_server(APP).connect() as client:
        for host, name in (("www.a.com", "exact"), ("first.org", "default"), ("x.a.com", "star")):
            client.send(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")
            assert client.response().text.startswith(name)


def test_a_request_of_http_1_0_may_name_no_host(app_server: Start) -> None:
    with app_server(APP).connect() as client:
        client.send("GET / HTTP/1.0\r\n\r\n")
        assert client.response().text.startswith("none ")


def test_a_server_answers_on_its_listeners_only(app_server: Start) -> None:
    app = """
    local function server(name, listeners)
        return { listeners = listeners, names = { "a" }, content = function() ngx.say(name) end }
    end
    return { servers = { server("one", { 1 }), server("two", { 2 }), server("both") } }
    """
    server = app_server(app, listeners=3)
    answers = []
    for listener in range(3):
        with server.connect(listener=listener) as client:
            answers.append(client.ask().text)
    assert answers == ["one\n", "two\n", "both\n"]
    assert 'conflicting server name "a" on listener 1, ignored' in server.log.text


def test_nobody_answers_on_a_listener_without_servers(app_server: Start) -> None:
    app = "return { servers = { { listeners = { 2 }, content = function() ngx.say('x') end } } }"
    server = app_server(app, listeners=2)
    with server.connect(listener=0) as first, server.connect(listener=1) as second:
        assert first.ask().status == 404
        assert second.ask().text == "x\n"


def test_server_rewrite_is_run_for_the_server_of_the_request(app_server: Start) -> None:
    app = """
    local function server(name)
        return {
            names = { name },
            server_rewrite = function()
                ngx.header.x = name .. " " .. ngx.get_phase()
                if ngx.var.arg_to then
                    ngx.req.set_uri(ngx.var.arg_to, true)
                elseif ngx.var.arg_exit then
                    ngx.exit(tonumber(ngx.var.arg_exit))
                elseif ngx.var.arg_say then
                    ngx.say("said")
                end
            end,
            locations = { { path = "/a", content = function() ngx.say("in ", name) end } },
        }
    end
    return { servers = { server("one"), server("two") } }
    """
    with app_server(app).connect() as client:
        answers = []
        for name in ("one", "two"):
            for target in ("/a", "/b?to=/a", "/a?exit=0", "/a?exit=403", "/a?say=1", "/b"):
                client.send(f"GET {target} HTTP/1.1\r\nHost: {name}\r\n\r\n")
                response = client.response()
                assert response.header("X") == f"{name} server_rewrite"
                answers.append((response.status, response.text[:7].strip()))
    assert answers[:6] == [
        *[(200, "in one")] * 3,
        *[(403, "<html>"), (200, "said"), (404, "<html>")],
    ]
    assert answers[6:9] == [(200, "in two")] * 3
