"""Cosockets answer as in nginx with ngx_lua: values, error texts, what partial data remains."""

import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from support.app_server import AppServer, running_app
from support.nginx import Nginx, as_app, running_nginx
from support.upstream import Conversation, running_upstream


def peer(conversation: Conversation) -> None:
    """Say back what comes; "lines" and "close" have answers of their own."""
    while conversation.held or conversation._more():
        data, conversation.held = conversation.held, b""
        if data == b"close":
            conversation.send(b"partial")
            return
        conversation.send(b"one\r\ntwo\nthr\ree\r\nleft" if data == b"lines" else data)


START = """
local PORT, DEAD = %d, %d
local function show(...)
    local parts = {}
    for i = 1, select("#", ...) do
        parts[i] = tostring((select(i, ...)))
    end
    ngx.say(table.concat(parts, "|"))
end
local function connect(...)
    local sock = ngx.socket.tcp()
    sock:settimeout(100)
    assert(sock:connect("127.0.0.1", PORT, ...))
    return sock
end
local s
"""

CASES = {
    "refused": 's = ngx.socket.tcp() show(s:connect("127.0.0.1", DEAD)) show(s:send("x")) '
    "show(s:receive()) show(s:close()) show(s:setkeepalive()) show(s:getreusedtimes())",
    "no-unix-socket": 's = ngx.socket.tcp() show(s:connect("unix:/none.sock"))',
    "bad-ports": 's = ngx.socket.tcp() show(s:connect("127.0.0.1", "x")) '
    'show(s:connect("127.0.0.1", 99999)) show(s:connect("127.0.0.1"))',
    "lines": 's = connect() show(s:send("lines")) show(s:receive()) show(s:receive("*l")) '
    "show(s:receive()) show(s:receive(2)) show(s:receive(10)) show(s:receive(1))",
    "empty-lines": 's = connect() s:send("\\n\\r\\nabc\\n") show(s:receive()) show(s:receive()) '
    "show(s:receive())",
    "line-then-end": 's = connect() s:send("close") show(s:receive()) show(s:receive())',
    "all": 's = connect() s:send("close") show(s:receive("*a"))',
    "size-then-end": 's = connect() s:send("close") show(s:receive(3)) show(s:receive(30)) '
    "show(s:receive(1))",
    "sizes": 's = connect() s:send("123456") show(s:receive(0)) show(s:receive("4")) '
    "show(s:receive(2))",
    "any": 's = connect() s:send("close") show(s:receiveany(3)) show(s:receiveany(30)) '
    "show(s:receiveany(1))",
    "timeout-then-data": 's = connect() show(s:receive(1)) show(s:send("x1")) show(s:receive(2)) '
    "show(s:receiveany(1))",
    "until": 's = connect() s:send("ab--cd--") local it = s:receiveuntil("--") show(it()) '
    "show(it()) show(it()) show(s:receive(1))",
    "until-parts": 's = connect() s:send("abcdefgh--ij--") local it = s:receiveuntil("--") '
    "show(it(3)) show(it(3)) show(it(3)) show(it(3)) show(it(3)) show(it(3))",
    "until-inclusive": 's = connect() s:send("ab--cd--") '
    'local it = s:receiveuntil("--", { inclusive = true }) show(it()) show(it()) show(it())',
    "until-like-itself": 's = connect() s:send("aaab-a-a-b--") '
    'local it = s:receiveuntil("-a-b") show(it()) show(s:receiveany(9))',
    "until-then-line": 's = connect() s:send("x\\r\\n--B\\r\\ny\\n") '
    'local it = s:receiveuntil("\\r\\n--B") show(it(1)) show(it(1)) show(s:receive(2)) '
    "show(s:receive())",
    "until-end": 's = connect() s:send("close") local it = s:receiveuntil("--") show(it()) '
    "show(it())",
    "until-nothing": 's = connect() show(s:receiveuntil(""))',
    "send": 's = connect() show(s:send("")) show(s:send({ "a", { "b", 1 }, 2 })) show(s:send(3)) '
    "show(s:receive(5))",
    "bad-timeout": "s = connect() show(pcall(s.settimeout, s, -1))",
    "connect-again": 's = connect() show(s:connect("127.0.0.1", PORT)) show(s:send("x")) '
    "show(s:receive(1))",
    "shortcut": 's = ngx.socket.connect("127.0.0.1", PORT) show(s:send("x\\n")) show(s:receive())',
    "keepalive": 's = connect({ pool = "k" }) show(s:getreusedtimes()) '
    "show(s:setkeepalive(9e3, 5)) show(s:send(1)) show(s:receive()) "
    "show(s:getreusedtimes()) show(s:setkeepalive()) "
    's = connect({ pool = "k" }) show(s:getreusedtimes()) show(s:setkeepalive(0)) '
    's = connect({ pool = "k" }) show(s:getreusedtimes()) show(s:close()) show(s:close()) '
    's = connect({ pool = "k" }) show(s:getreusedtimes())',
    "keepalive-unread": 's = connect() s:send("xy") show(s:receive(1)) show(s:setkeepalive())',
    "keepalive-dubious": 's = connect() s:send("xy") ngx.sleep(0.05) show(s:setkeepalive())',
    "keepalive-closed": 's = connect() s:send("close") show(s:receive(7)) ngx.sleep(0.05) '
    "show(s:setkeepalive())",
    "busy": "s = connect() ngx.thread.spawn(function() show(s:receive()) end) show(s:receive()) "
    's:send("x") show(s:close()) show(s:setkeepalive())',
    "pool-without-backlog": 's = connect({ pool = "p", pool_size = 1, backlog = 0 }) '
    "local t = ngx.socket.tcp() local function try() "
    'show(t:connect("127.0.0.1", PORT, { pool = "p", pool_size = 1, backlog = 0 })) end '
    "try() s:close() try()",
    "pool-with-backlog": 's = connect({ pool = "q", pool_size = 1, backlog = 1 }) '
    "local function try() local t = ngx.socket.tcp() t:settimeout(50) "
    'show(t:connect("127.0.0.1", PORT, { pool = "q", pool_size = 1, backlog = 1 })) '
    "show(t:getreusedtimes()) end "
    "ngx.thread.wait(ngx.thread.spawn(try)) local t = ngx.thread.spawn(try) "
    "show(s:setkeepalive()) ngx.thread.wait(t)",
    "pool-queue-is-full": 's = connect({ pool = "r", pool_size = 1, backlog = 1 }) '
    "local function try() local t = ngx.socket.tcp() t:settimeout(50) "
    'return t:connect("127.0.0.1", PORT, { pool = "r", pool_size = 1, backlog = 1 }) end '
    "local t = ngx.thread.spawn(try) show(try()) show(ngx.thread.wait(t))",
    "options": "s = ngx.socket.tcp() local function try(options) "
    'local ok, err = pcall(s.connect, s, "127.0.0.1", PORT, options) '
    'show(ok, (tostring(err):gsub("^.-%(bad", "(bad"):gsub("%)$", ""):gsub("^%(?bad ", ""))) end '
    "try({ pool_size = 0 }) try({ pool_size = 1, backlog = -1 })",
}


