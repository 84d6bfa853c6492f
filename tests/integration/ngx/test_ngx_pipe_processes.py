"""ngx.pipe: how processes are started, how they end, and that none is left behind."""

import time
from functools import partial
from pathlib import Path

import pytest
from support.app_server import PATIENCE
from support.content import SAY, content_runner

HEAD = 'local pipe = require "ngx.pipe"'


@pytest.fixture
def run(app_server):
    """Run Lua as the body of a content handler; returns the lines of its answer."""
    return partial(content_runner(app_server), head=HEAD)


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
        f"{SAY} {HEAD}"
        """
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
        f"{SAY} {HEAD}"
        """
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
        f"{SAY} {HEAD}"
        """
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
        f"{SAY} {HEAD}"
        """
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
