"""What Lua source reaches for."""

from __future__ import annotations

from pathlib import Path

import pytest

from pygw.check.statements import read_source
from pygw.check.tokens import LuaSyntaxError
from pygw.paths import LUA_DIR, PLUGINS_DIR

CORE = 'local core = require("apisix.core")\n'


def uses(source: str, manner: str | None = None) -> list[str]:
    """Paths that are used (in this manner), "module:a.b" or "a.b"; without the globals' require."""
    found = []
    for use in read_source(source).uses:
        if manner in (None, use.manner) and use.path.names != ("require",):
            module = f"{use.path.module}:" if use.path.module else ""
            found.append(module + ".".join(use.path.names))
    return found


@pytest.mark.parametrize(
    "source",
    [
        "ngx.re.match(a)",
        "local re = ngx.re; re.match(a)",
        "local match = ngx.re.match; match(a)",
        "local ngx = ngx; do local re = ngx.re; return re.match(a) end",
        'ngx["re"]["match"](a)',
        "(ngx.re).match(a)",
        "local re; re = ngx.re; re.match(a)",
        "local n, re = 1, ngx.re; re.match(a)",
        "local function f() return ngx.re.match(a) end",
        "local t = { f = function() ngx.re.match(a) end }",
        "for i = 1, 2 do repeat ngx.re.match(a) until i end",
        "goto done; ngx.re.match(a); ::done::",
    ],
)
def test_a_function_is_called(source: str) -> None:
    assert uses(source, "call") == ["ngx.re.match"]


def test_a_module_is_followed_by_its_name() -> None:
    source = CORE + "local header = core.request.header\nheader(ctx, 'a')\ncore.log.warn 'x'"
    assert uses(source, "call") == ["apisix.core:request.header", "apisix.core:log.warn"]


def test_a_method_is_a_field_that_is_called() -> None:
    assert uses("local q = require 'q' q.new:go{}", "call") == ["q:new.go"]


@pytest.mark.parametrize(
    "source",
    [
        "local ngx = {}; ngx.nope()",
        "local function f(ngx) ngx.nope() end",
        "for ngx in pairs(x) do ngx.nope() end",
        "local f = ngx.re.match; f = g; f()",
        "local t = {}; function t.f() end; t.nope()",
        "local x = get() x.nope()",
        "function M:f() self.nope() end",
    ],
)
def test_what_is_not_known_is_not_guessed(source: str) -> None:
    assert not any("nope" in path or "match" in path for path in uses(source, "call"))


def test_a_variable_ends_with_its_block() -> None:
    assert uses("do local ngx = {} end ngx.nope()", "call") == ["ngx.nope"]
    assert uses("local function f() local ngx end ngx.nope()", "call") == ["ngx.nope"]
    assert uses("repeat local ngx = {} until ngx.nope()", "call") == []


@pytest.mark.parametrize(
    "source",
    [
        "if ngx.x then end",
        "local y = ngx.x and 1",
        "local y = ngx.x or 1",
        "local y = not ngx.x",
        "local y = ngx.x == nil",
        "while ngx.x ~= 1 do end",
        "if type(ngx.x) == 'function' then end",
        "local ok = pcall(ngx.x)",
        "local ok = pcall(function() return ngx.x end)",
    ],
)
def test_a_test_is_no_need(source: str) -> None:
    assert "ngx.x" in uses(source, "test")
    assert "ngx.x" not in uses(source, "call") + uses(source, "read")


@pytest.mark.parametrize(
    ("source", "manner"),
    [
        ("local x = ngx.x", "keep"),
        ("return ngx.x", "keep"),
        ("local t = { ngx.x, a = ngx.x }", "keep"),
        ("f(ngx.x)", "read"),
        ("local x = ngx.x .. 'a'", "read"),
        ("local x = -ngx.x", "read"),
        ("local x = y[ngx.x]", "read"),
        ("for i = 1, ngx.x do end", "read"),
    ],
)
def test_a_value_is_kept_or_needed(source: str, manner: str) -> None:
    assert set(uses(source, manner)) >= {"ngx.x"}


def test_what_is_written_is_there() -> None:
    reach = read_source("ngx.status = 1\nlocal c = require 'c'\nfunction c.f() end\nmine = 2")
    written = {str(path) for path in reach.written}
    assert written == {"ngx.status", 'require("c").f', "mine"}
    assert uses("a.b.c = 1", "read") == ["a.b"]


def test_constants_are_followed() -> None:
    assert "ngx.shared.one-two" in uses("local n = 'one' local d = ngx.shared[n .. '-two']")
    assert uses("local d = ngx.shared[n]", "read") == ["ngx.shared", "n"][::-1]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("require 'a'", ("a", False, True)),
        ("local r = require; r('a')", ("a", False, True)),
        ("pcall(require, 'a')", ("a", True, True)),
        ("pcall(function() return require('a') end)", ("a", True, True)),
        ("require('a.' .. b)", ("a.", False, False)),
        ("local P = 'a.' require(P .. 'b')", ("a.b", False, True)),
    ],
)
def test_a_module_is_required(source: str, expected: tuple[str, bool, bool]) -> None:
    (require,) = read_source(source).requires
    assert (require.module, require.optional, require.whole) == expected


def test_what_pcall_returns_second_is_the_module() -> None:
    assert uses("local ok, m = pcall(require, 'm') m.f()", "call") == ["pcall", "m:f"]


def test_lines_are_those_of_the_use() -> None:
    reach = read_source(CORE + "\nlocal get = core.request.get\n\nget()\n")
    assert [(use.manner, use.line) for use in reach.uses[1:]] == [("keep", 3), ("call", 5)]


@pytest.mark.parametrize(
    ("source", "line"),
    [("x", 1), ("if a then\n", 2), ("\nf(", 2), ("a = 1 end", 1), ("local 1", 1), ("for a b", 1)],
)
def test_what_is_no_lua(source: str, line: int) -> None:
    with pytest.raises(LuaSyntaxError) as caught:
        read_source(source)
    assert caught.value.line == line


@pytest.mark.parametrize("directory", [LUA_DIR, PLUGINS_DIR], ids=["lua", "plugins"])
def test_all_of_our_own_lua_can_be_read(directory: Path) -> None:
    files = list(directory.rglob("*.lua"))
    assert len(files) > 5
    for file in files:
        read_source(file.read_bytes().decode("latin-1"))
