"""Functions run at once from a callback of the hub: who runs where, and what a wait changes."""

from __future__ import annotations

import contextvars
import gc
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from gevent.event import Event
from greenlet import GreenletExit, getcurrent

from pygw.hub import BlockedInLuaError, Clock, EpollHub, Inline, InlineGreenlet, install

PATIENCE = 20.0


class Job:
    """`function()`, then `done` of what it returns."""

    def __init__(self, function: Callable[[], Any], done: Callable[[Any], Any]) -> None:
        self._function, self._done = function, done
        self.settled = 0

    def execute(self) -> None:
        self._result = self._function()

    def settle(self) -> None:
        self.settled += 1

    def done(self) -> None:
        self._done(self._result)


class Bench:
    """A hub with an Inline; `call(function)` runs it from a callback, and waits for that."""

    def __init__(self) -> None:
        self.hub = EpollHub(Clock())
        self.inline = Inline(self.hub.post)
        self.hub.start()
        self.results: list[Any] = []

    def call(self, function: Callable[[], Any]) -> InlineGreenlet | None:
        found: list[InlineGreenlet | None] = []
        self.hub.post(lambda: found.append(self.inline.run(Job(function, self.results.append))))
        self.until(lambda: found)
        return found[0]

    def until(self, true: Callable[[], Any]) -> None:
        with gevent.Timeout(PATIENCE):
            while not true():
                gevent.sleep(0)

    def close(self) -> None:
        self.inline.close()
        self.hub.stop()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def test_one_that_does_not_wait_is_done_at_once(bench: Bench) -> None:
    order: list[str] = []
    bench.hub.post(
        lambda: (
            bench.inline.run(Job(lambda: order.append("function"), lambda _: order.append("done"))),
            order.append("callback"),
        )
    )
    bench.until(lambda: len(order) == 3)
    assert order == ["function", "done", "callback"]


def test_it_runs_in_a_greenlet_of_its_own_which_is_kept_for_the_next(bench: Bench) -> None:
    assert bench.call(getcurrent) is None
    assert bench.call(getcurrent) is None
    first, second = bench.results
    assert first is second
    assert isinstance(first, InlineGreenlet)
    assert first is not bench.hub.greenlet


def test_the_first_wait_brings_control_back_and_the_result_comes_later(bench: Bench) -> None:
    gate = Event()
    waiting = bench.call(lambda: (gate.wait(), "result")[1])
    assert waiting is not None
    assert bench.results == []
    assert bench.call(lambda: "meanwhile") is None
    gate.set()
    bench.until(lambda: len(bench.results) == 2)
    assert bench.results == ["meanwhile", "result"]
    bench.until(lambda: waiting.dead)


def test_one_that_has_waited_may_wait_again(bench: Bench) -> None:
    bench.call(lambda: [gevent.sleep(0) for _ in range(3)])
    bench.until(lambda: bench.results)
    assert bench.results == [[None] * 3]


def test_done_is_always_called_in_a_callback_of_the_hub(bench: Bench) -> None:
    where: list[tuple[Any, bool]] = []

    def done(_: Any) -> None:
        where.append((getcurrent(), install().switch_forbidden))

    for function in (int, lambda: gevent.sleep(0)):
        bench.hub.post(lambda function=function: bench.inline.run(Job(function, done)))
    bench.until(lambda: len(where) == 2)
    assert where == [(bench.hub.greenlet, True)] * 2


def test_callbacks_stay_guarded_after_it(bench: Bench) -> None:
    raised: list[type[BaseException]] = []

    def callback(function: Callable[[], Any]) -> None:
        bench.inline.run(Job(function, lambda _: None))
        try:
            gevent.sleep(0)
        except BlockedInLuaError as error:
            raised.append(type(error))

    for function in (int, lambda: gevent.sleep(0)):
        bench.hub.post(lambda function=function: callback(function))
    bench.until(lambda: len(raised) == 2)


def test_many_that_wait_get_what_they_waited_for(bench: Bench) -> None:
    gates = [Event() for _ in range(30)]
    for i, gate in enumerate(gates):
        bench.call(lambda i=i, gate=gate: (gate.wait(), gevent.sleep(0), i)[2])
    for gate in reversed(gates):
        gate.set()
    bench.until(lambda: len(bench.results) == 30)
    assert bench.results == list(range(29, -1, -1))


def test_a_waiting_one_can_be_killed_without_harm_to_the_next(bench: Bench) -> None:
    ended: list[str] = []

    def function() -> str:
        try:
            Event().wait()
        except GreenletExit:
            ended.append("killed")
        return "result"

    waiting = bench.call(function)
    gevent.kill(waiting)
    bench.until(lambda: bench.results)
    assert ended == ["killed"]
    gevent.kill(waiting)  # too late: it is dead, and no other function runs in it
    assert bench.call(lambda: "next") is None
    gevent.sleep(0)
    assert bench.results == ["result", "next"]


def test_context_variables_are_of_one_run(bench: Bench) -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)

    def function() -> int:
        before = variable.get()
        variable.set(7)
        return before

    bench.call(function)
    bench.call(function)
    assert bench.results == [0, 0]


def test_one_that_raises_in_spite_of_its_contract_spoils_only_its_callback(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.hub.post(lambda: bench.inline.run(Job(lambda: 1 / 0, bench.results.append)))
    bench.until(lambda: "ZeroDivisionError" in caplog.text)
    assert bench.call(lambda: "next") is None
    assert bench.results == ["next"]


def test_nothing_of_a_run_is_held_by_the_greenlet_that_is_kept(bench: Bench) -> None:
    class Big:
        pass

    def alive() -> int:
        gc.collect()
        return sum(isinstance(each, Big) for each in gc.get_objects())

    big = Big()
    bench.hub.post(lambda big=big: bench.inline.run(Job(lambda: big and None, lambda _: None)))
    bench.hub.settle()
    assert alive() == 1
    del big
    assert alive() == 0


def test_closing_ends_the_greenlet_that_is_kept() -> None:
    bench = Bench()
    bench.call(getcurrent)
    [kept] = bench.results
    assert not kept.dead
    bench.close()
    assert kept.dead
    bench.inline.close()  # again is harmless
