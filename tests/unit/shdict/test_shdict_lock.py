"""The lock of a dictionary: what errors, finalizers and other VMs of the process do to it."""

from pathlib import Path
from typing import Any

import pytest

from pygw.vm.runtime import create_runtime

SUPPORT = Path(__file__).parents[2] / "support"


@pytest.fixture
def dogs(lua: Any) -> Any:
    """The runtime with a dictionary `d`, its `region`, and `locked(fn)`: fn under its lock."""
    lua.execute("""
        d = require("ngx.shdict").declare("dogs", 64 * 1024)
        region = d[1]
        critical = require "server.critical"
        layout = require "ngx.shdict.layout"
        function locked(fn) return require("ngx.shdict.lock").locked(region, fn) end
    """)
    check = lua.execute((SUPPORT / "shdict_check.lua").read_text())
    lua.globals()["check"] = lambda: check(lua.eval("region"))
    return lua


def mended(lua: Any) -> int:
    return int(lua.eval("region.w[layout.REPAIRS]"))


def test_the_error_of_an_operation_is_raised_and_settled_afterwards(dogs: Any) -> None:
    dogs.execute('d:set("before", 1)')
    assert dogs.execute('return pcall(locked, function() error("no room", 0) end)') == (
        False, "no room",
    )  # fmt: skip
    assert dogs.eval("critical.depth[0]") == 1
    dogs.execute('d:set("meanwhile", 2)')
    dogs.execute("critical.settle()")
    assert mended(dogs) == 1
    assert dogs.execute('return d:get("before"), nil, d:get("meanwhile")') == (1, None, 2)
    assert dogs.eval("critical.depth[0]") == 0


def test_what_has_been_settled_is_not_mended_again(dogs: Any) -> None:
    dogs.execute("pcall(locked, error) critical.settle() d:set('k', 1) d:get('k')")
    assert mended(dogs) == 1


def test_a_full_stack_at_any_depth(dogs: Any) -> None:
    """Each turn the stack ends at another slot of the operation."""
    dogs.execute("""
        d:set("kept", "k")
        for i = 1, 20 do d:set("k" .. i, i) end
        for turn = 1, 60 do
            local function deeper(n)
                d:set("k" .. n % 20, n)
                d:incr("k" .. n % 20, 1)
                return deeper(n + 1) + 1
            end
            local function padded(n, ...)
                if n == 0 then return deeper(1) end
                return (padded(n - 1, n, ...))
            end
            local ok = pcall(padded, turn)
            assert(not ok)
            if critical.depth[0] ~= 0 then critical.settle() end
            assert(d:set("turn", turn) and d:get("turn") == turn)
        end
    """)
    dogs.globals()["check"]()
    assert dogs.eval('d:get("kept")') == "k"


def test_what_a_finalizer_wants_is_done_after_the_operation_that_it_interrupts(dogs: Any) -> None:
    dogs.execute("""
        d:set("k", 1)
        locked(function()
            answer = { d:get("k") }
            d:set("late", true)
            assert(d:incr("k", 1) == nil)
            seen = region.w[layout.RING + layout.NEXT]
        end)
    """)
    assert dogs.eval("#answer") == 0
    assert dogs.execute('return d:get("k"), nil, d:get("late")') == (2, None, True)


def test_errors_of_deferred_operations_do_not_hinder_the_others(dogs: Any) -> None:
    dogs.execute("""
        local lock = require "ngx.shdict.lock"
        locked(function()
            lock.locked(region, error)
            d:set("late", true)
        end)
        critical.settle()
    """)
    assert dogs.eval('d:get("late")') is True


def test_another_vm_of_the_process_borrows_a_dictionary(dogs: Any) -> None:
    other = create_runtime()
    other.execute('require "ngx.api"')
    lent = dogs.execute('return require("ngx.shdict").lend()')
    plain = {name: dict(each) for name, each in lent.items()}
    tables = other.table_from({name: other.table_from(each) for name, each in plain.items()})
    other.execute('require("ngx.shdict").borrow(...) d = ngx.shared.dogs', tables, 1)
    dogs.execute('d:set("k", "here")')
    assert other.eval('d:get("k")') == "here"
    assert other.eval('d:incr("n", 1, 0)') == (1, None, False)
    assert dogs.eval('d:incr("n", 1, 0)') == (2, None, False)
    assert other.eval("d:capacity()") == 64 * 1024


def test_vms_of_a_process_do_not_take_each_others_lock(dogs: Any) -> None:
    """Another VM's lock is neither an error that was left behind nor a death."""
    dogs.execute("""
        local lock = require "ngx.shdict.lock"
        twin = setmetatable({}, { __index = region })
        lock.accompany(twin, region.me, region.joined, 1)
        assert(twin.me ~= region.me)
        local acquire = require("ngx.shdict.atomic").acquire
        held = locked(function() return acquire(region.lock, twin.me, 1) end)
    """)
    assert dogs.eval("held == region.me")


def test_a_file_of_another_layout_is_refused(lua: Any) -> None:
    with open("/dev/null", "rb") as file:
        ok, error = lua.execute(
            'return pcall(require("ngx.shdict").declare, "d", 65536, ...)', file.fileno()
        )
    assert not ok
    assert 'lua_shared_dict "d": cannot' in error
