"""resty.lrucache by virtual time; resty.lrucache.pureffi is the same."""

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture(params=["resty.lrucache", "resty.lrucache.pureffi"])
def cache(request: pytest.FixtureRequest, lua: Any, clock: Any) -> Any:
    """A cache `c` of three items in the runtime of `run_lua`."""
    lua.execute(f'c = require("{request.param}").new(3)')
    return lua.eval("c")


def test_absent_keys_give_nil(cache: Any, run_lua: Run) -> None:
    assert run_lua("return c:get('k')") is None
    assert run_lua("return select('#', c:get('k'))") == 1


@pytest.mark.parametrize("value", ["1", "'text'", "false", "{}"])
def test_values_come_back_with_flags(cache: Any, run_lua: Run, value: str) -> None:
    run_lua(f"v = {value} c:set('k', v)")
    assert run_lua("local v2, stale, flags = c:get('k') return v2 == v, stale, flags") == (
        True, None, 0,
    )  # fmt: skip


def test_tables_can_be_keys(cache: Any, run_lua: Run) -> None:
    run_lua("key = {} c:set(key, 'v')")
    assert run_lua("return c:get(key), c:get({})") == ("v", None)


@pytest.mark.parametrize(
    ("given", "kept"),
    [("5", 5), ("2.9", 2), ("0", 0), ("-1", 0), ("'5'", 0), ("2^32 - 1", 2**32 - 1)],
)
def test_flags_are_unsigned_32_bit_numbers(cache: Any, run_lua: Run, given: str, kept: int) -> None:
    run_lua(f"c:set('k', 1, nil, {given})")
    assert run_lua("return (select(3, c:get('k')))") == kept


def test_an_expired_value_is_stale(cache: Any, run_lua: Run, clock: Any) -> None:
    run_lua("c:set('k', 'v', 0.5, 7)")
    clock.advance(0.5)
    assert run_lua("return c:get('k')") == ("v", None, 7)
    clock.advance(0.001)
    assert run_lua("return c:get('k')") == (None, "v", 7)
    assert run_lua("return c:count()") == 1


def test_setting_again_without_ttl_lives_for_ever(cache: Any, run_lua: Run, clock: Any) -> None:
    run_lua("c:set('k', 'v', 1, 3) c:set('k', 'w')")
    clock.advance(1e6)
    assert run_lua("return c:get('k')") == ("w", None, 0)


def test_the_least_recently_used_goes(cache: Any, run_lua: Run) -> None:
    run_lua("c:set('a', 1) c:set('b', 2) c:set('c', 3) c:get('a') c:set('b', 4) c:set('d', 5)")
    assert run_lua("return c:get('a'), (c:get('b')), (c:get('c')), (c:get('d'))") == (1, 4, None, 5)
    assert run_lua("return c:count(), c:capacity()") == (3, 3)


def test_stale_entries_count_as_used(cache: Any, run_lua: Run, clock: Any) -> None:
    run_lua("c:set('a', 1, 1) c:set('b', 2) c:set('c', 3)")
    clock.advance(2)
    run_lua("c:get('a') c:set('d', 4)")
    assert run_lua("return (select(2, c:get('a'))), (c:get('b'))") == (1, None)


def test_delete(cache: Any, run_lua: Run) -> None:
    run_lua("c:set('a', 1) c:set('b', 2)")
    assert run_lua("return c:delete('a'), c:delete('a')") == (True, False)
    assert run_lua("return c:count(), (c:get('a')), (c:get('b'))") == (1, None, 2)
    run_lua("c:set('c', 3) c:set('d', 4)")
    assert run_lua("return (c:get('b'))") == 2


def test_get_keys_most_recently_used_first(cache: Any, run_lua: Run) -> None:
    assert run_lua("return #c:get_keys()") == 0
    run_lua("c:set('a', 1) c:set('b', 2) c:set('c', 3) c:get('a')")
    assert run_lua("return table.concat(c:get_keys(), ' ')") == "a c b"
    assert run_lua("return table.concat(c:get_keys(0), ' ')") == "a c b"
    assert run_lua("return table.concat(c:get_keys(2), ' ')") == "a c"


def test_get_keys_into_a_table_ends_with_nil(cache: Any, run_lua: Run) -> None:
    run_lua("c:set('a', 1) r = {'x', 'y', 'z'}")
    assert run_lua("return c:get_keys(nil, r) == r, r[1], r[2], r[3]") == (True, "a", None, "z")


def test_flush_all(cache: Any, run_lua: Run) -> None:
    run_lua("c:set('a', 1) c:set('b', 2) c:flush_all()")
    assert run_lua("return c:count(), (c:get('a')), #c:get_keys()") == (0, None, 0)
    run_lua("for i = 1, 5 do c:set(i, i) end")
    assert run_lua("return table.concat(c:get_keys(), ' ')") == "5 4 3"


@pytest.mark.parametrize("size", ["0", "-1", "0.5"])
def test_too_small(run_lua: Run, size: str) -> None:
    assert run_lua(f'return require("resty.lrucache").new({size})') == (None, "size too small")


def test_pureffi_takes_a_load_factor(run_lua: Run) -> None:
    assert run_lua('return require("resty.lrucache.pureffi").new(5, 0.3):capacity()') == 5


def test_it_behaves_like_a_plain_model(run_lua: Run) -> None:
    """Random operations against an ordered list that is searched from end to end."""
    assert run_lua("""
        local cache, order, values = require("resty.lrucache").new(8), {}, {}
        local function used(key)
            for i, k in ipairs(order) do
                if k == key then table.remove(order, i) end
            end
            table.insert(order, 1, key)
        end
        math.randomseed(3)
        for step = 1, 20000 do
            local key, kind = "k" .. math.random(14), math.random(5)
            if kind <= 2 then
                cache:set(key, step)
                used(key)
                values[key] = step
                if #order > 8 then values[table.remove(order)] = nil end
            elseif kind == 3 then
                local deleted = cache:delete(key)
                assert(deleted == (values[key] ~= nil))
                if deleted then used(key) table.remove(order, 1) end
                values[key] = nil
            else
                assert(cache:get(key) == values[key])
                if values[key] then used(key) end
            end
            assert(table.concat(cache:get_keys(), " ") == table.concat(order, " "), step)
            assert(cache:count() == #order)
        end
        return true
    """)
