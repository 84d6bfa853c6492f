"""resty.lock: waiting by virtual time, expiry, and locks that are forgotten."""

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def locks(lua: Any, clock: Any) -> list[float]:
    """Dictionary `locks`, function `new`, ngx.sleep by virtual time. Gives what was slept."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.advance(seconds)

    lua.globals().ngx.sleep = sleep
    lua.execute("""
        require("ngx.shdict").declare("locks", 65536)
        function new(opts) return require("resty.lock"):new("locks", opts) end
        a, b = new(), new()
    """)
    return slept


def test_a_free_key_is_locked_at_once(locks: list[float], run_lua: Run) -> None:
    assert run_lua("return a:lock('k')") == 0
    assert run_lua("return ngx.shared.locks:get('k')") is True
    assert run_lua("return b:lock('other')") == 0
    assert locks == []


def test_unlock_frees_the_key(locks: list[float], run_lua: Run) -> None:
    run_lua("a:lock('k')")
    assert run_lua("return a:unlock()") == 1
    assert run_lua("return b:lock('k')") == 0
    assert run_lua("return a:unlock()") == (None, "unlocked")


def test_an_object_holds_one_key(locks: list[float], run_lua: Run) -> None:
    run_lua("a:lock('k')")
    assert run_lua("return a:lock('l')") == (None, "locked")


def test_waiting_ends_with_timeout(locks: list[float], run_lua: Run) -> None:
    run_lua("a:lock('k')")
    assert run_lua("return b:lock('k')") == (None, "timeout")
    assert sum(locks) == pytest.approx(5)
    assert locks[:4] == pytest.approx([0.001, 0.002, 0.004, 0.008])
    assert max(locks) == 0.5


def test_the_steps_are_options(locks: list[float], run_lua: Run) -> None:
    run_lua("a:lock('k')")
    run_lua("new({timeout = 1, step = 0.1, ratio = 3, max_step = 0.4}):lock('k')")
    assert locks == pytest.approx([0.1, 0.3, 0.4, 0.2])


def test_no_timeout_tries_once(locks: list[float], run_lua: Run) -> None:
    run_lua("a:lock('k')")
    assert run_lua("return new({timeout = 0}):lock('k')") == (None, "timeout")
    assert locks == []


def test_a_key_that_becomes_free_is_taken(locks: list[float], run_lua: Run) -> None:
    run_lua("new({exptime = 0.01}):lock('k')")
    waited = run_lua("return b:lock('k')")
    assert waited == pytest.approx(0.015)
    assert sum(locks) == pytest.approx(waited)


def test_timeout_is_at_most_exptime(locks: list[float], run_lua: Run) -> None:
    run_lua("a:lock('k')")
    run_lua("new({timeout = 10, exptime = 0.2}):lock('k')")
    assert sum(locks) == pytest.approx(0.2)


def test_expire_prolongs_a_lock(locks: list[float], run_lua: Run, clock: Any) -> None:
    assert run_lua("return a:expire(1)") == (None, "unlocked")
    run_lua("c = new({exptime = 1}) c:lock('k')")
    assert run_lua("return c:expire(60)") is True
    assert run_lua("return ngx.shared.locks:ttl('k')") == 60
    assert run_lua("return c:expire()") is True
    assert run_lua("return ngx.shared.locks:ttl('k')") == 1
    clock.advance(1)
    assert run_lua("return c:expire(1)") == (None, "not found")


def test_bad_arguments(locks: list[float], run_lua: Run) -> None:
    assert run_lua("return a:lock(nil)") == (None, "nil key")
    assert run_lua("return a:lock('')") == (None, "empty key")
    assert run_lua("return a:lock('k')") == 0  # the failures held nothing
    assert run_lua("return require('resty.lock'):new('absent')") == (None, "dictionary not found")


def test_a_forgotten_lock_is_given_back(locks: list[float], run_lua: Run) -> None:
    run_lua("new():lock('k')")
    run_lua("collectgarbage() collectgarbage()")
    assert run_lua("return b:lock('k')") == 0
    assert locks == []


def test_an_unlocked_object_gives_nothing_back(locks: list[float], run_lua: Run) -> None:
    run_lua("local c = new() c:lock('k') c:unlock() a:lock('k')")
    run_lua("collectgarbage() collectgarbage()")
    assert run_lua("return ngx.shared.locks:get('k')") is True
