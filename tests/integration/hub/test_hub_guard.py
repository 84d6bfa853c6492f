"""The guard: every way to wait that a callback may try, and the damage that it prevents in Lua."""

import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import gevent
import gevent.lock
import gevent.queue
import gevent.socket
import pytest
from gevent.event import AsyncResult, Event
from gevent.hub import Hub

from pygw.hub import BlockedInLuaError, EpollHub, GuardedHub, install, no_switch
from pygw.vm.runtime import create_runtime


def acquire_twice() -> None:
    lock = gevent.lock.BoundedSemaphore(1)
    lock.acquire()
    lock.acquire()


def receive() -> None:
    a, b = gevent.socket.socketpair()
    with a, b:
        a.recv(1)


WAITS: dict[str, Callable[[], Any]] = {
    "sleep": lambda: gevent.sleep(0.001),
    "sleep 0": lambda: gevent.sleep(0),
    "idle": gevent.idle,
    "event": lambda: Event().wait(0.001),
    "result": lambda: AsyncResult().get(timeout=0.001),
    "queue": lambda: gevent.queue.Queue().get(timeout=0.001),
    "semaphore": acquire_twice,
    "join": lambda: gevent.spawn(gevent.sleep, 0).join(),
    "socket": receive,
    "thread pool": lambda: gevent.get_hub().threadpool.apply(int),
}


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS.keys())
def test_whatever_waits_raises_and_nothing_is_broken_by_it(wait: Callable[[], Any]) -> None:
    with no_switch(), pytest.raises(BlockedInLuaError, match="awaited bridge call"):
        wait()
    gevent.sleep(0.001)  # waiting works again, and what was left half done does not disturb it


def test_what_does_not_wait_is_allowed() -> None:
    event = Event()
    queue: gevent.queue.Queue[int] = gevent.queue.Queue()
    with no_switch():
        event.set()
        assert event.wait()
        queue.put(1)
        assert queue.get() == 1
        greenlet = gevent.spawn(int, 7)
    assert greenlet.get(timeout=10) == 7


def test_it_nests() -> None:
    with no_switch():
        with no_switch():
            pass
        with pytest.raises(BlockedInLuaError):
            gevent.sleep(0)
    gevent.sleep(0)


def test_it_is_lifted_when_the_block_raises() -> None:
    with pytest.raises(KeyError), no_switch():
        raise KeyError
    gevent.sleep(0)


def test_it_holds_for_its_own_thread_only() -> None:
    install()
    slept: list[bool] = []

    def job() -> None:
        install()
        gevent.sleep(0.001)
        slept.append(True)
        gevent.get_hub().destroy(destroy_loop=True)

    with no_switch():
        thread = threading.Thread(target=job)
        thread.start()
        thread.join(10)
    assert slept == [True]


def test_installing_it_again_is_harmless_and_a_foreign_hub_is_refused() -> None:
    assert install() is install()
    assert isinstance(gevent.get_hub(), GuardedHub)

    class Foreign(Hub):  # type: ignore[misc]
        pass

    hub = gevent.get_hub()
    hub.__class__ = Foreign
    try:
        with pytest.raises(TypeError, match="class Foreign"):
            install()
    finally:
        hub.__class__ = GuardedHub


def test_callbacks_of_the_hub_run_under_it(
    hub: EpollHub, until: Callable[[Event], None], caplog: pytest.LogCaptureFixture
) -> None:
    done = Event()
    hub.post(lambda: gevent.sleep(0))
    hub.call_at(hub.clock.monotonic, lambda: gevent.sleep(0))
    hub.call_at(hub.clock.monotonic + 0.001, done.set)
    until(done)
    assert caplog.text.count("BlockedInLuaError: this call would switch greenlets") == 2


LUA = "return function(wait, n) local got = wait(n); return n, got end"


def slow(n: int) -> int:
    gevent.sleep(0.001 + 0.001 * n)
    return n


def test_twenty_greenlets_in_one_lua_get_an_exception_instead_of_each_others_values() -> None:
    lua = create_runtime()
    call = lua.execute(LUA)

    def job(n: int) -> Any:
        with no_switch():
            return call(slow, n)

    greenlets = [gevent.spawn(job, n) for n in range(20)]
    gevent.joinall(greenlets, timeout=10)
    assert [type(g.exception) for g in greenlets] == [BlockedInLuaError] * 20
    assert call(lambda n: n, 7) == (7, 7), "Lua is not usable any more"


def test_twenty_callbacks_of_the_hub_in_one_lua_get_it_too(hub: EpollHub) -> None:
    call = create_runtime().execute(LUA)
    results: list[Any] = []

    def job(n: int) -> None:
        try:
            results.append(call(slow, n))
        except BlockedInLuaError as e:
            results.append(type(e))

    for n in range(20):
        hub.post(lambda n=n: job(n))
    hub.settle()
    assert results == [BlockedInLuaError] * 20


def test_without_the_guard_they_do_get_each_others_values() -> None:
    """The reason for the guard. In a process of its own: its Lua stack is ruined."""
    program = f"""
import gevent
from pygw.vm.runtime import create_runtime
def slow(n):
    gevent.sleep(0.001 + 0.001 * n)
    return n
call = create_runtime().execute({LUA!r})
greenlets = [gevent.spawn(call, slow, n) for n in range(20)]
gevent.joinall(greenlets)
print(sum(g.value != (n, n) for n, g in enumerate(greenlets)))
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
    assert run.stdout != b"0\n", "no harm done: is the guard still needed?"
