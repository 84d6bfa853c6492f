"""TCP cosockets: options, halves that end alone, whose a socket is, killed threads."""

from collections.abc import Callable
from typing import Any

import pytest
from support.app_server import AppServer
from support.lua_console import LuaConsole
from support.upstream import Conversation, Upstream, running_upstream

Run = Callable[[str], Any]


def peer(conversation: Conversation) -> None:
    """Say back what comes; "end" ends the server's half, "where" tells the client's address."""
    while data := conversation.held or conversation.socket.recv(65536):
        conversation.held = b""
        if data == b"end":
            conversation.send(b"partial")
            conversation.socket.shutdown(1)
        elif data == b"where":
            conversation.send(conversation.socket.getpeername()[0].encode() + b"\n")
        elif data == b"reset":
            conversation.reset()
            return
        else:
            conversation.send(data)


@pytest.fixture(scope="module")
def upstream() -> Any:
    with running_upstream(peer) as server:
        yield server


@pytest.fixture
def run(console: LuaConsole, upstream: Upstream) -> Run:
    """Run Lua code that has `port` and `open(...)`, which connects to it."""
    prelude = f"""
        local port = {upstream.port}
        local function open(...)
            local sock = ngx.socket.tcp()
            sock:settimeout(2000)
            assert(sock:connect("127.0.0.1", port, ...))
            return sock
        end
    """
    return lambda code: console.run(prelude + code)


# -- options ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["keepalive", "reuseaddr", "tcp-nodelay"])
def test_options_are_switched(run: Run, name: str) -> None:
    code = f"""
        local sock, name = open(), "{name}"
        local function switched(value)
            assert(sock:setoption(name, value) == true)
            return sock:getoption(name) ~= 0
        end
        return switched(true), switched(false), switched(1), switched(0)
    """
    assert run(code) == [True, False, True, False]


@pytest.mark.parametrize("name", ["sndbuf", "rcvbuf"])
def test_buffers_are_sized(run: Run, name: str) -> None:
    code = f'local s = open() s:setoption("{name}", 10240) return s:getoption("{name}")'
    assert run(code) == [20480]  # the kernel doubles it


def test_options_that_are_none(run: Run) -> None:
    missing = 'missing the "%s" argument'
    assert run("return open():setoption()") == [None, missing % "option"]
    assert run("return open():getoption()") == [None, missing % "option"]
    assert run('return open():setoption("keepalive")') == [None, missing % "value"]
    assert run('return open():setoption("none", 1)') == [None, "unsupported option none"]
    closed = 'local s = open() s:close() return s:getoption("rcvbuf")'
    assert run(closed) == [None, "closed"]
    ok, err = run('return pcall(function() ngx.socket.tcp():setoption("rcvbuf", 1) end)')
    assert err.endswith("socket is never created nor connected")


def test_small_pieces_wait_for_each_other_until_something_is_sent(run: Run) -> None:
    code = """
        local sock = open()
        local before = sock:getoption("tcp-nodelay")
        sock:send("x")
        return before, sock:getoption("tcp-nodelay")
    """
    assert run(code) == [0, 1]


def test_the_descriptor(run: Run) -> None:
    code = "local s = open() local fd = s:getfd() s:close() return fd > 2, s:getfd()"
    assert run(code) == [True, None, "closed"]


# -- binding ------------------------------------------------------------------------------------


def test_a_connection_comes_from_where_it_was_bound(run: Run) -> None:
    code = """
        local sock = ngx.socket.tcp()
        local bound = sock:bind("127.0.0.9")
        assert(sock:connect("127.0.0.1", port))
        sock:send("where")
        return bound, (sock:receive())
    """
    assert run(code) == [True, "127.0.0.9"]


def test_addresses_that_are_nobody_s_here(run: Run, console: LuaConsole) -> None:
    code = 'local s = ngx.socket.tcp() s:bind("198.51.100.7") return s:connect("127.0.0.1", port)'
    assert run(code) == [None, "cannot assign requested address"]
    console.server.log.wait_for("[crit]")
    assert run('return ngx.socket.tcp():bind("localhost")') == [None, "bad address"]
    assert run('return ngx.socket.tcp():bind("::1")') == [True]
    assert run('return ngx.socket.tcp():bind("127.0.0.1", 70000)') == [
        None,
        "bad port number: 70000",
    ]


# -- halves -------------------------------------------------------------------------------------


