"""A running hub on a virtual clock: what a test sees that advances the time in another greenlet."""

import socket
from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent.event import Event

from pygw.hub import BlockedInLuaError, EpollHub, NgxTimers, VirtualClock

Pair = Callable[[], tuple[socket.socket, socket.socket]]


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(monotonic=0.0)


@pytest.fixture
def hub(clock: VirtualClock) -> Iterator[EpollHub]:
    hub = EpollHub(clock)
    hub.start()
    yield hub
    hub.stop()


def test_all_that_falls_due_has_run_each_at_its_time_when_advance_returns(
    hub: EpollHub, clock: VirtualClock
) -> None:
    at: list[float] = []
    for delay in (59.0, 1.0, 30.5):
        hub.call_at(delay, lambda: at.append(clock.monotonic))
    clock.advance(60)
    assert at == [1.0, 30.5, 59.0]


def test_work_that_passes_through_other_greenlets_is_over_before_the_time_goes_on(
    hub: EpollHub, clock: VirtualClock
) -> None:
    steps: list[tuple[str, float]] = []

    def waits_in_gevent() -> None:
        for _ in range(3):
            gevent.sleep(0)
        hub.post(lambda: steps.append(("answered", clock.monotonic)))

    hub.call_at(10.0, lambda: gevent.spawn(waits_in_gevent))
    hub.call_at(11.0, lambda: steps.append(("next", clock.monotonic)))
    clock.advance(20)
    assert steps == [("answered", 10.0), ("next", 11.0)]


def test_data_sent_at_a_deadline_is_served_before_the_time_goes_on(
    hub: EpollHub, clock: VirtualClock, pair: Pair
) -> None:
    a, b = pair()
    steps: list[tuple[str, float]] = []

    def dispatch(fd: int, events: int) -> None:
        if events & 1:
            steps.append((a.recv(10).decode(), clock.monotonic))

    hub.dispatch = dispatch
    hub.add_io(a.fileno())
    hub.call_at(1.0, lambda: b.send(b"one"))
    hub.call_at(2.0, lambda: b.send(b"two"))
    clock.advance(5)
    assert steps == [("one", 1.0), ("two", 2.0)]


def test_no_time_passes_unless_advanced(hub: EpollHub, clock: VirtualClock) -> None:
    woken = Event()
    hub.call_at(0.001, woken.set)
    assert not woken.wait(0.01)
    clock.advance(0.001)
    assert woken.is_set()


def test_repeating_timers_run_as_often_as_in_real_time(hub: EpollHub, clock: VirtualClock) -> None:
    runs: list[float] = []

    def job(premature: bool, done: Callable[[], None]) -> None:
        runs.append(clock.monotonic)
        done()

    NgxTimers(hub).every(60, job)
    clock.advance(3600)
    assert runs == [60.0 * n for n in range(1, 61)]


def test_a_callback_cannot_advance_the_time_and_it_does_not_move(
    hub: EpollHub, clock: VirtualClock
) -> None:
    caught: list[BlockedInLuaError] = []

    def callback() -> None:
        try:
            clock.advance(60)
        except BlockedInLuaError as e:
            caught.append(e)

    hub.post(callback)
    hub.settle()
    assert len(caught) == 1
    assert clock.monotonic == 0
