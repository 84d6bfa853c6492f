"""What OpenResty's LuaJIT adds to Lua (table.*, thread.exdata), and tablepool."""

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.mark.parametrize(
    ("table", "count"),
    [("{}", 0), ("{1, nil, 3}", 2), ("{a = 1, b = false}", 2), ("{1, 2, a = 1, [0] = 0}", 4)],
)
def test_nkeys_counts_all_elements(run_lua: Run, table: str, count: int) -> None:
    assert run_lua(f'return require("table.nkeys")({table})') == count


@pytest.mark.parametrize(
    ("table", "expected"),
    [("{}", True), ("{nil}", True), ("{1}", False), ("{false}", False), ("{a = 1}", False)],
)
def test_isempty(run_lua: Run, table: str, expected: bool) -> None:
    assert run_lua(f'return require("table.isempty")({table})') is expected


def test_isempty_after_removal(run_lua: Run) -> None:
    code = 'local t = {1, a = 1} t[1] = nil t.a = nil return require("table.isempty")(t)'
    assert run_lua(code) is True


@pytest.mark.parametrize(
    ("table", "expected"),
    [("{}", True), ("{1, 2}", True), ("{1, nil, 3}", True), ("{[100000] = 1}", True),
     ("{[0] = 1}", True), ("{[-1] = 1}", True), ("{[2^40] = 1}", True), ("{[1.5] = 1}", False),
     ("{1, a = 1}", False), ("{[true] = 1}", False)],
)  # fmt: skip
def test_isarray_asks_for_whole_numbers(run_lua: Run, table: str, expected: bool) -> None:
    assert run_lua(f'return require("table.isarray")({table})') is expected


def test_clone_is_shallow_and_plain(run_lua: Run) -> None:
    assert run_lua("""
        local clone = require "table.clone"
        local inner = {}
        local t = setmetatable({1, nil, 3, a = inner, [0] = "z"}, {__index = {b = 1}})
        local copy = clone(t)
        t[1] = 2
        return copy[1], copy[2], copy[3], copy.a == inner, copy[0], copy.b, getmetatable(copy)
    """) == (1, None, 3, True, "z", None, None)


@pytest.mark.parametrize("name", ["nkeys", "clone", "isarray", "isempty"])
@pytest.mark.parametrize(
    ("argument", "got"), [("", "no value"), ("'text'", "string"), ("1", "number")]
)
def test_only_tables_are_taken(run_lua: Run, name: str, argument: str, got: str) -> None:
    ok, error = run_lua(f"""
        local {name} = require "table.{name}"
        return pcall(function() return ({name}({argument})) end)
    """)
    assert not ok
    assert error.endswith(f"bad argument #1 to '{name}' (table expected, got {got})")


@pytest.mark.parametrize("name", ["nkeys", "clone", "isarray", "isempty"])
def test_metamethods_are_not_called(run_lua: Run, name: str) -> None:
    run_lua(f"""
        local function fail() error("called") end
        require("table.{name}")(setmetatable({{1, a = 1}}, {{
            __index = fail, __newindex = fail, __pairs = fail, __len = fail,
        }}))
    """)


def test_exdata_belongs_to_its_coroutine(run_lua: Run) -> None:
    assert run_lua("""
        local exdata, ffi = require "thread.exdata", require "ffi"
        local function address() return tonumber(ffi.cast("intptr_t", exdata())) end
        local seen = { address() }
        exdata(ffi.cast("void *", 64))
        local co = coroutine.create(function()
            seen[2] = address()
            exdata(ffi.cast("int *", 128))
            coroutine.yield()
            seen[4] = address()
        end)
        coroutine.resume(co)
        seen[3] = address()
        coroutine.resume(co)
        return unpack(seen)
    """) == (0, 0, 64, 128)


def test_exdata2_is_another_one(run_lua: Run) -> None:
    assert run_lua("""
        local ffi = require "ffi"
        local one, two = require "thread.exdata", require "thread.exdata2"
        one(ffi.cast("void *", 8))
        two(ffi.cast("void *", 16))
        return tonumber(ffi.cast("intptr_t", one())), tonumber(ffi.cast("intptr_t", two())),
            select(2, pcall(two, 1))
    """) == (8, 16, "bad argument #1 to 'exdata2' (cdata expected, got number)")


def test_exdata_takes_cdata_only(run_lua: Run) -> None:
    ok, error = run_lua('return pcall(require "thread.exdata", 1)')
    assert not ok
    assert error.endswith("bad argument #1 to 'exdata' (cdata expected, got number)")


def test_exdata_keeps_no_coroutine_alive(run_lua: Run) -> None:
    assert (
        run_lua("""
        local exdata, ffi = require "thread.exdata", require "ffi"
        local alive = setmetatable({}, {__mode = "k"})
        for _ = 1, 10 do
            local co = coroutine.create(function() exdata(ffi.cast("void *", 8)) end)
            alive[co] = true
            coroutine.resume(co)
        end
        collectgarbage() collectgarbage()
        return (next(alive))
    """)
        is None
    )


def test_tablepool_reuses_what_was_released(run_lua: Run) -> None:
    assert run_lua("""
        local pool = require "tablepool"
        local a = pool.fetch("tag", 4, 0)
        a[1], a.x = 1, 2
        setmetatable(a, {__index = {y = 3}})
        pool.release("tag", a)
        local other = pool.fetch("other", 0, 0)
        local b = pool.fetch("tag", 0, 4)
        return a == b, other ~= a, next(b), getmetatable(b), pool.fetch("tag", 0, 0) ~= b
    """) == (True, True, None, None, True)


def test_tablepool_can_leave_the_elements(run_lua: Run) -> None:
    assert run_lua("""
        local pool = require "tablepool"
        pool.release("tag", setmetatable({x = 1}, {}), true)
        local t = pool.fetch("tag", 0, 0)
        return t.x, getmetatable(t) ~= nil
    """) == (1, True)


def test_tablepool_refuses_nothing(run_lua: Run) -> None:
    ok, error = run_lua('return pcall(function() require("tablepool").release("tag") end)')
    assert not ok
    assert error.endswith("object empty")


def test_tablepool_keeps_200_tables(run_lua: Run) -> None:
    assert (
        run_lua("""
        local pool, given = require "tablepool", {}
        for i = 1, 300 do given[i] = {} end
        for i = 1, 300 do pool.release("tag", given[i]) end
        local known, reused = {}, 0
        for i = 1, 300 do known[given[i]] = true end
        for _ = 1, 300 do reused = reused + (known[pool.fetch("tag", 0, 0)] and 1 or 0) end
        return reused
    """)
        == 200
    )


def test_tablepool_throws_overgrown_tables_away(run_lua: Run) -> None:
    assert run_lua("""
        local pool, first = require "tablepool", {}
        for _ = 1, 20000 do
            pool.release("tag", first)
            if pool.fetch("tag", 0, 0) ~= first then return true end
        end
        return false
    """)