def test_a_socket_whose_reading_ended_can_still_send(run: Run) -> None:
    code = """
        local sock = open()
        sock:send("end")
        local data, err, partial = sock:receive("*l")
        return data, err, partial, sock:receive(1) == nil, sock:send("more"),
            sock:setkeepalive() == nil, sock:close(), sock:close() == nil
    """
    assert run(code) == [None, "closed", "partial", True, 4, True, 1, True]


def test_all_of_it_can_be_asked_for_again(run: Run) -> None:
    code = 'local s = open() s:send("end") return s:receive("*a"), s:receive("*a"), s:receive(1)'
    assert run(code) == ["partial", "", None, "closed", ""]


def test_a_reset_is_told(run: Run, console: LuaConsole) -> None:
    assert run('local s = open() s:send("reset") return s:receive()') == [
        None,
        "connection reset by peer",
        "",
    ]
    console.server.log.wait_for("recv() failed (104: Connection reset by peer)")


def test_one_thread_reads_while_another_writes(run: Run) -> None:
    code = """
        local sock, size = open(), 4000000
        local reader = ngx.thread.spawn(function() return #sock:receive(size) end)
        local busy = select(2, sock:receive(1))
        local kept = select(2, sock:setkeepalive())
        local sent = sock:send(("x"):rep(size))
        local _, received = ngx.thread.wait(reader)
        return busy, kept, sent, received
    """
    assert run(code) == ["socket busy reading"] * 2 + [4000000] * 2


def test_only_one_thread_writes(run: Run) -> None:
    code = """
        local sock, size = open(), 20000000
        local function send() return sock:send(("x"):rep(size)) end
        local writer = ngx.thread.spawn(send)
        local busy, closing = select(2, sock:send("y")), select(2, sock:close())
        local received = #sock:receive(size)
        local _, sent = ngx.thread.wait(writer)
        return busy, closing, received == sent
    """
    assert run(code) == ["socket busy writing", "socket busy writing", True]


def test_an_iterator_gives_back_what_it_held(run: Run) -> None:
    code = """
        local sock = open()
        sock:send("ab--")
        local read = sock:receiveuntil("--x")
        sock:settimeout(50)
        local _, err, partial = read()
        return err, partial, sock:receive(2)
    """
    assert run(code) == ["timeout", "ab", "--"]


def test_an_iterator_goes_on_after_a_timeout(run: Run) -> None:
    code = """
        local sock = open()
        local read = sock:receiveuntil("--x")
        sock:settimeout(50)
        sock:send("ab-")
        local _, _, partial = read()
        sock:send("-xcd")
        return partial, read(), sock:receive(2)
    """
    assert run(code) == ["ab", "", "cd"]


# -- arguments ----------------------------------------------------------------------------------

WRONG = {
    'sock:connect("127.0.0.1", 80, { pool_size = 0 })': "bad argument #3 to 'connect' "
    '(bad "pool_size" option value: 0)',
    'sock:connect("127.0.0.1", 80, { pool_size = {} })': "bad argument #3 to 'connect' "
    '(bad "pool_size" option type: table)',
    'sock:connect("127.0.0.1", 80, { pool = true })': "bad argument #3 to 'connect' "
    '(bad "pool" option type: boolean)',
    "sock:connect()": "ngx.socket connect: expecting 2, 3, or 4 arguments (including the object), "
    "but seen 1",
    'sock.connect("127.0.0.1", 80)': "bad argument #1 to 'connect' (table expected, got string)",
    "sock:settimeouts(1, 2)": "ngx.socket settimeouts: expecting 4 arguments (including the "
    "object) but seen 3",
    "sock:settimeout(2^31)": "bad timeout value",
    'sock:setkeepalive("soon")': "bad argument #1 to 'setkeepalive' (number expected, got string)",
    "sock:receive(nil)": "bad argument #1 to 'receive' (bad argument)",
    'sock:receive("*n")': "bad argument #1 to 'receive' (bad pattern argument)",
    'sock:receive("all")': "bad argument #1 to 'receive' (bad pattern argument: all)",
    "sock:receive(-1)": "bad argument #1 to 'receive' (bad number argument)",
    "sock:receive(1, 2)": "expecting 1 or 2 arguments (including the object), but got 3",
    "sock:receiveany(0)": "bad argument #1 to 'receiveany' (bad max argument)",
    'sock:receiveuntil("x", { inclusive = 1 })': 'bad "inclusive" option value type: number',
    "sock:send({ a = 1 })": "bad argument #1 to 'send' (non-array table found)",
    "sock:send({ true })": "bad argument #1 to 'send' (bad data type boolean found)",
    "sock:send(print)": "bad argument #1 to 'send' (string, number, boolean, nil, or array table "
    "expected, got function)",
}


