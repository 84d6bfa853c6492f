"""resty.limit.count as APISIX 3.18 uses it."""

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def limiter(lua: Any, clock: Any) -> None:
    """A limiter `l` of 3 per 10 seconds in the runtime of `run_lua`."""
    lua.execute('require("ngx.shdict").declare("counts", 65536)')
    lua.execute('l = require("resty.limit.count").new("counts", 3, 10)')


def test_what_is_consumed_is_told(limiter: None, run_lua: Run) -> None:
    assert [run_lua("return l:incoming('k', true)") for _ in range(5)] == [
        (0, 1), (0, 2), (0, 3), (None, "rejected"), (None, "rejected"),
    ]  # fmt: skip
    assert run_lua("return l:incoming('other', true)") == (0, 1)


def test_a_cost_counts_that_many(limiter: None, run_lua: Run) -> None:
    assert run_lua("return l:incoming('k', true, 2)") == (0, 2)
    assert run_lua("return l:incoming('k', true, 0)") == (0, 2)
    assert run_lua("return l:incoming('k', true, 2)") == (None, "rejected")
    assert run_lua("return l:incoming('k', true, -2)") == (0, 2)


def test_without_commit_nothing_is_counted(limiter: None, run_lua: Run) -> None:
    assert run_lua("return l:incoming('k', false)") == (0, 1)
    assert run_lua("return l:incoming('k', false, 4)") == (None, "rejected")
    assert run_lua("return l:incoming('k', true, 3)") == (0, 3)
    assert run_lua("return l:incoming('k')") == (None, "rejected")


def test_the_window_begins_with_the_first_request(limiter: None, run_lua: Run, clock: Any) -> None:
    run_lua("l:incoming('k', true, 3)")
    clock.advance(9.999)
    assert run_lua("return l:incoming('k', true)") == (None, "rejected")
    clock.advance(0.001)
    assert run_lua("return l:incoming('k', true)") == (0, 1)


def test_uncommit_takes_one_back(limiter: None, run_lua: Run, clock: Any) -> None:
    run_lua("l:incoming('k', true, 3)")
    assert run_lua("return l:uncommit('k')") == 2
    assert run_lua("return l:incoming('k', true)") == (0, 3)
    clock.advance(10)
    assert run_lua("return l:uncommit('k')") == 3


def test_errors_of_the_dictionary_are_returned(limiter: None, run_lua: Run) -> None:
    run_lua("ngx.shared.counts:set('k', 'text')")
    assert run_lua("return l:incoming('k', true)") == (None, "not a number")
    assert run_lua("return l:uncommit('k')") == (None, "not a number")


def test_bad_arguments(limiter: None, run_lua: Run) -> None:
    count = 'require("resty.limit.count")'
    assert run_lua(f"return {count}.new('absent', 1, 1)") == (None, "shared dict not found")
    assert run_lua(f"return (pcall({count}.new, 'counts', 0, 1))") is False
    assert run_lua(f"return (pcall({count}.new, 'counts', 1, 0))") is False


def test_its_version_tells_that_it_knows_costs(run_lua: Run) -> None:
    assert run_lua('return require("resty.limit.count")._VERSION >= "1.0.0"')
