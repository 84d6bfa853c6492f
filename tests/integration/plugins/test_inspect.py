"""The plugin inspect: breakpoints in a file, set and taken away while the gateway runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.gateway import Gateway

from pygw.hub.clock import VirtualClock

HOOKS = """
local dbg = require "apisix.inspect.dbg"
local log = require("apisix.core").log
dbg.set_hook("word.lua", %d, nil, function(info)
    log.warn("seen: ", info.vals.word, " ", dbg.getname(info.finfo))
    return %s
end)
"""

MODULE = """local _M = {}
function _M.say(uri)
    local word = "first"
    word = word .. " " .. uri
    return word
end
return _M
"""


class Inspected:
    """A gateway whose route runs a module of its own, and the file of breakpoints."""

    def __init__(self, gateway: Gateway, hooks: Path, clock: VirtualClock) -> None:
        self.gateway, self.hooks, self.clock = gateway, hooks, clock
        function = 'return function(_, ctx) require("word").say(ctx.var.uri) end'
        self.path = gateway.route({"serverless-pre-function": {"functions": [function]}})
        for _ in range(100):  # compiled by now
            gateway.ask(self.path)

    def write(self, text: str) -> None:
        """Write the file, and let the gateway look at it."""
        before = self.gateway.log.count("set hooks: err: ")
        self.hooks.write_text(text)
        self.clock.advance(1.1)
        self.gateway.until(lambda: self.gateway.log.count("set hooks: err: ") > before)

    def sees(self) -> bool:
        """Whether a request makes a breakpoint speak."""
        before = self.gateway.log.count("seen: ")
        assert self.gateway.ask(self.path).status == 200
        return self.gateway.log.count("seen: ") > before


@pytest.fixture
def inspected(start_gateway: Callable[..., Gateway], tmp_path: Path) -> Inspected:
    (tmp_path / "word.lua").write_text(MODULE)
    hooks, clock = tmp_path / "hooks.lua", VirtualClock()
    gateway = start_gateway(
        clock,
        plugins=["inspect", "serverless-pre-function"],
        plugin_attr={"inspect": {"delay": 1, "hooks_file": str(hooks)}},
        apisix={"extra_lua_path": f"{tmp_path}/?.lua"},
    )
    return Inspected(gateway, hooks, clock)


def test_a_breakpoint_sees_variables_until_it_is_done(inspected: Inspected) -> None:
    assert not inspected.sees()
    inspected.write(HOOKS % (5, "true"))
    assert inspected.sees()
    assert f"seen: first {inspected.path}" in inspected.gateway.log
    assert "inspect: remove hook: word.lua#5" in inspected.gateway.log
    assert "inspect: all hooks removed" in inspected.gateway.log
    assert not inspected.sees()


def test_one_that_returns_false_stays_until_the_file_changes(inspected: Inspected) -> None:
    inspected.write(HOOKS % (4, "false"))
    assert inspected.sees()
    assert inspected.sees()
    inspected.hooks.unlink()
    inspected.clock.advance(1.1)
    inspected.gateway.until(lambda: not inspected.sees())


def test_a_file_that_does_not_load_is_told(inspected: Inspected) -> None:
    inspected.write("return {")
    assert "set hooks: err: " in inspected.gateway.log
    assert "hooks.lua:1: unexpected symbol" in inspected.gateway.log
    assert inspected.gateway.ask(inspected.path).status == 200


def test_a_breakpoint_that_fails_is_taken_away(inspected: Inspected) -> None:
    inspected.write(HOOKS % (5, "error('no')"))
    assert inspected.sees()
    assert "inspect: pcall filter_func:" in inspected.gateway.log
    assert not inspected.sees()
