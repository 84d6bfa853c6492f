"""Values of shared dictionaries: what is returned, kept and expired, by virtual time."""

from collections.abc import Callable
from typing import Any

import pytest

Ask = Callable[[str], list[Any]]


@pytest.mark.parametrize(
    ("value", "read"),
    [("'text'", "text"), ("''", ""), ("'a\\0b'", "a\0b"), ("1", 1), ("-2.5", -2.5), ("0", 0),
     ("true", True), ("false", False)],
)  # fmt: skip
def test_a_value_comes_back_with_its_type(ask: Ask, value: str, read: Any) -> None:
    assert ask(f"d:set('k', {value})") == [True, None, False]
    assert ask("d:get('k')") == [read]
    assert ask("d:get_stale('k')") == [read, None, False]


def test_an_absent_key_gives_one_nil(ask: Ask) -> None:
    assert ask("d:get('k')") == [None]
    assert ask("d:get_stale('k')") == [None]


@pytest.mark.parametrize(
    ("call", "extra"),
    [("get", ""), ("get_stale", ""), ("set", ", 1"), ("safe_set", ", 1"), ("add", ", 1"),
     ("safe_add", ", 1"), ("replace", ", 1"), ("delete", ""), ("incr", ", 1"), ("ttl", ""),
     ("expire", ", 1"), ("lpush", ", 1"), ("rpush", ", 1"), ("lpop", ""), ("rpop", ""),
     ("llen", "")],
)  # fmt: skip
def test_bad_keys_are_named(ask: Ask, call: str, extra: str) -> None:
    assert ask(f"d:{call}(nil{extra})") == [None, "nil key"]
    assert ask(f"d:{call}(''{extra})") == [None, "empty key"]
    assert ask(f"d:{call}(('k'):rep(65536){extra})") == [None, "key too long"]


def test_the_longest_key_is_65535_bytes(lua: Any, ask: Ask) -> None:
    lua.execute('big = require("ngx.shdict").declare("big", 1024 * 1024)')
    assert ask("big:set(('k'):rep(65535), 1)") == [True, None, False]
    assert ask("big:get(('k'):rep(65535))") == [1]


def test_keys_that_are_not_strings_are_written_out(ask: Ask) -> None:
    ask("d:set(12, 'n'), d:set(true, 'b')")
    assert ask("d:get('12'), d:get('true')") == ["n", "b"]


@pytest.mark.parametrize("method", ["set", "safe_set", "add", "safe_add", "replace"])
@pytest.mark.parametrize("value", ["{}", "print", "coroutine.create(print)"])
def test_only_scalars_can_be_stored(ask: Ask, method: str, value: str) -> None:
    assert ask(f"d:{method}('k', {value})") == [None, "bad value type"]


@pytest.mark.parametrize("method", ["add", "safe_add", "replace"])
def test_nil_can_be_neither_added_nor_replaced(ask: Ask, method: str) -> None:
    message = "attempt to add or replace nil values"
    assert ask(f"d:{method}('k', nil)") == [False, message, False]


@pytest.mark.parametrize("removal", ["d:delete('k')", "d:set('k', nil)", "d:safe_set('k', nil)"])
def test_removal(ask: Ask, removal: str) -> None:
    ask("d:set('k', 1)")
    assert ask(removal) == [True, None, False]
    assert ask("d:get_stale('k')") == [None]
    assert ask(removal) == [True, None, False]


@pytest.mark.parametrize("method", ["add", "safe_add"])
def test_add_keeps_what_lives(ask: Ask, clock: Any, method: str) -> None:
    assert ask(f"d:{method}('k', 1, 0.05)") == [True, None, False]
    assert ask(f"d:{method}('k', 2)") == [False, "exists", False]
    clock.advance(0.05)
    assert ask(f"d:{method}('k', 'of another size')") == [True, None, False]
    assert ask("d:get('k')") == ["of another size"]


def test_replace_needs_what_lives(ask: Ask, clock: Any) -> None:
    assert ask("d:replace('k', 1)") == [False, "not found", False]
    ask("d:set('k', 1, 0.05)")
    assert ask("d:replace('k', 2, 0.05)") == [True, None, False]
    clock.advance(0.05)
    assert ask("d:replace('k', 3)") == [False, "not found", False]


