"""resty.logger.socket: what is gathered, when it is sent, what cannot be configured."""

from collections.abc import Callable
from typing import Any

import pytest
from support.lua_console import LuaConsole
from support.upstream import Conversation, Script, Upstream


class Server:
    """A script that keeps what comes."""

    def __init__(self) -> None:
        self.received = b""

    def __call__(self, conversation: Conversation) -> None:
        while piece := conversation.socket.recv(65536):
            self.received += piece


@pytest.fixture
def run(console: LuaConsole, upstream: Callable[[Script], Upstream]) -> Callable[..., Any]:
    """run(code): what it returns, and what the server got; `code` has `logger` and `new`."""

    def start(code: str) -> tuple[Any, bytes]:
        script = Server()
        server = upstream(script)
        prelude = f"""
            local logger = require "resty.logger.socket"
            local function new(options)
                options = options or {{}}
                options.host = options.host or "127.0.0.1"
                options.port = options.port or {server.port}
                options.pool_size = 1
                return logger:new(options)
            end
        """
        answer = console.run(prelude + code)
        server.stop()
        return answer, script.received

    return start


def test_messages_wait_for_the_flush(run: Callable[..., Any]) -> None:
    code = """
        local own = new()
        local first, second = own:log("one "), own:log(2)
        return own:initted(), first, second, own:flush(), own:flush()
    """
    assert run(code) == ([True, 4, 1, 5, True], b"one 2")


def test_a_full_buffer_is_flushed(run: Callable[..., Any]) -> None:
    code = """
        local own = new{ flush_limit = 5, drop_limit = 10 }
        local taken = { own:log("abc"), own:log("def"), own:log("ghijk") }
        while own.size > 0 do ngx.sleep(0.001) end
        return unpack(taken)
    """
    assert run(code) == ([3, 3, 0], b"abcdef")


def test_what_cannot_be_sent_is_told_later(run: Callable[..., Any]) -> None:
    code = """
        local own = new{ port = 1, max_retry_times = 1, retry_interval = 1 }
        own:log("lost")
        own:flush()
        local bytes, err = own:log("next")
        return bytes, err, (select("#", own:log("more")))
    """
    (bytes_, err, _), received = run(code)
    assert (bytes_, received) == (4, b"")
    assert err == (
        "try to send log messages to the log server failed after 1 retries: "
        "try to connect to the log server failed after 1 retries: connection refused"
    )


def test_the_workers_logger(run: Callable[..., Any]) -> None:
    code = """
        return logger.init{ host = "127.0.0.1", port = 1 }, logger.initted(), logger.log("x")
    """
    assert run(code)[0] == [True, True, 1]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("nil", "user_config must be a table"),
        ("{}", 'no logging server configured. "host"/"port" or "path" is required.'),
        ("{ host = 1 }", '"host" must be a string'),
        ('{ port = "a" }', '"port" must be a number'),
        ("{ port = 65536 }", '"port" out of range 0~65535'),
        ('{ sock_type = "x" }', '"sock_type" must be "tcp" or "udp"'),
        ("{ timeout = -1 }", 'invalid "timeout"'),
        ("{ ssl = 1 }", '"ssl" must be a boolean value'),
        (
            '{ path = "/a", flush_limit = 9, drop_limit = 9 }',
            '"flush_limit" should be < "drop_limit"',
        ),
    ],
)
def test_what_cannot_be_configured(run: Callable[..., Any], options: str, why: str) -> None:
    assert run(f"return logger.init({options})")[0] == [None, why]
