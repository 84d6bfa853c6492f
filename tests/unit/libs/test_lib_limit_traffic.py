"""resty.limit.req, conn and traffic: figures by hand, time by hand."""

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[[str], Any]


@pytest.fixture
def run(lua: Any, clock: Any) -> Run:
    """Run a function body that has the shared dictionary `dogs` and the modules by name."""
    lua.execute("""
        dogs = require("ngx.shdict").declare("dogs", 128 * 1024)
        req, conn = require "resty.limit.req", require "resty.limit.conn"
        count, traffic = require "resty.limit.count", require "resty.limit.traffic"
    """)

    def execute(code: str) -> Any:
        values = lua.execute(code)
        return list(values) if isinstance(values, tuple) else [values]

    return execute


# req


def test_requests_at_the_rate_are_not_delayed(run: Run, clock: Any) -> None:
    run('limiter = req.new("dogs", 2, 0)')
    for _ in range(5):
        assert run('return limiter:incoming("k", true)') == [0, 0]
        clock.advance(0.5)


def test_a_burst_is_delayed_and_what_exceeds_it_rejected(run: Run) -> None:
    run('limiter = req.new("dogs", 2, 2)')
    assert [run('return limiter:incoming("k", true)') for _ in range(4)] == [
        [0, 0],
        [0.5, 1],
        [1, 2],
        [None, "rejected"],
    ]


def test_the_bucket_leaks(run: Run, clock: Any) -> None:
    run('limiter = req.new("dogs", 2, 3) for _ = 1, 4 do limiter:incoming("k", true) end')
    assert run('return limiter:incoming("k", true)') == [None, "rejected"]
    clock.advance(0.75)  # one and a half requests
    assert run('return limiter:incoming("k", true)') == [1.25, 2.5]
    clock.advance(100)
    assert run('return limiter:incoming("k", true)') == [0, 0]


def test_an_empty_bucket_is_forgotten(run: Run, clock: Any) -> None:
    run('limiter = req.new("dogs", 10, 3) for _ = 1, 3 do limiter:incoming("k", true) end')
    clock.advance(0.29)
    assert run('return dogs:get("k") ~= nil') == [True]
    clock.advance(0.02)
    assert run('return dogs:get("k")') == [None]


def test_asking_without_commit_changes_nothing(run: Run) -> None:
    run('limiter = req.new("dogs", 1, 0)')
    assert run('return limiter:incoming("k", false)') == [0, 0]
    assert run('return limiter:incoming("k", true)') == [0, 0]
    assert run('return limiter:incoming("k", false)') == [None, "rejected"]


def test_keys_are_apart(run: Run) -> None:
    run('limiter = req.new("dogs", 1, 0) limiter:incoming("a", true)')
    assert run('return limiter:incoming("b", true)') == [0, 0]


def test_uncommit_of_a_request(run: Run) -> None:
    run('limiter = req.new("dogs", 1, 5) for _ = 1, 3 do limiter:incoming("k", true) end')
    assert run('return (limiter:uncommit("k"))') == [True]
    assert run('return limiter:incoming("k", true)') == [2, 2]
    assert run('return limiter:uncommit("other")') == [None, "not found"]


def test_rate_and_burst_can_be_changed(run: Run) -> None:
    run('limiter = req.new("dogs", 1, 0) limiter:incoming("k", true)')
    run("limiter:set_rate(4) limiter:set_burst(1)")
    assert run('return limiter:incoming("k", true)') == [0.25, 1]


@pytest.mark.parametrize("value", ["1", "'x'", "true", "'a b'"])
def test_a_dictionary_that_others_write_to(run: Run, value: str) -> None:
    run(f'limiter = req.new("dogs", 1, 0) dogs:set("k", {value})')
    assert run('return limiter:incoming("k", true)') == [None, "shdict abused by other users"]
    assert run('return limiter:uncommit("k")') == [None, "shdict abused by other users"]


# conn


