"""resty.roundrobin: fair by weight at any moment, and changeable while it runs."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def rr(lua: Any) -> Any:
    """Make a balancer `rr` over a Lua table."""
    lua.execute('roundrobin = require "resty.roundrobin"')

    def make(nodes: str) -> None:
        lua.execute(f"rr = roundrobin:new({nodes})")

    return make


def picks(run_lua: Run, count: int) -> list[Any]:
    return [run_lua("return rr:find()") for _ in range(count)]


@pytest.mark.parametrize(
    "weights",
    [{"a": 1, "b": 1, "c": 1}, {"a": 5, "b": 1, "c": 1}, {"a": 100, "b": 50}, {"a": 4, "b": 6}],
)
def test_every_round_is_shared_by_weight(rr: Any, run_lua: Run, weights: dict[str, int]) -> None:
    rr("{" + ",".join(f"{id} = {weight}" for id, weight in weights.items()) + "}")
    total = sum(weights.values())
    # The start is random, so a whole number of rounds is counted from anywhere.
    assert Counter(picks(run_lua, 3 * total)) == {id: 3 * w for id, w in weights.items()}


def test_heavy_nodes_are_interleaved_with_light_ones(rr: Any, run_lua: Run) -> None:
    rr("{a = 2, b = 1}")
    run = "".join(picks(run_lua, 30))
    assert "aaa" not in run + run
    assert "bb" not in run + run


def test_a_node_of_weight_zero_is_never_picked(rr: Any, run_lua: Run) -> None:
    rr("{a = 0, b = 3, c = 3}")
    assert set(picks(run_lua, 20)) == {"b", "c"}


def test_nodes_that_all_weigh_zero_are_equal(rr: Any, run_lua: Run) -> None:
    rr("{a = 0, b = 0}")
    assert Counter(picks(run_lua, 10)) == {"a": 5, "b": 5}


def test_a_single_node_is_always_picked(rr: Any, run_lua: Run) -> None:
    rr("{a = 0}")
    assert set(picks(run_lua, 3)) == {"a"}


def test_next_is_find(rr: Any, run_lua: Run) -> None:
    rr("{a = 1}")
    assert run_lua("return rr:next()") == "a"


def test_ids_may_be_anything(rr: Any, run_lua: Run) -> None:
    rr("{[1] = 1, ['127.0.0.1:80'] = 1, [false] = 1}")
    assert set(picks(run_lua, 3)) == {1, "127.0.0.1:80", False}


def test_it_does_not_always_begin_with_the_same_node(rr: Any, run_lua: Run) -> None:
    run_lua("math.randomseed(1)")
    first = set()
    for _ in range(50):
        rr("{a = 1, b = 1, c = 1}")
        first.add(run_lua("return rr:find()"))
    assert first == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("rr:set('a', 2)", {"a": 2, "b": 2, "c": 2}),
        ("rr:set('a', 0)", {"b": 2, "c": 2}),
        ("rr:set('a')", {"b": 2, "c": 2}),
        ("rr:set('d', 3)", {"a": 1, "b": 2, "c": 2, "d": 3}),
        ("rr:set('b', 2)", {"a": 1, "b": 2, "c": 2}),
        ("rr:incr('a')", {"a": 2, "b": 2, "c": 2}),
        ("rr:incr('a', 5)", {"a": 6, "b": 2, "c": 2}),
        ("rr:incr('d', 2)", {"a": 1, "b": 2, "c": 2, "d": 2}),
        ("rr:decr('b')", {"a": 1, "b": 1, "c": 2}),
        ("rr:decr('a')", {"b": 2, "c": 2}),
        ("rr:decr('b', 7)", {"a": 1, "c": 2}),
        ("rr:decr('absent')", {"a": 1, "b": 2, "c": 2}),
        ("rr:delete('a')", {"b": 2, "c": 2}),
        ("rr:delete('absent')", {"a": 1, "b": 2, "c": 2}),
        ("rr:reinit({x = 1, y = 2})", {"x": 1, "y": 2}),
    ],
)
@pytest.mark.parametrize("before", [0, 1, 2, 3, 4])
def test_changes_take_effect_at_once(
    rr: Any, run_lua: Run, change: str, expected: dict[str, int], before: int
) -> None:
    rr("{a = 1, b = 2, c = 2}")
    picks(run_lua, before)
    run_lua(change)
    total = sum(expected.values())
    # The round under way was begun with other weights; the following ones are exact.
    assert set(picks(run_lua, total)) <= set(expected)
    assert Counter(picks(run_lua, 2 * total)) == {id: 2 * w for id, w in expected.items()}


def test_the_given_table_is_left_alone(run_lua: Run) -> None:
    assert run_lua("""
        local nodes = {a = 1, b = 2}
        local rr = require("resty.roundrobin"):new(nodes)
        rr:incr("a") rr:delete("b")
        return nodes.a, nodes.b
    """) == (1, 2)


@pytest.mark.parametrize("call", ["roundrobin:new({})", "rr:delete('a')", "rr:set('a', 0)"])
def test_no_nodes_at_all_raise(rr: Any, run_lua: Run, call: str) -> None:
    rr("{a = 1}")
    ok, error = run_lua(f"return pcall(function() {call} end)")
    assert not ok
    assert error.endswith("empty nodes")