def test_flags_come_with_the_value_unless_zero(ask: Ask) -> None:
    ask("d:set('k', 'v', 0, 7)")
    assert ask("d:get('k')") == ["v", 7]
    assert ask("d:get_stale('k')") == ["v", 7, False]
    ask("d:set('k', 'v')")
    assert ask("d:get('k')") == ["v"]


def test_flags_are_32_bit_integers(ask: Ask) -> None:
    ask("d:set('k', 1, 0, -3), d:set('l', 1, 0, 2.9), d:set('m', 1, 0, 2^31 - 1)")
    assert ask("select(2, d:get('k'))") == [-3]
    assert ask("select(2, d:get('l'))") == [2]
    assert ask("select(2, d:get('m'))") == [2**31 - 1]


def test_a_value_lives_until_its_millisecond(ask: Ask, clock: Any) -> None:
    ask("d:set('k', 'v', 0.1, 4)")
    clock.advance(0.099)
    assert ask("d:get('k')") == ["v", 4]
    clock.advance(0.001)
    assert ask("d:get_stale('k')") == ["v", 4, True]
    assert ask("d:get('k')") == [None]


def test_time_that_passes_in_many_small_steps_is_not_lost(ask: Ask, clock: Any) -> None:
    ask("d:set('k', 'v', 1)")
    for _ in range(10):
        clock.advance(0.1)
    assert ask("d:get('k')") == [None]


def test_a_time_to_live_below_a_millisecond_is_for_ever(ask: Ask, clock: Any) -> None:
    ask("d:set('k', 'v', 0.0009)")
    clock.advance(1e9)
    assert ask("d:get('k')") == ["v"]


def test_setting_again_starts_a_new_life(ask: Ask, clock: Any) -> None:
    ask("d:set('k', 'v', 1)")
    ask("d:set('k', 'w')")
    clock.advance(2)
    assert ask("d:get('k')") == ["w"]


def test_ttl_and_expire(ask: Ask, clock: Any) -> None:
    assert ask("d:ttl('k')") == [None, "not found"]
    assert ask("d:expire('k', 1)") == [None, "not found"]
    ask("d:set('k', 1)")
    assert ask("d:ttl('k')") == [0]
    assert ask("d:expire('k', 1.5)") == [True]
    clock.advance(0.5)
    assert ask("d:ttl('k')") == [1]
    clock.advance(3)
    assert ask("d:ttl('k')") == [-2]
    assert ask("d:expire('k', 0)") == [True]  # an entry not yet removed can be revived
    assert ask("d:get('k')") == [1]


def test_incr_adds_to_numbers(ask: Ask) -> None:
    assert ask("d:incr('n', 1)") == [None, "not found"]
    ask("d:set('n', 1, 0, 9)")
    assert ask("d:incr('n', 2.5)") == [3.5]
    assert ask("d:incr('n', '-1')") == [2.5]
    assert ask("d:incr('n', 1, 100)") == [3.5, None, False]
    assert ask("d:get('n')") == [3.5, 9]


@pytest.mark.parametrize("value", ["'5'", "true"])
def test_incr_refuses_what_is_not_a_number(ask: Ask, value: str) -> None:
    ask(f"d:set('k', {value})")
    assert ask("d:incr('k', 1)") == [None, "not a number"]
    assert ask("d:incr('k', 1, 0)") == [None, "not a number"]


