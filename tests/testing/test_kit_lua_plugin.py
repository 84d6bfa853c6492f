"""The `lua_plugin` fixture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pygw.testing import GatewayError


def test_a_plugin_alone(lua_plugin: Any, greeter: Path) -> None:
    plugin = lua_plugin(greeter, {"name": "Ann"})
    assert plugin.get("/x?y").status == 200
    assert plugin.gateway.upstream.last.headers["X-Greeted"] == "Ann"
    assert plugin.ctx["greeted"] == "Ann"
    (line,) = plugin.log
    assert "greeter.lua:19: greeting Ann" in line
    answer = plugin.post(headers={"X-Name": "stop"}, json={})
    assert (answer.status, answer.json()) == (403, {"message": "no"})
    assert len(plugin.gateway.upstream.requests) == 1


def test_another_configuration(lua_plugin: Any, greeter: Path) -> None:
    plugin = lua_plugin(greeter)
    plugin.get()
    assert plugin.ctx["greeted"] == "you"
    plugin.configure({"name": "Bob"})
    plugin.get()
    assert plugin.ctx["greeted"] == "Bob"


def test_its_schema(lua_plugin: Any, greeter: Path) -> None:
    plugin = lua_plugin(greeter)
    assert plugin.check({"name": "x"}) is None
    assert 'property "name" validation failed: wrong type' in plugin.check({"name": 1})
    with pytest.raises(GatewayError, match='property "name" validation failed'):
        plugin.configure({"name": 1})


def test_a_file_that_is_not_there(lua_plugin: Any, tmp_path: Path) -> None:
    with pytest.raises(GatewayError, match=r"no such plugin: .*/nothing\.lua"):
        lua_plugin(tmp_path / "nothing.lua")


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("return )", r"broken\.lua:1: unexpected symbol near '\)'"),
        ('return require "no.such"', "module 'no.such' not found"),
        ("return {}", "plugin \\[broken\\]"),
    ],
)
def test_a_plugin_that_does_not_load_says_why(
    lua_plugin: Any, tmp_path: Path, code: str, why: str
) -> None:
    (tmp_path / "broken.lua").write_text(code)
    with pytest.raises(GatewayError, match=f"(?s)plugin broken is not loaded.*{why}"):
        lua_plugin(tmp_path / "broken.lua")


def test_timers_and_shared_dictionaries(lua_plugin: Any, tmp_path: Path) -> None:
    (tmp_path / "ticker.lua").write_text("""
        local _M = { version = 0.1, priority = 1, name = "ticker", schema = { type = "object" } }
        local function tick() ngx.shared.ticks:incr("n", 1, 0) end
        function _M.init() ngx.timer.every(10, tick) end
        return _M
    """)
    config = {"nginx_config": {"http": {"custom_lua_shared_dict": {"ticks": "1m"}}}}
    plugin = lua_plugin(tmp_path / "ticker.lua", {}, **config)
    assert plugin.timers > 0
    plugin.gateway.clock.advance(35)
    assert plugin.shared("ticks") == {"n": 3}
