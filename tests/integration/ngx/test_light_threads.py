"""Coroutines and light threads: in ngx_lua's words and order."""

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


def test_a_coroutine_s_status(run: Run) -> None:
    assert run(
        """
        local entry, co, outer = coroutine.running()
        co = create(function()
            say("inside", status(co), status(entry), resume(co))
            outer = create(function() say("from below", status(co), resume(co)) end)
            resume(outer)
            ngx.sleep(0)
            yield(1, nil)
            error({})
        end)
        say(status(co), resume(co))
        say(status(co), select(1, resume(co)), status(co))
        say(resume(co))
        say(status(entry), resume(entry))
        """
    ) == [
        "inside running normal false cannot resume running coroutine",
        "from below normal false cannot resume normal coroutine",
        "suspended true 1 nil",
        "suspended false dead",
        "false cannot resume dead coroutine",
        "running false cannot resume running coroutine",
    ]


def test_what_waits_can_be_resumed_by_nobody_else(run: Run) -> None:
    assert run(
        """
        local entry = coroutine.running()
        local inner, outer
        local thread = spawn(function()
            inner = create(function() ngx.sleep(0.05) say("slept") end)
            outer = coroutine.running()
            resume(inner)
        end)
        for _, co in ipairs {inner, outer, thread} do say(status(co), resume(co)) end
        local other = spawn(function() say(status(entry), resume(entry)) end)
        say(select("#", wait(other)), wait(thread))
        """
    ) == [
        "running false cannot resume running coroutine",
        "normal false cannot resume normal coroutine",
        "normal false cannot resume normal coroutine",
        "running false cannot resume running coroutine",
        "slept",
        "1 true",
    ]


def test_a_thread_is_a_zombie_until_it_was_waited_for(run: Run) -> None:
    assert run(
        """
        local done, failed = spawn(function() return 1, nil end), spawn(function() error({}) end)
        say(status(done), resume(done))
        say(wait(done))
        say(status(done), wait(done))
        say(kill(done))
        say(status(failed), kill(failed))
        say(status(failed), kill(failed))
        local killed = spawn(function() ngx.sleep(100) end)
        say(status(killed), kill(killed))
        say(status(killed), kill(killed))
        say(wait(killed))
        """
    ) == [
        "zombie false cannot resume zombie coroutine",
        "true 1 nil",
        "dead nil already waited or killed",
        "nil already waited or killed",
        "zombie nil already terminated",
        "dead nil already waited or killed",
        "running 1",
        "dead nil already waited or killed",
        "nil already waited or killed",
    ]


def test_only_the_coroutine_that_spawned_a_thread_waits_for_it_or_kills_it(run: Run) -> None:
    assert run(
        """
        local thread
        local parent = create(function()
            thread = spawn(function() ngx.sleep(0.01) return "its result" end)
            yield()
            say(wait(thread))
        end)
        resume(parent)
        say(pcall(wait, thread))
        say(kill(thread))
        say(pcall(wait, parent))
        say(kill(parent))
        say(pcall(wait))
        say(pcall(wait, 1))
        say(pcall(spawn, 1))
        resume(parent)
        """
    ) == [
        "false only the parent coroutine can wait on the thread",
        "nil killer not parent",
        "false attempt to wait on a coroutine that is not a user thread",
        "nil not user thread",
        "false at least one coroutine should be specified",
        "false bad argument #1 to 'wait' (lua thread expected)",
        "false bad argument #1 to 'spawn' (Lua function expected)",
        "true its result",
    ]


def test_wait_is_over_with_the_first_thread(run: Run) -> None:
    assert run(
        """
        local slow = spawn(function() ngx.sleep(0.05) return "slow" end)
        local fast = spawn(function() ngx.sleep(0.01) error("fast", 0) end)
        say(wait(slow, fast))
        say(wait(fast, slow))
        say(wait(slow, fast))
        """
    ) == ["false fast", "true slow", "nil already waited or killed"]


def test_threads_take_turns(run: Run) -> None:
    """Who spawns or yields goes to the end of the queue."""
    assert run(
        """
        local function count(name) for i = 1, 3 do say(name, i) yield() end end
        spawn(function()
            say("before")
            spawn(function() say("nested") end)
            say("after")
        end)
        say("entry")
        spawn(count, "f")
        spawn(count, "g")
        say("done")
        """
    ) == ["before", "nested", "entry", "f 1", "after", "g 1", "f 2", "done", "g 2", "f 3", "g 3"]


def test_a_thread_that_only_yields_lets_others_in(app_server) -> None:
    server = app_server(
        f"""{SAY} {LOCALS}
        local stop
        return {{ content = function()
            if ngx.var.uri == "/stop" then stop = true return say("told") end
            spawn(function() while not stop do yield() end end)
            while not stop do yield() end
            say("stopped")
        end }}
        """
    )
    with server.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert server.ask("/stop").text == "told\n"
        assert client.response("GET").text == "stopped\n"


def test_threads_that_have_ended_are_garbage(run: Run) -> None:
    assert run(
        """
        local threads = require "server.light_threads"
        local entries = 0
        for i = 1, 100 do
            spawn(function() end)
            local sleeps = spawn(ngx.sleep, 100)
            kill(sleeps)
        end
        collectgarbage() collectgarbage()
        for _ in pairs(threads.by_co) do entries = entries + 1 end
        say(entries < 10)
        """
    ) == ["true"]


def test_the_log_has_all_stacks_of_an_error_in_wrapped_coroutines(app_server) -> None:
    server = app_server(
        f"{SAY} {LOCALS}"
        """return { content = function()
            local inner = wrap(function() ngx.sleep(0) error("deep") end)
            local outer = wrap(function() inner() end)
            pcall(wrap(function() error("caught before") end))
            outer()
        end }"""
    )
    assert server.ask().status == 500
    log = server.log.wait_for("coroutine 2:")
    assert "runtime error: " in log
    assert "caught before" not in log
    stacks = log[log.index("stack traceback:") :]
    numbers = [line for line in stacks.splitlines() if line.startswith("coroutine ")]
    assert numbers == ["coroutine 0:", "coroutine 1:", "coroutine 2:"]
    assert "lua/server/" not in stacks


@pytest.mark.parametrize(
    "code",
    [
        'string.gsub("a", "a", function() ngx.sleep(0.001) end)',
        "xpcall(function() error(1) end, function() ngx.sleep(0.001) end)",
        'string.gsub("a", "a", function() require("ngx.semaphore").new():wait(1) end)',
        'string.gsub("a", "a", function() spawn(print) end)',
    ],
)
def test_where_nothing_can_yield_nothing_waits(run: Run, code: str) -> None:
    lines = run(f"say(pcall(function() {code} end)) ngx.sleep(0.01) say('alive')")
    assert lines[-1] == "alive"
    assert "true" in lines[0] or "attempt to yield across C-call boundary" in lines[0]


def test_a_new_global_is_warned_of(app_server) -> None:
    server = app_server(
        """
        early = 1
        return {
            init_worker = function() still_early = 1 end,
            content = function()
                early, still_early = 2, 2
                late = (late or 0) + 1
                ngx.say(early + still_early + late)
            end,
        }
        """
    )
    assert [server.ask().text for _ in range(2)] == ["5\n", "6\n"]
    log = server.log.wait_for("writing a global Lua variable ('late')")
    assert log.count("writing a global") == 1
    assert "[warn]" in log
    assert "app.lua:7: in function" in log