def test_incr_can_begin_a_key_with_a_time_to_live(ask: Ask, clock: Any) -> None:
    assert ask("d:incr('n', 2, 10, 1)") == [12, None, False]
    assert ask("d:incr('n', 2, 10, 50)") == [14, None, False]
    assert ask("d:ttl('n')") == [1]
    clock.advance(1)
    assert ask("d:incr('n', 1)") == [None, "not found"]
    assert ask("d:incr('n', 1, 0)") == [1, None, False]
    assert ask("d:ttl('n')") == [0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("d.get(nil, 'k')", 'bad "zone" argument'),
        ("d.set({}, 'k', 1)", 'bad "zone" argument'),
        ("d.llen({}, 'k')", 'bad "zone" argument'),
        ("d:set('k', 1, -1)", 'bad "exptime" argument'),
        ("d:set('k', 1, 0, {})", 'bad "flags" argument: number expected, got table'),
        ("d:expire('k')", 'bad "exptime" argument'),
        ("d:incr('k', 'x')", "cannot convert 'nil' to 'double'"),
        ("d:incr('k', 1, {})", "bad init arg: number expected, got table"),
        ("d:incr('k', 1, 1, 'x')", "bad init_ttl arg: number expected, got string"),
        ("d:incr('k', 1, 1, -1)", 'bad "init_ttl" argument'),
        ("d:incr('k', 1, nil, 1)", 'must provide "init" when providing "init_ttl"'),
        ("d:get_keys(1, 2)", "expecting 1 or 2 argument(s), but saw 3"),
        ("d:flush_expired(1, 2)", "expecting 1 or 2 argument(s), but saw 3"),
        ("d:get_keys({})", "bad argument #1 to 'get_keys' (number expected, got table)"),
        ("d:lpush('k')", "expecting 3 arguments, but only seen 2"),
        ("d:llen()", "expecting 2 arguments, but only seen 1"),
        ("d:rpop({})", "bad argument #1 to 'rpop' (string expected, got table)"),
    ],
)
def test_mistakes_of_the_programmer_raise(ask: Ask, call: str, message: str) -> None:
    ok, error = ask(f"pcall(function() return ({call}) end)")
    assert not ok
    assert error.endswith(message)
    assert error.startswith('[string "')  # the position is the caller's


def test_keys_come_least_recently_used_first(ask: Ask, clock: Any) -> None:
    assert ask("#d:get_keys()") == [0]
    for number in range(1, 6):
        ask(f"d:set('k{number}', {number})")
    ask("d:get('k2'), d:incr('k1', 1), d:ttl('k3')")
    assert ask("table.concat(d:get_keys(), ' ')") == ["k3 k4 k5 k2 k1"]
    assert ask("table.concat(d:get_keys(2), ' ')") == ["k3 k4"]
    ask("d:expire('k4', 1)")
    clock.advance(1)
    assert ask("table.concat(d:get_keys(0), ' ')") == ["k3 k5 k2 k1"]


def test_get_keys_stops_at_1024_unless_told(lua: Any, ask: Ask) -> None:
    lua.execute('big = require("ngx.shdict").declare("big", 1024 * 1024)')
    lua.execute("for i = 1, 1100 do big:set('k' .. i, i) end")
    assert ask("#big:get_keys(), #big:get_keys(0), #big:get_keys(1030)") == [1024, 1100, 1030]


def test_flush_all_expires_and_flush_expired_removes(ask: Ask) -> None:
    for number in range(1, 9):
        ask(f"d:set('k{number}', {number})")
    assert ask("d:flush_all()") == []
    assert ask("#d:get_keys()") == [0]
    assert ask("d:get_stale('k3')") == [None]  # three entries go at once, the oldest
    assert ask("d:get_stale('k4')") == [4, None, True]
    assert ask("d:flush_expired(2)") == [2]
    assert ask("d:get_stale('k5'), d:get_stale('k6')") == [None, 6, None, True]
    assert ask("d:flush_expired()") == [3]
    assert ask("d:flush_expired(0)") == [0]


def test_flush_all_at_the_beginning_of_time(ask: Ask, clock: Any) -> None:
    clock.cell[1] = 0.0
    for number in range(1, 9):
        ask(f"d:set('k{number}', {number})")
    ask("d:flush_all()")
    assert ask("d:get('k8')") == [None]


def test_reading_leaves_an_expired_entry_where_it_was(ask: Ask, clock: Any) -> None:
    """Otherwise one that is asked for again and again would outlive its memory's need."""
    for number in range(1, 5):
        ask(f"d:set('k{number}', {number}, 1)")
    clock.advance(1)
    ask("d:get_stale('k1')")
    ask("d:get('absent')")  # sweeps two
    assert ask("d:get_stale('k1'), d:get_stale('k2')") == [None, None]
    assert ask("d:flush_expired()") == [2]


def test_a_method_that_is_replaced_in_the_metatable_is_the_one_called(lua: Any, ask: Ask) -> None:
    lua.execute("""
        local mt = getmetatable(d)
        local get = mt.get
        mt.get = function(self, key) return "seen", get(self, key) end
    """)
    assert ask("d:set('k', 1)") == [True, None, False]
    assert ask("d:get('k')") == ["seen", 1]
