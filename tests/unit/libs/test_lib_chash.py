"""resty.chash: keys come to the nodes that nginx's ring, made anew here, gives them."""

import bisect
import zlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]
KEYS = [f"key-{number}" for number in range(400)]
WEIGHTS = [
    {"a": 1},
    {"127.0.0.1\x001980": 1, "127.0.0.1\x001981": 1, "127.0.0.1\x001982": 2},
    {f"10.0.0.{number}:80": number for number in range(1, 12)},
    {"a": 3, "b": 0},
]


def owner(nodes: dict[str, int], key: str) -> str:
    """The node of a key, by the definition of the ring."""
    ring = []
    for id, weight in nodes.items():
        point = 0
        for _ in range(160 * weight):
            point = zlib.crc32(id.encode() + point.to_bytes(4, "little"))
            ring.append((point, id))
    ring.sort()
    at = bisect.bisect_left(ring, (zlib.crc32(key.encode()), ""))
    return ring[at % len(ring)][1]


def table(nodes: dict[str, int]) -> str:
    """The nodes as a Lua table."""
    ids = {id: "".join(f"\\{byte:03}" for byte in id.encode()) for id in nodes}
    return "{" + ",".join(f'["{ids[id]}"] = {weight}' for id, weight in nodes.items()) + "}"


@pytest.fixture
def ring(run_lua: Run) -> Callable[[dict[str, int]], None]:
    """Make a balancer `ring` over nodes."""

    def make(nodes: dict[str, int]) -> None:
        run_lua(f'ring = require("resty.chash"):new({table(nodes)})')

    return make


def owners(run_lua: Run) -> list[str]:
    return [run_lua("return (ring:find(...))", key) for key in KEYS]


@pytest.mark.parametrize("nodes", WEIGHTS)
def test_a_key_comes_to_the_node_of_nginx(ring: Any, run_lua: Run, nodes: dict[str, int]) -> None:
    ring(nodes)
    assert owners(run_lua) == [owner(nodes, key) for key in KEYS]


def test_keys_that_are_no_text(ring: Any, run_lua: Run) -> None:
    ring(WEIGHTS[2])
    for number in range(100):
        assert run_lua("return (ring:find(...))", number) == owner(WEIGHTS[2], str(number))


def test_next_goes_round_the_whole_ring(ring: Any, run_lua: Run) -> None:
    ring({"a": 1, "b": 2})
    ids = run_lua("""
        local _, at = ring:find("x")
        local first, ids = at, {}
        repeat
            local id
            id, at = ring:next(at)
            ids[#ids + 1] = id
        until at == first
        return table.concat(ids)
    """)
    assert Counter(ids) == {"a": 160, "b": 320}


@pytest.mark.parametrize(
    ("change", "after"),
    [
        ("ring:set('c', 2)", {"a": 1, "b": 2, "c": 2}),
        ("ring:set('b', 1)", {"a": 1, "b": 1}),
        ("ring:set('b', 0)", {"a": 1}),
        ("ring:set('b')", {"a": 1}),
        ("ring:incr('a')", {"a": 2, "b": 2}),
        ("ring:incr('c', 3)", {"a": 1, "b": 2, "c": 3}),
        ("ring:decr('b')", {"a": 1, "b": 1}),
        ("ring:decr('b', 5)", {"a": 1}),
        ("ring:decr('c')", {"a": 1, "b": 2}),
        ("ring:delete('a')", {"b": 2}),
        ("ring:delete('c')", {"a": 1, "b": 2}),
        ("ring:delete('a') ring:incr('c')", {"b": 2, "c": 1}),
        ("ring:reinit({x = 1, y = 1})", {"x": 1, "y": 1}),
    ],
)
def test_nodes_change(ring: Any, run_lua: Run, change: str, after: dict[str, int]) -> None:
    ring({"a": 1, "b": 2})
    run_lua(change)
    assert owners(run_lua) == [owner(after, key) for key in KEYS]


def test_a_weight_that_stands(ring: Any, run_lua: Run) -> None:
    ring({"a": 1})
    assert run_lua("return ring:set('a', 1)") is True


def test_what_was_given_is_not_changed(run_lua: Run) -> None:
    assert run_lua("""
        local nodes = {a = 1}
        local ring = require("resty.chash"):new(nodes)
        ring:incr("a")
        ring:incr("b")
        return nodes.a == 1 and nodes.b == nil
    """)


@pytest.mark.parametrize("nodes", ["{}", "{a = 0}"])
def test_nothing_has_weight(run_lua: Run, nodes: str) -> None:
    run_lua(f'ring = require("resty.chash"):new({nodes})')
    assert run_lua("return ring:find('x')") is None
    assert run_lua("return ring:next(0)") is None
