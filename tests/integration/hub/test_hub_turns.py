"""The order of a round, posting from everywhere, timers in real time, and fairness."""

import socket
import threading
import time
from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent.event import Event

from pygw.hub import Clock, EpollHub, VirtualClock

Pair = Callable[[], tuple[socket.socket, socket.socket]]
Until = Callable[[Event], None]


def test_a_round_serves_descriptors_then_timers_then_posted_events(pair: Pair) -> None:
    hub = EpollHub(Clock())
    order: list[str] = []

    def noting(what: str) -> Callable[[], None]:
        return lambda: order.append(what)

    hub.dispatch = lambda fd, events: order.append("descriptor")
    hub.post(noting("posted"))
    hub.call_at(hub.clock.monotonic, noting("timer"))
    hub.add_io(pair()[0].fileno())
    hub.settle()
    hub.stop()
    assert order == ["descriptor", "timer", "posted"]


def test_what_is_posted_in_a_round_runs_in_the_next_one_behind_its_descriptors(pair: Pair) -> None:
    hub = EpollHub(Clock())
    a, _ = pair()
    order: list[str] = []

    def first() -> None:
        order.append("first")
        hub.add_io(a.fileno())
        hub.post(lambda: order.append("posted by first"))

    hub.dispatch = lambda fd, events: order.append("descriptor")
    hub.post(first)
    hub.post(lambda: order.append("second"))
    hub.settle()
    hub.stop()
    assert order == ["first", "second", "descriptor", "posted by first"]


def test_posts_from_another_greenlet_wake_a_sleeping_hub_and_run_in_order(
    hub: EpollHub, until: Until
) -> None:
    hub.settle()
    order: list[int] = []
    done = Event()
    for n in range(5):
        hub.post(lambda n=n: order.append(n))
    hub.post(done.set)
    until(done)
    assert order == [0, 1, 2, 3, 4]


def test_posts_from_another_thread_wake_a_sleeping_hub(hub: EpollHub, until: Until) -> None:
    hub.settle()
    where: list[int] = []
    done = Event()

    def callback() -> None:
        where.append(threading.get_ident())
        done.set()

    thread = threading.Thread(target=hub.post_threadsafe, args=(callback,))
    thread.start()
    until(done)
    thread.join()
    assert where == [threading.get_ident()]


def test_posts_from_a_thread_before_the_start_are_not_lost(until: Until) -> None:
    hub = EpollHub(Clock())
    done = Event()
    hub.post_threadsafe(done.set)
    hub.start()
    until(done)
    hub.stop()


class TestTimers:
    def test_they_run_when_due_not_before(self, hub: EpollHub, until: Until) -> None:
        at: list[float] = []
        done = Event()
        deadline = time.monotonic() + 0.02

        def ring() -> None:
            at.append(time.monotonic())
            done.set()

        hub.call_at(deadline, ring)
        until(done)
        assert at[0] >= deadline

    def test_an_earlier_one_armed_while_the_hub_sleeps_is_not_late(
        self, hub: EpollHub, until: Until
    ) -> None:
        later = hub.call_at(time.monotonic() + 3600, lambda: pytest.fail("an hour too early"))
        hub.settle()
        done = Event()
        hub.call_at(time.monotonic() + 0.01, done.set)
        until(done)
        assert later.pending

    def test_a_cancelled_one_does_not_run(self, hub: EpollHub, until: Until) -> None:
        done = Event()
        soon = time.monotonic() + 0.005
        node = hub.call_at(soon, lambda: pytest.fail("it was cancelled"))
        hub.call_at(soon + 0.005, done.set)
        assert hub.cancel(node)
        until(done)

    def test_the_hub_sleeps_until_the_deadline(self, until: Until) -> None:
        class CountingClock(Clock):
            updates = 0

            def update(self) -> None:
                CountingClock.updates += 1
                super().update()

        hub = EpollHub(CountingClock())
        hub.start()
        hub.settle()
        before = CountingClock.updates
        done = Event()
        hub.call_at(time.monotonic() + 0.1, done.set)
        until(done)
        hub.stop()
        assert CountingClock.updates - before < 20, "it polled instead of sleeping"


