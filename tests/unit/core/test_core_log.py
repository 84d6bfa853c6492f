"""apisix.core.log: levels, prefixes, delayed texts."""

from collections.abc import Callable
from typing import Any

Run = Callable[..., Any]

# Everything after the position of the caller, one message a line; the phase is one in which the
# level of the error log is in force.
HEAD = """
    local server_log = require("server.log")
    local lines = {}
    server_log.sink = function(_, line) lines[#lines + 1] = line:match("%] .-: (.*)\\n$") end
    require("server.phases").global = "init_worker"
    local function level(name) server_log.level = ngx[name] end
    local log = require("apisix.core.log")
"""
TAIL = "\n return table.concat(lines, '|')"


def test_only_levels_of_the_error_log_are_written(run_lua: Run) -> None:
    code = 'level("WARN") log.error("e", 1) log.warn("w", nil, true) log.notice("n") log.debug("d")'
    written = run_lua(HEAD + code + TAIL)
    assert [part.rsplit(": ", 1)[-1] for part in written.split("|")] == ["e1", "wniltrue"]


def test_a_level_that_is_off_is_one_function_that_does_nothing(run_lua: Run) -> None:
    code = (
        HEAD
        + """
        level("ERR")
        local off = log.info
        return off == log.debug, off == rawget(log, "info"), off == log.error
    """
    )
    assert run_lua(code) == (True, True, False)


def test_in_init_nothing_is_remembered_as_the_level_is_not_in_force(run_lua: Run) -> None:
    code = (
        HEAD
        + """
        level("ERR")
        require("server.phases").global = "init"
        local early = log.info
        require("server.phases").global = "init_worker"
        return early ~= log.info
    """
    )
    assert run_lua(code) is True


def test_a_prefix_stands_before_every_message(run_lua: Run) -> None:
    code = 'level("WARN") local l = log.new("p: ") l.error("e") l.info("i")'
    assert run_lua(HEAD + code + TAIL).endswith("p: e")


def test_the_line_names_the_caller_not_the_log_module(run_lua: Run) -> None:
    code = """
        local line
        local server_log = require("server.log")
        server_log.sink = function(_, text) line = text end
        local log = require("apisix.core.log")
        loadstring("local log = ... log.error('x') return 1", "=plugin.lua")(log)
        return line
    """
    assert "plugin.lua:1: " in run_lua(code)


def test_a_delayed_text_is_made_only_when_its_line_is_written(run_lua: Run) -> None:
    code = """
        level("WARN")
        local made = 0
        local function text(a, b) made = made + 1 return a .. tostring(b) end
        log.info("off: ", log.delay_exec(text, "a", "b"))
        lines[1] = "made " .. made
        log.warn("on: ", log.delay_exec(text, "a", nil))
        lines[#lines + 1] = "made " .. made
    """
    first, second, third = run_lua(HEAD + code + TAIL).split("|")
    assert first == "made 0"
    assert second.endswith("on: anil")
    assert third == "made 1"


def test_an_error_of_a_delayed_text_is_warned_of(run_lua: Run) -> None:
    code = """
        level("WARN")
        log.warn("x ", log.delay_exec(function() return nil, "reason" end))
    """
    written = run_lua(HEAD + code + TAIL)
    assert "failed to exec: reason" in written
    assert written.endswith("x nil")


def test_an_unknown_level_is_no_function(run_lua: Run) -> None:
    assert run_lua(HEAD + "return log.shout") is None
