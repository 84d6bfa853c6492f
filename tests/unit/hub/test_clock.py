"""The cached clock, and the virtual one driven by a hub that was not started."""

import ctypes
import time
from collections.abc import Iterator

import pytest

from pygw.hub import Clock, EpollHub, VirtualClock


def cell(clock: Clock) -> tuple[float, float]:
    """What Lua sees at the address."""
    wall, monotonic = (ctypes.c_double * 2).from_address(clock.cell_address)
    return wall, monotonic


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(now=1_000_000.0, monotonic=500.0)


@pytest.fixture
def hub(clock: VirtualClock) -> Iterator[EpollHub]:
    hub = EpollHub(clock)
    yield hub
    hub.stop()


class TestClock:
    def test_the_time_stands_between_updates(self) -> None:
        clock = Clock()
        wall, monotonic = clock.now, clock.monotonic
        while time.monotonic() == monotonic or time.time() == wall:
            pass
        assert (clock.now, clock.monotonic) == (wall, monotonic)
        clock.update()
        assert clock.now > wall
        assert clock.monotonic > monotonic

    def test_it_is_the_time_of_the_system(self) -> None:
        before = time.time(), time.monotonic()
        clock = Clock()
        assert before[0] <= clock.now <= time.time()
        assert before[1] <= clock.monotonic <= time.monotonic()

    def test_lua_sees_the_same_time_at_the_cell_address(self) -> None:
        clock = Clock()
        assert cell(clock) == (clock.now, clock.monotonic)
        clock.update()
        assert cell(clock) == (clock.now, clock.monotonic)

    def test_the_time_until_a_deadline_counts_from_this_moment_and_is_never_negative(self) -> None:
        clock = Clock()
        left = clock.seconds_until(time.monotonic() + 100)
        assert left is not None
        assert 99 < left <= 100
        assert clock.seconds_until(clock.monotonic - 1) == 0


class TestVirtualClock:
    def test_it_stands_still_by_itself(self, clock: VirtualClock) -> None:
        clock.update()
        assert (clock.now, clock.monotonic) == cell(clock) == (1_000_000.0, 500.0)
        assert clock.seconds_until(500.0) is None

    def test_advancing_moves_both_times_and_the_cell(self, clock: VirtualClock) -> None:
        clock.advance(3600)
        assert (clock.now, clock.monotonic) == cell(clock) == (1_003_600.0, 4_100.0)

    def test_it_cannot_go_back(self, clock: VirtualClock) -> None:
        with pytest.raises(ValueError, match="back by 1"):
            clock.advance(-1)

    def test_what_falls_due_runs_in_order_each_at_its_own_deadline(
        self, clock: VirtualClock, hub: EpollHub
    ) -> None:
        seen: list[tuple[str, float]] = []
        for name, delay in (("c", 30.0), ("a", 0.5), ("d", 61.0), ("b", 30.0)):
            hub.call_at(500 + delay, lambda name=name: seen.append((name, clock.monotonic)))
        clock.advance(60)
        assert seen == [("a", 500.5), ("c", 530.0), ("b", 530.0)]
        assert clock.monotonic == 560
        clock.advance(1)
        assert seen[-1] == ("d", 561.0)

    def test_timers_armed_on_the_way_run_when_they_fall_due_on_the_way(
        self, clock: VirtualClock, hub: EpollHub
    ) -> None:
        runs: list[float] = []

        def again() -> None:
            runs.append(clock.monotonic)
            hub.call_at(clock.monotonic + 0.1, again)

        hub.call_at(500.1, again)
        clock.advance(1)
        assert len(runs) == 10, "sums of 0.1 must not fall behind the second"
        assert clock.monotonic >= runs[-1], "the time went back"

    def test_what_is_due_already_runs_even_when_no_time_passes(
        self, clock: VirtualClock, hub: EpollHub
    ) -> None:
        seen: list[str] = []
        hub.call_at(400.0, lambda: seen.append("late"))
        hub.post(lambda: seen.append("posted"))
        clock.advance(0)
        assert sorted(seen) == ["late", "posted"]
        assert clock.monotonic == 500

    def test_a_stopped_hub_does_not_hold_the_time_up(
        self, clock: VirtualClock, hub: EpollHub
    ) -> None:
        hub.call_at(501.0, lambda: pytest.fail("the hub was stopped"))
        hub.stop()
        clock.advance(2)
        assert clock.monotonic == 502
