"""ngx.pipe against real processes: what is read, written, waited for, and who is left."""

import time
from pathlib import Path

import pytest
from support.app_server import PATIENCE

HEAD = """
local pipe = require "ngx.pipe"
local function say(...)
    local parts = {}
    for i = 1, select("#", ...) do parts[i] = tostring((select(i, ...))) end
    ngx.say(table.concat(parts, " "))
end
"""


@pytest.fixture
def run(app_server):
    """Run Lua as the body of a content handler; returns the lines of its answer."""

    def run(code, **settings):
        server = app_server(f"{HEAD} return {{ content = function() {code} end }}", **settings)
        response = server.ask()
        assert response.status == 200, server.log.text
        return response.text.splitlines()

    return run


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def dies(pid):
    deadline = time.monotonic() + PATIENCE
    while alive(pid) and time.monotonic() < deadline:
        pass
    return not alive(pid)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ('{"true"}', "true exit 0"),
        ('{"sh", "-c", "exit 3"}', "false exit 3"),
        ('"exit 4"', "false exit 4"),
        ('{"sh", "-c", "kill -15 $$"}', "false signal 15"),
        ('{"sh", "-c", "kill -13 $$"}', "false signal 13"),  # ignored by the gateway itself
        ('{"sleep", 0.01}', "true exit 0"),
        ('{"/no/such/file", "2"}', "false exit 1"),
    ],
)
def test_tells_how_a_process_ended(run, command, expected):
    code = f"local p = pipe.spawn({command}) say(p:wait()) say(p:wait()) say(p:kill(9))"
    assert run(code) == [expected, "nil exited", "nil exited"]


def test_says_why_it_cannot_execute(app_server):
    server = app_server(
        HEAD + 'return { content = function() pipe.spawn({"/no/file"}):wait() end }'
    )
    server.ask()
    server.log.wait_for("execvp() failed while executing /no/file (2: No such file or directory)")


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


def test_gives_the_environment(run):
    lines = run(
        """
        local p = pipe.spawn("echo $A $B $HOME", {environ = {"A=1", "B=two words"}})
        say(p:stdout_read_all())
        """
    )
    assert lines[0] == "1 two words"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("nil", "bad args arg: table expected, got nil"),
        ("{}", "bad args arg: non-empty table expected"),
        ('{"ls"}, {buffer_size = 0}', "bad buffer_size option"),
        ('{"ls"}, {buffer_size = true}', "bad buffer_size option"),
        ('{"ls"}, {environ = 1}', "bad environ option: table expected, got number"),
        (
            '{"ls"}, {environ = {1}}',
            "bad value at index 1 of environ option: string expected, got number",
        ),
        (
            '{"ls"}, {environ = {"A=1", "=1"}}',
            "bad value at index 2 of environ option: 'name=[value]' format expected, got '=1'",
        ),
        ('{"ls"}, {wait_timeout = -1}', "bad wait_timeout option"),
        ('{"ls"}, {write_timeout = 2 ^ 32}', "bad write_timeout option"),
    ],
)
def test_refuses_bad_arguments(run, call, message):
    assert run(f"say(select(2, pcall(pipe.spawn, {call})))") == [message]


def test_refuses_bad_arguments_of_a_process(run):
    lines = run(
        """
        local p = pipe.spawn({"true"})
        say(select(2, pcall(p.wait)))
        say(select(2, pcall(p.kill, p)))
        say(p:kill(10000))
        say(select(2, pcall(p.shutdown, p, "read")))
        say(select(2, pcall(p.write, p, true)))
        say(select(2, pcall(p.write, p, ngx.null)))
        say(select(2, pcall(p.stdout_read_bytes, p, -1)))
        say(select(2, pcall(p.stdout_read_any, p, 0)))
        say(select(2, pcall(p.set_timeouts, p, nil, -1)))
        """
    )
    assert lines == [
        "not a process instance",
        "bad signal arg: number expected, got nil",
        "nil invalid signal",
        "bad shutdown arg: read",
        "bad data arg: string, number, or table expected, got boolean",
        "bad data arg: string, number, or table expected, got userdata",
        "bad len argument",
        "bad max argument",
        "bad stdout_read_timeout option",
    ]


def test_works_in_every_phase_but_init(app_server):
    server = app_server(
        HEAD
        + """
        local seen = {}
        local function hello(name)
            return function() seen[name] = pipe.spawn({"echo", name}):stdout_read_line() end
        end
        return {
            init = function() seen.init = select(2, pcall(pipe.spawn, {"true"})) end,
            init_worker = hello("init_worker"), rewrite = hello("rewrite"),
            access = hello("access"), header_filter = hello("header_filter"), log = hello("log"),
            content = function()
                say(seen.init)
                for name, text in pairs(seen) do if name == text then say(name) end end
            end,
        }
        """
    )
    server.ask()
    first, *others = server.ask().text.splitlines()
    assert first == "API disabled in the current context"
    assert sorted(others) == ["access", "header_filter", "init_worker", "log", "rewrite"]


def test_kills_what_the_code_has_let_go_of(app_server):
    server = app_server(
        HEAD
        + """
        local kept
        return { content = function()
            if ngx.var.uri == "/collect" then
                local pid = pipe.spawn({"sleep", 1000}):pid()
                ngx.sleep(0)
                collectgarbage() collectgarbage()
                say(pid)
            elseif ngx.var.uri == "/keep" then
                kept = pipe.spawn({"sleep", 1000})
                say(kept:pid())
            elseif ngx.var.uri == "/kept" then
                say(kept:wait())
                say(kept:stdout_read_all())
            end
        end }
        """
    )
    assert dies(int(server.ask("/collect").text))
    pid = int(server.ask("/keep").text)
    assert server.ask("/kept").text.splitlines() == ["nil exited", "nil closed"]
    assert dies(pid)


def test_kills_what_is_left_when_the_worker_ends(app_server):
    server = app_server(
        HEAD
        + """
        local pid
        return {
            init_worker = function() ngx.timer.at(0, function()
                local p = pipe.spawn({"sleep", 1000})
                pid = p:pid()
                p:set_timeouts(nil, nil, nil, 0)
                p:wait()
            end) end,
            content = function() say(pid) end,
        }
        """
    )
    pid = int(server.ask().text)
    assert alive(pid)
    server.stop()
    assert dies(pid)


def test_leaves_no_descriptor(app_server):
    server = app_server(
        HEAD
        + """
        return { content = function()
            for _ = 1, 20 do
                local p = pipe.spawn({"cat"})
                p:write("x")
                p:shutdown("stdin")
                p:stdout_read_all()
                p:wait()
            end
            pipe.spawn({"sleep", 1000})
        end }
        """
    )
    server.ask()
    server.settle()
    before = server.descriptors()
    server.ask()
    server.settle()
    assert server.descriptors() == before


def test_a_process_sees_only_its_three_descriptors(run):
    lines = run("say(pipe.spawn(\"ls /proc/$$/fd | tr '\\\\n' ' '\"):stdout_read_all())")
    assert lines[0].split() == ["0", "1", "2"]
