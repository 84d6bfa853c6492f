"""Semaphores, timers and sleep, and where ngx_lua lets nothing wait."""

import re
from collections.abc import Callable
from functools import partial

import pytest
from support.content import SAY, content_runner

LOCALS = """
local create, resume, yield = coroutine.create, coroutine.resume, coroutine.yield
local status, wrap = coroutine.status, coroutine.wrap
local spawn, wait, kill = ngx.thread.spawn, ngx.thread.wait, ngx.thread.kill
"""

Run = Callable[..., list[str]]


@pytest.fixture
def run(app_server) -> Run:
    """Run Lua as the body of a content handler; returns the lines of its answer."""
    return partial(content_runner(app_server), head=LOCALS)


class TestSemaphore:
    HEAD = 'local new = require("ngx.semaphore").new '

    def test_wakes_those_who_wait_in_order(self, run: Run) -> None:
        code = """
            local semaphore, threads = new(1), {}
            say(semaphore:count(), semaphore:wait(0), semaphore:wait(0))
            for i = 1, 3 do
                threads[i] = spawn(function() say(i, semaphore:wait(10)) end)
            end
            say(semaphore:count(), semaphore:post(4), semaphore:count())
            for i = 1, 3 do wait(threads[i]) end
            say(semaphore:count(), semaphore:wait(1))
        """
        assert run(self.HEAD + code) == [
            "1 true nil timeout",
            "-3 true 1",
            "1 true nil",
            "2 true nil",
            "3 true nil",
            "1 true",
        ]

    def test_loses_no_resource_with_a_thread_that_is_killed(self, run: Run) -> None:
        code = """
            local semaphore = new()
            local first = spawn(function() semaphore:wait(10) end)
            local second = spawn(function() return semaphore:wait(10) end)
            semaphore:post()
            kill(first)
            say(wait(second))
            say(semaphore:count())
        """
        assert run(self.HEAD + code) == ["true true nil", "0"]

    def test_gives_up(self, run: Run) -> None:
        code = """
            local semaphore = new()
            say(semaphore:wait(0.01))
            say(semaphore:count(), semaphore:post("2"), semaphore:count())
        """
        assert run(self.HEAD + code) == ["false timeout", "0 true 2"]

    @pytest.mark.parametrize(
        ("call", "error"),
        [
            ("new(-1)", "no negative number"),
            ("new():wait(-1)", "no negative number"),
            ("new():post(0)", "positive number required"),
            ("new().wait({}, 1)", "not a semaphore instance"),
            ("new().count()", "not a semaphore instance"),
        ],
    )
    def test_refuses(self, run: Run, call: str, error: str) -> None:
        (line,) = run(f"{self.HEAD} say(pcall(function() return {call} end))")
        assert line.startswith("false ")
        assert line.endswith(error)


class TestTimers:
    @pytest.mark.parametrize(
        ("call", "error"),
        [
            ("ngx.timer.at(1)", "expecting at least 2 arguments but got 1"),
            ("ngx.timer.at({}, print)", "bad argument #1 to 'at' (number expected, got table)"),
            ("ngx.timer.at(1, 1)", "bad argument #2 to 'at' (Lua function expected)"),
            ("ngx.timer.every(0, print)", "delay cannot be zero"),
            ("ngx.sleep()", "attempt to pass 0 arguments, but accepted 1"),
            ("ngx.sleep(1, 2)", "attempt to pass 2 arguments, but accepted 1"),
            ("ngx.sleep(-0.002)", 'invalid sleep duration "-2"'),
            ("ngx.sleep('x')", "bad argument #1 to 'sleep' (number expected, got string)"),
        ],
    )
    def test_refuse(self, run: Run, call: str, error: str) -> None:
        (line,) = run(f"say(pcall(function() local ok = {call} end))")
        assert line.endswith(f": {error}")

    def test_know_their_limits(self, app_server) -> None:
        server = app_server(
            SAY
            + """return {
                settings = {max_pending_timers = 5, max_running_timers = 2},
                content = function()
                    for i = 1, 6 do say(ngx.timer.at(0, function() ngx.sleep(0.05) end)) end
                    say(ngx.timer.pending_count(), ngx.timer.running_count())
                    ngx.sleep(0.01)
                    say(ngx.timer.pending_count(), ngx.timer.running_count())
                end,
            }"""
        )
        assert server.ask().text.splitlines() == [
            *["1"] * 5,
            "nil too many pending timers",
            "5 0",
            "0 2",
        ]
        log = server.log.wait_for("are not enough", 3)
        assert log.count("[alert]") == 3
        assert re.search(r"app\.lua:\d+: 2 lua_max_running_timers are not enough", log)

    def test_that_are_dropped_are_forgotten(self, app_server) -> None:
        server = app_server(
            SAY
            + """
            local dropped = setmetatable({}, {__mode = "k"})
            return {
                settings = {max_running_timers = 1},
                content = function()
                    ngx.timer.at(0, function() ngx.sleep(0.05) end)
                    for i = 1, 100 do
                        local held = {}
                        dropped[held] = true
                        ngx.timer.at(0, function() return held end)
                    end
                    ngx.sleep(0.01)
                    collectgarbage() collectgarbage()
                    say(next(dropped))
                end,
            }"""
        )
        assert server.ask().text == "nil\n"


class TestStrict:
    """What ngx_lua allows in fewer phases than pygw."""

    @pytest.mark.parametrize(
        ("phase", "call"),
        [
            ("log", "ngx.sleep(0)"),
            ("header_filter", "ngx.sleep(0)"),
            ("log", "coroutine.create(print)"),
            ("log", "coroutine.wrap(print)"),
            ("header_filter", "ngx.thread.spawn(print)"),
            ("log", "ngx.run_worker_thread('pool', 'module', 'function')"),
            ("log", "require('ngx.pipe').spawn('true'):wait()"),
        ],
    )
    def test_refuses(self, app_server, phase: str, call: str) -> None:
        source = f"""return {{
            content = function() ngx.say("x") end,
            {phase} = function() ngx.log(ngx.ERR, select(2, pcall(function() {call} end))) end,
        }}"""
        app = app_server(source, strict=True)
        app.ask()
        app.log.wait_for(f"API disabled in the context of {phase}_by_lua*")

    def test_a_semaphore_says_so(self, app_server) -> None:
        source = """
        local semaphore = require("ngx.semaphore").new(1)
        return {
            content = function() ngx.say("x") end,
            log = function() ngx.log(ngx.ERR, select(2, semaphore:wait(0))) end,
        }"""
        app = app_server(source, strict=True)
        app.ask()
        app.log.wait_for("API disabled in the context of log_by_lua*")

    def test_coroutines_are_lua_s_own_in_filters(self, app_server) -> None:
        source = """return {
            content = function() ngx.say("x") end,
            header_filter = function()
                local co = coroutine.wrap(function() coroutine.yield(1) error("own") end)
                co()
                ngx.log(ngx.ERR, select(2, pcall(co)))
            end,
        }"""
        app = app_server(source, strict=True)
        app.ask()
        app.log.wait_for("app.lua:4: own")
