"""resty.logger.socket: its options, its limits, its tries; sockets by hand."""

from __future__ import annotations

from typing import Any

import pytest

SETUP = """
    sent, due, slept, failures, closing = {}, {}, {}, 0, false
    local function connect(self, ...)
        if failures > 0 then
            failures = failures - 1
            return nil, "refused"
        end
        self.to = table.concat({ ... }, ":")
        return true
    end
    local function maker(kind)
        return function()
            return {
                settimeout = function(_, ms) timeout = ms end,
                connect = connect, setpeername = connect,
                send = function(self, text)
                    sent[#sent + 1] = kind .. " " .. self.to .. " " .. text
                    return #text
                end,
                setkeepalive = function(_, _, size) pool_size = size return true end,
                sslhandshake = function(_, _, name, verify)
                    handshake = name .. " " .. tostring(verify)
                    return {}
                end,
            }
        end
    end
    ngx.socket.tcp, ngx.socket.udp = maker("tcp"), maker("udp")
    ngx.sleep = function(seconds) slept[#slept + 1] = seconds end
    ngx.worker.exiting = function() return closing end
    ngx.timer.at = function(delay, fn, arg)
        due[#due + 1] = { delay = delay, run = function(premature) fn(premature, arg) end }
        return true
    end
    function run_due(premature)
        local now = due
        due = {}
        for _, each in ipairs(now) do each.run(premature or false) end
    end
    socket = require "resty.logger.socket"
    function new(options)
        options.host, options.port = options.host or "h", options.port or 1
        return socket:new(options)
    end
"""


@pytest.fixture
def run(lua: Any) -> Any:
    lua.execute(SETUP)
    return lua.execute


def test_messages_are_sent_when_there_are_enough(run: Any) -> None:
    run('l = new { flush_limit = 5, timeout = 7, pool_size = 3 } first = l:log("ab")')
    assert run("return first, #due") == (2, 0)
    run('l:log("cde") run_due()')
    assert list(run("return sent").values()) == ["tcp h:1 abcde"]
    assert run("return timeout, pool_size, l.size") == (7, 3, 0)


def test_what_is_too_much_is_dropped(run: Any) -> None:
    run('l = new { flush_limit = 5, drop_limit = 8 } l:log("abcd") dropped = l:log("12345")')
    assert run("return dropped") == 0
    run('run_due() l:log("12345") run_due()')
    assert list(run("return sent").values()) == ["tcp h:1 abcd", "tcp h:1 12345"]


def test_other_servers(run: Any) -> None:
    run("""
        new({ flush_limit = 0, sock_type = "udp" }):log("a")
        socket:new({ path = "/x", flush_limit = 0 }):log("b")
        new({ flush_limit = 0, ssl = true, ssl_verify = false, sni_host = "name" }):log(3)
        run_due()
    """)
    assert list(run("return sent").values()) == ["udp h:1 a", "tcp unix:/x b", "tcp h:1 3"]
    assert run("return handshake") == "name false"


def test_a_failure_is_tried_again_and_told_later(run: Any) -> None:
    run("l = new { flush_limit = 0, max_retry_times = 2, retry_interval = 50 } failures = 2")
    run('l:log("a") run_due()')
    assert list(run("return sent").values()) == ["tcp h:1 a"]
    assert list(run("return slept").values()) == [0.05, 0.05]
    run('failures = 9 l:log("b") run_due()')
    taken, err = run('return l:log("c")')
    assert taken == 1
    assert err == (
        "try to send log messages to the log server failed after 2 retries: "
        "try to connect to the log server failed after 2 retries: refused"
    )
    assert run('return select(2, l:log("d"))') is None


def test_flushes(run: Any) -> None:
    run('l = new { periodic_flush = 4 } l:log("a")')
    assert run("return due[1].delay") == 4
    run("run_due()")
    assert list(run("return sent").values()) == ["tcp h:1 a"]
    run('l:log("b")')
    assert run("return (l:flush(l))") == 1
    assert run("return l:flush(l)") is True, "nothing to do"


def test_a_worker_that_exits_keeps_nothing(run: Any) -> None:
    run('l = new {} closing = true l:log("a") run_due()')
    assert list(run("return sent").values()) == ["tcp h:1 a"]


def test_the_logger_of_the_module(run: Any) -> None:
    assert run('return socket.log("a")') == (None, "not initialized")
    assert not run("return socket.initted()")
    run('socket.init { host = "h", port = 1, flush_limit = 9 } socket.log("a")')
    assert run("return socket.initted()") is True
    assert run("return (socket.flush())") == 1
    assert run('return socket:new():log("x")') == (None, "not initialized")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("1", "user_config must be a table"),
        ("{ host = 1 }", '"host" must be a string'),
        ('{ port = "x" }', '"port" must be a number'),
        ("{ port = 65536 }", '"port" out of range 0~65535'),
        ("{ path = 1 }", '"path" must be a string'),
        ("{ sock_type = 1 }", '"sock_type" must be a string'),
        ('{ sock_type = "x" }', '"sock_type" must be "tcp" or "udp"'),
        ("{ flush_limit = -1 }", 'invalid "flush_limit"'),
        ('{ timeout = "x" }', 'invalid "timeout"'),
        ("{ ssl = 1 }", '"ssl" must be a boolean value'),
        ("{}", 'no logging server configured. "host"/"port" or "path" is required.'),
        ('{ host = "h" }', 'no logging server configured. "host"/"port" or "path" is required.'),
        (
            '{ path = "/x", flush_limit = 5, drop_limit = 5 }',
            '"flush_limit" should be < "drop_limit"',
        ),
    ],
)
def test_options_that_are_refused(run: Any, options: str, message: str) -> None:
    assert run(f"return socket:new({options})") == (None, message)
