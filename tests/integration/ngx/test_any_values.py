"""Nothing that a Lua program does, apart from FFI, brings a worker down."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from support.app_server import AppServer

Start = Callable[..., AppServer]

SOURCE = Path(__file__).with_name("any_values.lua").read_text()
CALLS = 130  # of each function, as there

PROGRAMS = {
    "a recursion without end": "local function f() return 1 + f() end f()",
    "a recursion in an error handler": "xpcall(error, function() error('again') end)",
    "a recursion through __index": """
        local t = {}
        setmetatable(t, { __index = function(_, k) return t[k] end })
        return t.x
    """,
    "coroutines within coroutines": "local function f() return coroutine.wrap(f)() end f()",
    "a string too large": "('x'):rep(1e10)",
    "a table too large": "require('table.new')(2^30, 2^30)",
    "an order that is none": """
        local t = {}
        for i = 1, 1000 do t[i] = i end
        table.sort(t, function() return true end)
    """,
    "a cycle to be printed": "local t = {} t[1] = t ngx.say(t)",
    "a cycle to be encoded": "local t = {} t.t = t require('cjson').encode(t)",
    "a cycle of arguments": "local t = {} t.t = t ngx.encode_args(t)",
    "a finalizer that fails": """
        local p = newproxy(true)
        getmetatable(p).__gc = error
        p = nil
        collectgarbage()
        collectgarbage()
    """,
    "strings without methods": """
        debug.setmetatable('', nil)
        local ok = pcall(ngx.say, 'x')
        debug.setmetatable('', { __index = string })
        assert(ok)
    """,
    "many threads": "for _ = 1, 5000 do ngx.thread.spawn(ngx.sleep, 0.001) end",
    "many timers": "for _ = 1, 5000 do ngx.timer.at(0, function() error('x') end) end",
    "many sockets": "for _ = 1, 3000 do ngx.socket.tcp():connect('127.0.0.1', 1) end",
    "a yield where there is none": "string.gsub('a', 'a', function() coroutine.yield() end)",
    "an exit where there is none": "string.gsub('a', 'a', function() ngx.exit(204) end)",
}


def make_calls(server: AppServer, name: str, mode: str) -> None:
    """Make all calls of a function, going on behind one that ended its request."""
    begun = 0
    while begun <= CALLS:
        with contextlib.suppress(AssertionError, OSError):  # an answer may be anything, or none
            server.ask(f"/?{mode}name={name.replace(' ', '+')}&from={begun}")
        progress = int(server.ask("/?progress=1").text)
        assert progress >= begun, name
        begun = progress + 1


@pytest.mark.parametrize("mode", ["", "timer=1&"])
def test_a_worker_survives_any_value_in_any_call(app_server: Start, mode: str) -> None:
    server = app_server(SOURCE)
    names = server.ask("/?names=1").text.split("\n")[:-1]
    assert len(names) > 300
    for name in names:
        make_calls(server, name, mode)
    assert server.ask("/?fine=1").text == "fine\n"


@pytest.fixture(scope="module")
def any_program(module_app_server: Start) -> AppServer:
    cases = "".join(f"[{i}] = function() {code} end,\n" for i, code in enumerate(PROGRAMS.values()))
    return module_app_server(
        f"""
        local programs = {{ {cases} }}
        return {{ content = function()
            local number = ngx.var.uri:match("%d+")
            if number then programs[tonumber(number)]() end
            ngx.say("fine")
        end }}
        """
    )


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_worker_survives_any_program(any_program: AppServer, program: str) -> None:
    with contextlib.suppress(AssertionError):
        assert any_program.ask(f"/{list(PROGRAMS).index(program)}").status in (200, 204, 500)
    assert any_program.ask("/").text == "fine\n"