def test_concurrent_requests(run: Run) -> None:
    run('limiter = conn.new("dogs", 2, 1, 0.5)')
    assert [run('return limiter:incoming("k", true)') for _ in range(4)] == [
        [0, 1],
        [0, 2],
        [0.5, 3],
        [None, "rejected"],
    ]
    assert run("return limiter:is_committed()") == [False]
    assert run('return limiter:leaving("k")') == [2]
    assert run('return limiter:incoming("k", true)') == [0.5, 3]
    assert run("return limiter:is_committed()") == [True]


def test_each_full_set_of_connections_delays_once_more(run: Run) -> None:
    run('limiter = conn.new("dogs", 2, 10, 0.1) for _ = 1, 4 do limiter:incoming("k", true) end')
    assert run('return limiter:incoming("k", true)') == [0.2, 5]


def test_the_delay_follows_what_requests_take(run: Run) -> None:
    run('limiter = conn.new("dogs", 1, 5, 0.5)')
    run('limiter:incoming("k", true) limiter:incoming("k", true)')
    assert run('return limiter:leaving("k", 1.5)') == [1]
    assert run('return limiter:incoming("k", true)') == [1, 2]


def test_asking_for_a_connection_without_commit(run: Run) -> None:
    run('limiter = conn.new("dogs", 1, 0, 0.1)')
    assert run('return limiter:incoming("k", false)') == [0, 1]
    assert run("return limiter:is_committed()") == [False]
    assert run('return limiter:incoming("k", true)') == [0, 1]
    assert run('return limiter:incoming("k", false)') == [None, "rejected"]


def test_leaving_what_was_never_entered(run: Run) -> None:
    run('limiter = conn.new("dogs", 1, 0, 0.1)')
    assert run('return limiter:leaving("k")') == [None, "not found"]
    assert run('return limiter:uncommit("k")') == [None, "not found"]


def test_bounds_of_connections_can_be_changed(run: Run) -> None:
    run('limiter = conn.new("dogs", 1, 0, 0.1) limiter:incoming("k", true)')
    run("limiter:set_conn(2) limiter:set_burst(1)")
    assert run('return limiter:incoming("k", true)') == [0, 2]
    assert run('return limiter:incoming("k", true)') == [0.1, 3]


# traffic


def test_all_limiters_are_asked_and_the_longest_delay_counts(run: Run) -> None:
    run("""
        limiters = { req.new("dogs", 2, 5), req.new("dogs", 10, 5), conn.new("dogs", 1, 5, 0.05) }
        keys, states = { "a", "b", "c" }, {}
    """)
    assert run("return traffic.combine(limiters, keys, states)") == [0]
    assert run("return traffic.combine(limiters, keys, states)") == [0.5]
    assert run("return unpack(states)") == [1, 1, 2]


def test_what_one_rejects_counts_in_none(run: Run) -> None:
    run("""
        first, last = count.new("dogs", 5, 60), req.new("dogs", 1, 0)
        last:incoming("b", true)
    """)
    code = 'return traffic.combine({ first, last }, { "a", "b" })'
    assert run(code) == [None, "rejected"]
    assert run('return first:incoming("a", true)') == [0, 1]


def test_a_limiter_that_fails_at_last_gives_the_others_back(run: Run) -> None:
    """As another worker may take what was there when it was asked."""
    run("""
        first = conn.new("dogs", 5, 0, 0.1)
        race = { incoming = function(_, _, commit)
            if commit then return nil, "rejected" end
            return 0, 1
        end }
    """)
    assert run('return traffic.combine({ first, race }, { "a", "b" })') == [None, "rejected"]
    assert run('return dogs:get("a")') == [0]


@pytest.mark.parametrize("name", ["req", "conn"])
def test_a_dictionary_that_is_not_there(run: Run, name: str) -> None:
    assert run(f'return {name}.new("cats", 1, 1, 1)') == [None, "shared dict not found"]


@pytest.mark.parametrize(
    "call",
    [
        'req.new("dogs", 0, 0)',
        'req.new("dogs", 1, -1)',
        'conn.new("dogs", 0, 0, 1)',
        'conn.new("dogs", 1, 0, 0)',
    ],
)
def test_bounds_that_make_no_sense_are_raised(run: Run, call: str) -> None:
    assert run(f"return (pcall(function() return {call} end))") == [False]