@dataclass
class Both:
    """Both servers."""

    ours: AppServer
    theirs: Nginx


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        dead = listener.getsockname()[1]
    with running_upstream(peer) as upstream:
        start = START % (upstream.port, dead)
        cases = {name: {"content": start + code} for name, code in CASES.items()}
        with running_nginx(cases) as theirs, running_app(as_app(cases)) as ours:
            yield Both(ours, theirs)


def told(server: AppServer | Nginx, name: str) -> str:
    with server.connect() as client:
        response = client.ask(f"/{name}/")
        assert response.status == 200
        return re.sub(r"(content_by_lua\(nginx\.conf:\d+\):|/\S*app\.lua:)\d+", "L", response.text)


@pytest.mark.parametrize("name", CASES)
def test_the_same_answers(both: Both, name: str) -> None:
    assert told(both.ours, name) == told(both.theirs, name)


PHASES = """
return {
    %s = function()
        local sock = ngx.socket.tcp()
        assert(sock:connect("127.0.0.1", %d))
        assert(sock:send("x\\n"))
        local line = sock:receive()
        ngx.log(ngx.WARN, "got ", line, " in ", ngx.get_phase())
        assert(sock:setkeepalive())
    end,
    %s
}
"""


@pytest.mark.parametrize(
    "phase",
    ["rewrite", "access", "content", "balancer", "header_filter", "body_filter", "log"],
)
def test_cosockets_work_in_every_phase(app_server: Callable[..., AppServer], phase: str) -> None:
    with running_upstream(peer) as upstream:
        rest = (
            'content = function() ngx.say("x") end' if phase not in ("content", "balancer") else ""
        )
        server = app_server(PHASES % (phase, upstream.port, rest))
        assert server.ask().status == (500 if phase == "balancer" else 200)
        server.log.wait_for(f"got x in {phase}")
        assert not server.log.lines("[error]") or phase == "balancer"


def test_what_a_request_leaves_open_is_closed_at_its_end(
    app_server: Callable[..., AppServer],
) -> None:
    source = """
    local function open()
        local sock = ngx.socket.tcp()
        assert(sock:connect("127.0.0.1", %d))
        return sock
    end
    return { content = function()
        open()
        ngx.thread.spawn(open)
        ngx.timer.at(0, open)
        ngx.thread.spawn(function() open():receive() end)
        ngx.exit(204)
    end }
    """
    with running_upstream(peer) as upstream:
        server = app_server(source % upstream.port)
        for _ in range(10):
            assert server.ask().status == 204
        while upstream.accepted < 40:
            server.connections()
        server.settle()
        deadline = server.descriptors()
        assert deadline < 20


def test_a_killed_connect_leaves_nothing(app_server: Callable[..., AppServer]) -> None:
    source = """
    return { content = function()
        local thread = ngx.thread.spawn(function()
            ngx.socket.tcp():connect("127.0.0.1", tonumber(ngx.var.arg_port))
        end)
        ngx.thread.kill(thread)
        ngx.say("killed")
    end }
    """
    server = app_server(source)
    server.ask("/?port=1")
    before = server.descriptors()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        for _ in range(20):
            assert server.ask(f"/?port={port}").text == "killed\n"
        for each in waiting:
            each.close()
    server.settle()
    assert server.descriptors() <= before
