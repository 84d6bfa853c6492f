"""ngx.pipe against real processes: what is read and written."""

from functools import partial

import pytest
from support.content import content_runner

HEAD = 'local pipe = require "ngx.pipe"'


@pytest.fixture
def run(app_server):
    """Run Lua as the body of a content handler; returns the lines of its answer."""
    return partial(content_runner(app_server), head=HEAD)


def test_reads_by_pattern_and_keeps_the_rest(run):
    lines = run(
        """
        local p = pipe.spawn({"printf", "one\\r\\n\\ntwo three and the rest"})
        say(p:stdout_read_line())
        say("[" .. p:stdout_read_line() .. "]")
        say(p:stdout_read_bytes(3))
        say(p:stdout_read_bytes(0))
        say(p:stdout_read_any(6))
        say(p:stdout_read_all())
        say(p:stdout_read_line())
        say(p:stdout_read_any(1))
        say(p:stdout_read_bytes(1))
        say("[" .. p:stdout_read_all() .. "]")
        """
    )
    assert lines == ["one", "[]", "two", "", " three", " and the rest"] + ["nil closed "] * 3 + [
        "[]"
    ]


def test_hands_over_what_came_before_the_end_or_the_timeout(run):
    lines = run(
        """
        local p = pipe.spawn({"sh", "-c", "printf half; sleep 5"}, {stdout_read_timeout = 200})
        say(p:stdout_read_line())
        say(p:stdout_read_bytes(9))
        local q = pipe.spawn({"printf", "half"})
        say(q:stdout_read_line())
        """
    )
    assert lines == ["nil timeout half", "nil timeout ", "nil closed half"]


@pytest.mark.parametrize("size", [1, 4096, 100_000])
def test_reads_more_than_its_buffer(run, size):
    lines = run(
        f"""
        local p = pipe.spawn("head -c 1000000 /dev/zero | tr '\\\\0' x", {{buffer_size = {size}}})
        local text = p:stdout_read_all()
        say(#text, text == ("x"):rep(1000000))
        """
    )
    assert lines == ["1000000 true"]


def test_keeps_stderr_apart_or_merges_it(run):
    lines = run(
        """
        local p = pipe.spawn("echo out; echo err >&2")
        say(p:stdout_read_all() .. p:stderr_read_all())
        local q = pipe.spawn("echo out; echo err >&2", {merge_stderr = true})
        say(q:stdout_read_all())
        say(q:stderr_read_all())
        say(q:shutdown("stderr"))
        """
    )
    assert lines == ["out", "err", "", "out", "err", "", *["nil merged to stdout"] * 2]


def test_writes_strings_numbers_and_arrays(run):
    lines = run(
        """
        local p = pipe.spawn({"cat"})
        say(p:write("a"), p:write(12), p:write({"b", 3, "c"}), p:write(""))
        say(p:shutdown("stdin"), p:shutdown("stdin"))
        say(p:write("x"))
        say(p:stdout_read_all())
        """
    )
    assert lines == ["1 2 3 0", "true true", "nil closed", "a12b3c"]


def test_writes_as_much_as_a_reader_takes(run):
    lines = run(
        """
        local p = pipe.spawn({"wc", "-c"})
        say(p:write(("x"):rep(3000000)))
        p:shutdown("stdin")
        say(tonumber(p:stdout_read_all()))
        """
    )
    assert lines == ["3000000"] * 2


def test_a_write_that_nobody_reads_times_out_or_finds_it_closed(run):
    lines = run(
        """
        local p = pipe.spawn({"sleep", 10}, {write_timeout = 50})
        say(p:write(("x"):rep(1000000)))
        local q = pipe.spawn({"true"})
        while q:write("x") do ngx.sleep(0) end
        say(q:write("x"))
        """
    )
    assert lines == ["nil timeout", "nil closed"]


def test_one_task_at_a_time_reads_writes_or_waits(run):
    lines = run(
        """
        local p = pipe.spawn({"sleep", 10})
        p:set_timeouts(100, 100, 100, 100)
        ngx.thread.spawn(function() p:stdout_read_all() end)
        ngx.thread.spawn(function() p:write(("x"):rep(1000000)) end)
        ngx.thread.spawn(function() p:wait() end)
        say(p:stdout_read_any(1))
        say(p:write("x"))
        say(p:wait())
        """
    )
    assert lines == ["nil pipe busy reading", "nil pipe busy writing", "nil pipe busy waiting"]


def test_shutdown_aborts_who_waits(run):
    lines = run(
        """
        local p = pipe.spawn("printf half; printf err >&2; exec sleep 10")
        local function all(name) say(name, p[name](p)) end
        local a = ngx.thread.spawn(all, "stdout_read_all")
        local b = ngx.thread.spawn(all, "stderr_read_all")
        local c = ngx.thread.spawn(function() say(p:write(("x"):rep(1000000))) end)
        ngx.sleep(0.2)
        say(p:shutdown("stdout"), p:shutdown("stderr"), p:shutdown("stdin"))
        ngx.thread.wait(a) ngx.thread.wait(b) ngx.thread.wait(c)
        say(p:stdout_read_all())
        """
    )
    assert lines[0] == "true true true"
    assert sorted(lines[1:4]) == [
        "nil aborted",
        "stderr_read_all nil aborted err",
        "stdout_read_all nil aborted half",
    ]
    assert lines[4] == "nil closed"


def test_a_killed_light_thread_leaves_the_pipe_free(run):
    lines = run(
        """
        local p = pipe.spawn({"sleep", 10})
        p:set_timeouts(100, 100, 100, 100)
        for _, method in ipairs { "wait", "stdout_read_all", "stderr_read_line" } do
            ngx.thread.kill(ngx.thread.spawn(function() p[method](p) end))
            say(p[method](p))
        end
        """
    )
    assert lines == ["nil timeout", "nil timeout ", "nil timeout "]
