"""Lists in shared dictionaries."""

from collections.abc import Callable
from typing import Any

import pytest

Ask = Callable[[str], list[Any]]


def test_both_ends(ask: Ask) -> None:
    assert ask("d:lpush('l', 'b')") == [1]
    assert ask("d:rpush('l', 3)") == [2]
    assert ask("d:lpush('l', 'a')") == [3]
    assert ask("d:rpush('l', '')") == [4]
    assert ask("d:llen('l')") == [4]
    assert ask("d:lpop('l')") == ["a"]
    assert ask("d:rpop('l')") == [""]
    assert ask("d:rpop('l')") == [3]
    assert ask("d:lpop('l')") == ["b"]


def test_a_list_is_gone_when_empty(ask: Ask) -> None:
    ask("d:rpush('l', 1)")
    ask("d:lpop('l')")
    assert ask("d:lpop('l')") == [None]
    assert ask("d:llen('l')") == [0]
    assert ask("#d:get_keys()") == [0]


def test_a_list_is_not_a_value(ask: Ask) -> None:
    ask("d:rpush('l', 1)")
    assert ask("d:get('l')") == [None, "value is a list"]
    assert ask("d:get_stale('l')") == [None, "value is a list"]
    assert ask("d:incr('l', 1, 0)") == [None, "not a number"]
    assert ask("d:add('l', 1)") == [False, "exists", False]


@pytest.mark.parametrize(
    "call", ["lpush('v', 1)", "rpush('v', 1)", "lpop('v')", "rpop('v')", "llen('v')"]
)
def test_a_value_is_not_a_list(ask: Ask, call: str) -> None:
    ask("d:set('v', 1)")
    assert ask(f"d:{call}") == [None, "value not a list"]


@pytest.mark.parametrize("value", ["nil", "true", "{}"])
def test_only_strings_and_numbers_go_into_lists(ask: Ask, value: str) -> None:
    assert ask(f"d:rpush('l', {value})") == [None, "bad value type"]


def test_number_keys_are_written_out(ask: Ask) -> None:
    ask("d:rpush(5, 1)")
    assert ask("d:llen('5')") == [1]


def test_a_value_takes_the_place_of_a_list(ask: Ask) -> None:
    ask("d:rpush('l', 1)")
    assert ask("d:set('l', 2)") == [True, None, False]
    assert ask("d:get('l')") == [2]
    ask("d:delete('l'), d:rpush('l', 1)")
    assert ask("d:replace('l', 'v')") == [True, None, False]
    assert ask("d:get('l')") == ["v"]


def test_an_expired_list_starts_anew_without_a_time_to_live(ask: Ask, clock: Any) -> None:
    ask("d:set('newer', 1)")
    ask("d:rpush('l', 1), d:rpush('l', 2), d:expire('l', 1)")
    ask("d:get('newer')")
    clock.advance(1)
    assert ask("d:llen('newer2')") == [0]  # sweeps the list away
    assert ask("d:llen('l')") == [0]
    ask("d:rpush('l', 1), d:expire('l', 1), d:set('k', 1)")
    clock.advance(1)
    assert ask("d:lpop('l')") == [None]
    assert ask("d:rpush('l', 3)") == [1]
    assert ask("d:ttl('l')") == [0]


def test_an_expired_list_that_still_stands_is_reused(ask: Ask, clock: Any) -> None:
    ask("d:set('older', 1)")
    ask("d:rpush('l', 1), d:rpush('l', 2), d:expire('l', 1)")
    clock.advance(1)
    assert ask("d:llen('l')") == [0]
    assert ask("d:rpop('l')") == [None]
    assert ask("d:rpush('l', 3)") == [1]
    assert ask("d:lpop('l')") == [3]


def test_an_expired_value_that_still_stands_makes_way(ask: Ask, clock: Any) -> None:
    ask("d:set('older', 1)")
    ask("d:set('l', 'value', 1)")
    clock.advance(1)
    assert ask("d:lpush('l', 3)") == [1]
    assert ask("d:llen('l')") == [1]


def test_pushing_never_evicts(lua: Any, ask: Ask) -> None:
    ask("d:set('k', 1)")
    lua.execute("repeat local length = d:rpush('l', 1) until not length")
    assert ask("d:rpush('l', 1)") == [None, "no memory"]
    assert ask("d:get('k')") == [1]


def test_a_list_that_gets_no_item_is_not_left_behind(ask: Ask) -> None:
    assert ask("d:rpush('l', ('v'):rep(64 * 1024))") == [None, "no memory"]
    assert ask("#d:get_keys()") == [0]


def test_a_list_that_finds_no_room_for_itself(ask: Ask) -> None:
    assert ask("d:rpush(('l'):rep(40000), 1)") == [False, "no memory"]
