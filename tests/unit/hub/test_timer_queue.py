"""The hub's timer queue."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pygw.hub import TimerQueue


def nothing() -> None:
    """A callback."""


@given(
    st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=60),
    st.integers(0, 9),
)
def test_timers_come_up_in_order_of_deadline_then_of_arming(
    timers: list[tuple[int, bool]], now: int
) -> None:
    queue = TimerQueue()
    armed = [(deadline, queue.call_at(deadline, nothing), keep) for deadline, keep in timers]
    for _, node, keep in armed:
        assert keep or queue.cancel(node)
    kept = sorted((pair for pair in armed if pair[2]), key=lambda pair: pair[0])
    due = [node for deadline, node, _ in kept if deadline <= now]
    assert [queue.pop_due(now) for _ in due] == due
    assert queue.pop_due(now) is None
    assert queue.next_deadline() == next((d for d, _, _ in kept if d > now), None)
    assert len(queue) == len(kept) - len(due)


def test_a_timer_is_cancelled_once() -> None:
    queue = TimerQueue()
    node = queue.call_at(1.0, nothing)
    assert node.pending
    assert queue.cancel(node)
    assert not node.pending
    assert not queue.cancel(node)


def test_a_timer_that_fired_cannot_be_cancelled() -> None:
    queue = TimerQueue()
    node = queue.call_at(1.0, nothing)
    assert queue.pop_due(1.0) is node
    assert not queue.cancel(node)


def test_a_deadline_of_nan_is_refused_because_it_has_no_place_in_any_order() -> None:
    with pytest.raises(ValueError, match="NaN"):
        TimerQueue().call_at(float("nan"), nothing)


def test_an_infinite_deadline_never_falls_due() -> None:
    queue = TimerQueue()
    node = queue.call_at(float("inf"), nothing)
    assert queue.pop_due(1e300) is None
    assert queue.cancel(node)


def test_its_repr_tells_the_deadline_and_the_state() -> None:
    queue = TimerQueue()
    node = queue.call_at(1.5, nothing)
    assert repr(node).startswith("<TimerNode 1.500000 pending <function nothing")
    queue.cancel(node)
    assert repr(node).startswith("<TimerNode 1.500000 off ")
