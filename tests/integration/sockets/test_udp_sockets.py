"""UDP and datagram unix sockets of user code."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.app_server import PATIENCE, AppServer
from support.lua_console import LuaConsole

Run = Callable[[str], Any]


@dataclass
class Echo:
    """Sends each datagram back: "twice" twice, "where" as its sender's address, "silent" not."""

    link: socket.socket

    def serve(self) -> None:
        while True:
            data, peer = self.link.recvfrom(70000)
            if data == b"over":
                return
            if data == b"silent":
                continue
            if data == b"where":
                data = peer[0].encode()
            for _ in range(2 if data == b"twice" else 1):
                self.link.sendto(data, peer)


@contextlib.contextmanager
def echoing(family: int, address: Any) -> Iterator[socket.socket]:
    with socket.socket(family, socket.SOCK_DGRAM) as link:
        link.bind(address)
        thread = threading.Thread(target=Echo(link).serve, daemon=True)
        thread.start()
        yield link
        with socket.socket(family, socket.SOCK_DGRAM) as last:
            last.sendto(b"over", link.getsockname())
        thread.join(PATIENCE)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with echoing(socket.AF_INET, ("127.0.0.1", 0)) as link:
        yield link.getsockname()[1]


@pytest.fixture
def run(console: LuaConsole, port: int) -> Run:
    """Run Lua code that has `sock`, whose peer is set, and `port`."""
    prelude = f"""
        local port = {port}
        local sock = ngx.socket.udp()
        sock:settimeout(2000)
        assert(sock:setpeername("127.0.0.1", port) == 1)
    """
    return lambda code: console.run(prelude + code)


def test_datagrams_keep_their_bounds(run: Run) -> None:
    code = """
        local sent = { sock:send("one"), sock:send({ "two", { " parts" } }), sock:send("") }
        return sent, sock:receive(), sock:receive(), sock:receive()
    """
    assert run(code) == [[1, 1, 1], "one", "two parts", ""]


def test_what_may_be_sent(run: Run) -> None:
    code = """
        sock:send(12.5) sock:send(true) sock:send(nil)
        return sock:receive(), sock:receive(), sock:receive()
    """
    assert run(code) == ["12.5", "true", "nil"]


def test_what_is_longer_than_asked_for_is_cut(run: Run) -> None:
    assert run('sock:send("abcdef") sock:send("next") return sock:receive(3), sock:receive()') == [
        "abc",
        "next",
    ]


def test_datagrams_that_came_together_are_all_there(run: Run) -> None:
    code = """
        sock:send("twice")
        local first = sock:receive()
        ngx.sleep(0.02)
        return first, sock:receive()
    """
    assert run(code) == ["twice", "twice"]


def test_a_large_datagram(run: Run) -> None:
    assert run('sock:send(("x"):rep(60000)) return #sock:receive()') == [60000]


def test_waiting_ends_and_can_be_begun_again(run: Run, console: LuaConsole, port: int) -> None:
    code = """
        sock:settimeout(20)
        sock:send("silent")
        local _, err = sock:receive()
        sock:settimeout(2000)
        sock:send("heard")
        return err, sock:receive()
    """
    assert run(code) == ["timeout", "heard"]
    at = f"upstream: 127.0.0.1:{port}(127.0.0.1)"
    console.server.log.wait_for(f"lua udp socket read timed out, {at}")


def test_a_socket_that_is_waited_for_is_busy(run: Run) -> None:
    code = """
        local thread = ngx.thread.spawn(function() return sock:receive() end)
        local function why(...) return (select(2, ...)) end
        local busy = { why(sock:send("x")), why(sock:receive()), why(sock:close()),
            why(sock:setpeername("127.0.0.1", port)) }
        ngx.thread.kill(thread)
        return busy, why(sock:send("x"))
    """
    assert run(code) == [["socket busy"] * 4, "closed"]


def test_nobody_listens(run: Run, console: LuaConsole) -> None:
    code = 'sock:setpeername("127.0.0.1", 1) sock:send("x") return sock:receive()'
    assert run(code) == [None, "connection refused"]
    console.server.log.wait_for("recv() failed (111: Connection refused), upstream: 127.0.0.1:1")


def test_closing(run: Run) -> None:
    code = "return sock:close(), (select(2, sock:close())), (select(2, sock:receive()))"
    assert run(code) == [1, "closed", "closed"]


def test_a_socket_without_a_peer(run: Run, console: LuaConsole) -> None:
    code = 'local s = ngx.socket.udp() return select(2, s:send("x")), select(2, s:receive())'
    assert run(code) == ["closed", "closed"]
    console.server.log.wait_for("attempt to send data on a closed socket: u:nil, c:nil")


def test_datagrams_come_from_where_the_socket_was_bound(run: Run) -> None:
    code = """
        local s = ngx.socket.udp()
        local bound = s:bind("127.0.0.8")
        s:setpeername("127.0.0.1", port)
        s:send("where")
        return bound, s:receive(), s:bind("none")
    """
    assert run(code) == [True, "127.0.0.8", None, "bad address"]


def test_over_a_unix_socket(run: Run, tmp_path: Path) -> None:
    with echoing(socket.AF_UNIX, str(tmp_path / "s")):
        code = f"""
            assert(sock:setpeername("unix:{tmp_path}/s"))
            sock:send("by path")
            return sock:receive()
        """
        assert run(code) == ["by path"]
    code = 'return sock:setpeername("unix:/none.sock")'
    assert run(code) == [None, "no such file or directory"]


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (
            "sock:setpeername()",
            "ngx.socket.udp setpeername: expecting 2 or 3 arguments (including the object), "
            "but seen 1",
        ),
        (
            'sock:setpeername("127.0.0.1", "x")',
            "bad argument #2 to 'setpeername' (number expected, got string)",
        ),
        ("sock:send()", "expecting 2 arguments (including the object), but got 1"),
        ("sock:send({ {}, print })", "bad argument #1 to 'send' (bad data type function found)"),
        ("sock:receive({})", "bad argument #1 to 'receive' (number expected, got table)"),
        ("sock.close(2)", "bad argument #1 to 'close' (table expected, got number)"),
    ],
)
def test_wrong_arguments_are_named(run: Run, call: str, why: str) -> None:
    ok, err = run(f"return pcall(function() local r = {call} return r end)")
    assert not ok
    assert err.split(": ", 1)[1] == why


def test_what_a_request_leaves_open_is_closed_at_its_end(
    app_server: Callable[..., AppServer], port: int
) -> None:
    server = app_server(
        f"""
        return {{ content = function()
            assert(ngx.socket.udp():setpeername("127.0.0.1", {port}))
            ngx.say("open")
        end }}
        """
    )
    server.ask()
    server.settle()
    before = server.descriptors()
    for _ in range(20):
        assert server.ask().text == "open\n"
    server.settle()
    assert server.descriptors() == before
