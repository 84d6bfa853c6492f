"""ngx.timer.at/every: limits, repetition, shutdown."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from pygw.hub import EpollHub, NgxTimers, VirtualClock

Done = Callable[[], None]


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def hub(clock: VirtualClock) -> Iterator[EpollHub]:
    hub = EpollHub(clock)
    yield hub
    hub.stop()


@pytest.fixture
def timers(hub: EpollHub) -> NgxTimers:
    return NgxTimers(hub)


class Job:
    """A timer callback that notes its runs; it is over at once, or when `finish` is called."""

    def __init__(self, clock: VirtualClock, at_once: bool = True) -> None:
        self.clock = clock
        self.at_once = at_once
        self.start = clock.monotonic
        self.runs: list[tuple[float, bool]] = []
        self.unfinished: list[Done] = []

    def __call__(self, premature: bool, done: Done) -> None:
        self.runs.append((round(self.clock.monotonic - self.start, 6), premature))
        if self.at_once:
            done()
        else:
            self.unfinished.append(done)

    def finish(self) -> None:
        while self.unfinished:
            self.unfinished.pop()()


@pytest.fixture
def job(clock: VirtualClock) -> Job:
    return Job(clock)


class TestAt:
    def test_it_runs_once_after_its_delay(
        self, timers: NgxTimers, clock: VirtualClock, job: Job
    ) -> None:
        assert timers.at(1.5, job) is None
        clock.advance(1.499)
        assert job.runs == []
        clock.advance(60)
        assert job.runs == [(1.5, False)]

    def test_delay_zero_runs_after_the_current_callback_and_takes_no_time(
        self, timers: NgxTimers, hub: EpollHub, clock: VirtualClock, job: Job
    ) -> None:
        order: list[str] = []

        def current() -> None:
            timers.at(0, lambda premature, done: order.append("timer"))
            order.append("current")

        hub.post(current)
        clock.advance(0)
        assert order == ["current", "timer"]

    def test_delay_zero_never_enters_the_tree(
        self, timers: NgxTimers, hub: EpollHub, job: Job
    ) -> None:
        timers.at(0, job)
        assert hub.next_deadline() is None
        hub.settle()
        assert job.runs == [(0, False)]

    @pytest.mark.parametrize("delay", [0.0009, -1, -0.5])
    def test_less_than_a_millisecond_is_no_delay(
        self, timers: NgxTimers, hub: EpollHub, job: Job, delay: float
    ) -> None:
        assert timers.at(delay, job) is None
        hub.settle()
        assert job.runs == [(0, False)]

    def test_the_counts_follow_a_timer_through_its_life(
        self, timers: NgxTimers, clock: VirtualClock
    ) -> None:
        job = Job(clock, at_once=False)
        timers.at(1, job)
        timers.at(0, job)
        assert (timers.pending_count, timers.running_count) == (2, 0)
        clock.advance(0)
        assert (timers.pending_count, timers.running_count) == (1, 1)
        clock.advance(1)
        assert (timers.pending_count, timers.running_count) == (0, 2)
        job.finish()
        assert (timers.pending_count, timers.running_count) == (0, 0)

    def test_done_counts_once(self, timers: NgxTimers, hub: EpollHub, clock: VirtualClock) -> None:
        job = Job(clock, at_once=False)
        timers.at(0, job)
        timers.at(0, job)
        hub.settle()
        done = job.unfinished[0]
        done()
        done()
        assert timers.running_count == 1

    def test_a_callback_that_raises_is_over(
        self, timers: NgxTimers, hub: EpollHub, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken(premature: bool, done: Done) -> None:
            raise ValueError("the timer is broken")

        timers.at(0, broken)
        hub.settle()
        assert timers.running_count == 0
        assert "the timer is broken" in caplog.text


class TestLimits:
    def test_the_limit_of_pending_timers_is_that_of_ngx_lua_by_default(
        self, timers: NgxTimers, job: Job
    ) -> None:
        assert [timers.at(1, job) for _ in range(1024)] == [None] * 1024
        assert timers.at(1, job) == "too many pending timers"
        assert timers.at(0, job) == "too many pending timers"
        assert timers.every(1, job) == "too many pending timers"
        assert timers.pending_count == 1024

    def test_a_timer_that_fired_makes_room(
        self, hub: EpollHub, clock: VirtualClock, job: Job
    ) -> None:
        timers = NgxTimers(hub, max_pending=1)
        timers.at(1, job)
        assert timers.at(1, job) == "too many pending timers"
        clock.advance(1)
        assert timers.at(1, job) is None

    def test_a_timer_too_many_running_is_dropped_and_its_owner_told(
        self, hub: EpollHub, clock: VirtualClock
    ) -> None:
        timers = NgxTimers(hub, max_running=2)
        job = Job(clock, at_once=False)
        dropped: list[int] = []
        for number in range(3):
            timers.at(1, job, partial(dropped.append, number))
        clock.advance(1)
        assert len(job.runs) == 2
        assert dropped == [2]
        assert (timers.pending_count, timers.running_count) == (0, 2)
        job.finish()
        clock.advance(60)
        assert len(job.runs) == 2, "the dropped one must not come back"

    def test_256_may_run_by_default(
        self, timers: NgxTimers, hub: EpollHub, clock: VirtualClock
    ) -> None:
        job = Job(clock, at_once=False)
        for _ in range(257):
            timers.at(0, job)
        hub.settle()
        assert timers.running_count == 256


class TestEvery:
    def test_it_repeats_at_its_interval(
        self, timers: NgxTimers, clock: VirtualClock, job: Job
    ) -> None:
        assert timers.every(0.1, job) is None
        clock.advance(0.35)
        assert job.runs == [(0.1, False), (0.2, False), (0.3, False)]
        assert timers.pending_count == 1

    def test_it_repeats_whether_or_not_the_run_before_is_over(
        self, timers: NgxTimers, clock: VirtualClock
    ) -> None:
        job = Job(clock, at_once=False)
        timers.every(1, job)
        clock.advance(3)
        assert timers.running_count == 3
        assert timers.pending_count == 1

    def test_a_run_dropped_for_the_limit_does_not_end_the_repetition(
        self, hub: EpollHub, clock: VirtualClock
    ) -> None:
        timers = NgxTimers(hub, max_running=1)
        job = Job(clock, at_once=False)
        timers.every(1, job)
        clock.advance(2)
        job.finish()
        clock.advance(1)
        assert [at for at, _ in job.runs] == [1, 3]

    def test_repeating_is_not_subject_to_the_limit_of_pending_timers(
        self, hub: EpollHub, clock: VirtualClock, job: Job
    ) -> None:
        timers = NgxTimers(hub, max_pending=1)
        timers.every(1, job)

        def fill(premature: bool, done: Done) -> None:
            timers.at(9, job)
            done()

        clock.advance(0.5)
        assert timers.at(0.1, fill) == "too many pending timers"
        clock.advance(2)
        assert len(job.runs) == 2

    @pytest.mark.parametrize("delay", [0, 0.0005, -1])
    def test_it_cannot_repeat_without_delay(
        self, timers: NgxTimers, job: Job, delay: float
    ) -> None:
        with pytest.raises(ValueError, match="delay cannot be zero"):
            timers.every(delay, job)


class TestShutdown:
    def test_every_pending_timer_runs_once_at_once_prematurely_in_order_of_deadline(
        self, timers: NgxTimers, hub: EpollHub, clock: VirtualClock
    ) -> None:
        order: list[tuple[str, bool]] = []

        def job(name: str) -> Callable[[bool, Done], None]:
            def run(premature: bool, done: Done) -> None:
                order.append((name, premature))
                done()

            return run

        timers.at(20, job("later"))
        timers.at(10, job("sooner"))
        timers.every(15, job("every"))
        timers.shutdown()
        hub.settle()
        assert order == [("sooner", True), ("every", True), ("later", True)]
        assert (timers.pending_count, timers.running_count) == (0, 0)
        clock.advance(3600)
        assert len(order) == 3

    def test_afterwards_only_zero_delays_are_accepted_and_are_not_premature(
        self, timers: NgxTimers, hub: EpollHub, job: Job
    ) -> None:
        timers.shutdown()
        assert timers.at(0.001, job) == "process exiting"
        assert timers.every(1, job) == "process exiting"
        assert timers.at(0, job) is None
        hub.settle()
        assert job.runs == [(0, False)]

    def test_a_zero_delay_timer_that_waits_is_not_premature(
        self, timers: NgxTimers, hub: EpollHub, job: Job
    ) -> None:
        timers.at(0, job)
        timers.shutdown()
        hub.settle()
        assert job.runs == [(0, False)]

    def test_a_timer_that_ran_before_does_not_run_again(
        self, timers: NgxTimers, hub: EpollHub, clock: VirtualClock, job: Job
    ) -> None:
        timers.at(1, job)
        clock.advance(1)
        timers.shutdown()
        hub.settle()
        assert job.runs == [(1, False)]

    def test_it_happens_once(self, timers: NgxTimers, hub: EpollHub, job: Job) -> None:
        timers.at(1, job)
        timers.shutdown()
        timers.shutdown()
        hub.settle()
        assert job.runs == [(0, True)]