@pytest.mark.parametrize("call", WRONG)
def test_wrong_arguments_are_named(run: Run, call: str) -> None:
    code = f"local sock = open() return pcall(function() local r = {call} return r end)"
    ok, err = run(code)
    assert not ok
    assert err.split(": ", 1)[1] == WRONG[call]


# -- whose it is ----------------------------------------------------------------------------------

SHARED = """
local shared
return { content = function()
    if ngx.var.arg_new then
        shared = ngx.socket.tcp()
        assert(shared:connect("127.0.0.1", %d))
        ngx.say("made")
        ngx.flush(true)
        return ngx.sleep(tonumber(ngx.var.arg_new))
    end
    local function try(name, ...)
        local ok, err = pcall(shared[name], shared, ...)
        ngx.say(name, ": ", (tostring(err):gsub("^.-%%d: ", "")))
    end
    try("receive")
    try("send", "x")
    try("close")
    try("setkeepalive")
    try("connect", "127.0.0.1", %d)
end }
"""


def test_another_request_s_socket_is_none_of_ours(
    app_server: Callable[..., AppServer], upstream: Upstream
) -> None:
    server = app_server(SHARED % (upstream.port, upstream.port))
    with server.connect() as owner:
        owner.send(b"GET /?new=60 HTTP/1.1\r\nHost: x\r\n\r\n")
        owner.read_until(b"made\n")
        names = ["receive", "send", "close", "setkeepalive", "connect"]
        expected = [f"{name}: bad request" for name in names]
        assert server.ask().text.splitlines() == expected


def test_a_request_s_socket_ends_with_it(
    app_server: Callable[..., AppServer], upstream: Upstream
) -> None:
    server = app_server(SHARED % (upstream.port, upstream.port))
    with server.connect() as client:
        client.ask("/?new=0")
        assert client.ask().text.splitlines() == [
            "receive: nil",
            "send: nil",
            "close: nil",
            "setkeepalive: nil",
            "connect: bad request",
        ]
    server.log.wait_for("attempt to receive data on a closed socket")


# -- killed threads -------------------------------------------------------------------------------


def test_a_thread_that_is_killed_takes_its_socket_along(run: Run) -> None:
    code = """
        local sock = open()
        local thread = ngx.thread.spawn(function() sock:receive() end)
        ngx.thread.kill(thread)
        return sock:send("x")
    """
    assert run(code) == [None, "closed"]


def test_a_killed_connect_frees_its_place_in_the_pool(run: Run) -> None:
    code = """
        local options = { pool = "killed", pool_size = 1, backlog = 2 }
        local first = open(options)
        local waiting = ngx.thread.spawn(function() open(options) end)
        local next_one = ngx.thread.spawn(function()
            local sock = open(options)
            sock:send("x")
            return (sock:receive(1))
        end)
        ngx.thread.kill(waiting)
        first:close()
        return select(2, ngx.thread.wait(next_one))
    """
    assert run(code) == ["x"]


# -- logging ------------------------------------------------------------------------------------


def test_the_log_names_the_peer(run: Run, console: LuaConsole, upstream: Upstream) -> None:
    run("local sock = open() sock:settimeout(10) return sock:receive()")
    at = f"upstream: 127.0.0.1:{upstream.port}(127.0.0.1)"
    console.server.log.wait_for(f"lua tcp socket read timed out, {at}, client: 127.0.0.1")


def test_errors_of_sockets_need_not_be_logged(
    app_server: Callable[..., AppServer], upstream: Upstream
) -> None:
    console = LuaConsole(app_server, socket_log_errors=False, socket_read_timeout=0.01)
    code = f"""
        local sock = ngx.socket.connect("127.0.0.1", {upstream.port})
        local _, timed_out = sock:receive()
        sock:close()
        return timed_out, select(2, sock:receive()), select(2, sock:connect("127.0.0.1", 1))
    """
    assert console.run(code) == ["timeout", "closed", "connection refused"]
    assert not console.server.log.lines("[error]")