class TestExceptions:
    def test_a_callback_that_raises_is_logged_with_its_traceback_and_the_hub_goes_on(
        self, hub: EpollHub, until: Until, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken() -> None:
            raise ValueError("posted and broken")

        done = Event()
        hub.post(broken)
        hub.call_at(hub.clock.monotonic, broken)
        hub.call_at(hub.clock.monotonic + 0.001, done.set)
        until(done)
        assert caplog.text.count("ValueError: posted and broken") == 2
        assert "in broken" in caplog.text


#: A turn is bounded in rounds and in time. Each must suffice: virtual time never ends a turn.
BOUNDED = {
    "by default": lambda: EpollHub(Clock()),
    "in rounds": lambda: EpollHub(VirtualClock()),
    "in time": lambda: EpollHub(Clock(), rounds=10**9, turn_seconds=0.0005),
}


class TestFairness:
    FLOOD = 20_000

    @pytest.fixture(params=BOUNDED.values(), ids=BOUNDED.keys())
    def hub(self, request: pytest.FixtureRequest) -> Iterator[EpollHub]:
        hub = request.param()
        hub.start()
        yield hub
        hub.stop()

    def test_callbacks_that_post_themselves_leave_others_their_turn(
        self, hub: EpollHub, until: Until
    ) -> None:
        left = self.FLOOD
        over = Event()

        def flood() -> None:
            nonlocal left
            left -= 1
            hub.post(flood) if left else over.set()

        self.check_that_others_run(lambda: hub.post(flood), lambda: left, over, until)

    def test_descriptors_that_are_always_ready_leave_others_their_turn(
        self, hub: EpollHub, pair: Pair, until: Until
    ) -> None:
        left = self.FLOOD
        over = Event()
        a, b = pair()
        peer = {a.fileno(): b, b.fileno(): a}
        own = {a.fileno(): a, b.fileno(): b}

        def bounce(fd: int, events: int) -> None:
            nonlocal left
            left -= 1
            if left > 0:
                peer[fd].send(b"x")
                if events & 1:
                    own[fd].recv(4096)
            else:
                over.set()

        hub.dispatch = bounce

        def flood() -> None:
            hub.add_io(a.fileno())
            hub.add_io(b.fileno())

        self.check_that_others_run(flood, lambda: left, over, until)

    def test_timers_that_are_always_due_leave_others_their_turn(
        self, hub: EpollHub, until: Until
    ) -> None:
        left = self.FLOOD
        over = Event()

        def flood() -> None:
            nonlocal left
            left -= 1
            hub.call_at(hub.clock.monotonic, flood) if left else over.set()

        self.check_that_others_run(lambda: hub.post(flood), lambda: left, over, until)

    def check_that_others_run(
        self, start: Callable[[], None], left: Callable[[], int], over: Event, until: Until
    ) -> None:
        """Greenlets that yield, that wait for a timer, and for a socket, get on during a flood."""
        marks: dict[str, int] = {}

        def yields() -> None:
            for _ in range(10):
                gevent.sleep(0)
            marks["yields"] = left()

        def waits() -> None:
            gevent.sleep(0.0001)
            marks["waits"] = left()

        def reads() -> None:
            from gevent import socket as gsocket

            a, b = gsocket.socketpair()
            with a, b:
                for _ in range(10):
                    b.send(b"x")
                    assert a.recv(1) == b"x"
                    gevent.sleep(0)
            marks["reads"] = left()

        others = [gevent.spawn(job) for job in (yields, waits, reads)]
        start()
        until(over)
        gevent.joinall(others, timeout=10, raise_error=True)
        assert all(mark > 0 for mark in marks.values()), (
            f"starved until the flood was over: {marks}"
        )
        assert len(marks) == 3
