"""Descriptors on a running hub: real sockets."""

import os
import select
import socket
import subprocess
import sys
from collections.abc import Callable

import pytest
from gevent.event import Event

from pygw.hub import Clock, EpollHub

Pair = Callable[[], tuple[socket.socket, socket.socket]]
Until = Callable[[Event], None]


class Recorder:
    """A dispatch that notes what it is given, and tells when `count` of it were seen."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []
        self.wanted = 0
        self.enough = Event()

    def __call__(self, fd: int, events: int) -> None:
        self.seen.append((fd, events))
        if len(self.seen) >= self.wanted:
            self.enough.set()

    def expect(self, count: int) -> Event:
        self.wanted = len(self.seen) + count
        self.enough.clear()
        return self.enough


@pytest.fixture
def seen(hub: EpollHub) -> Recorder:
    recorder = Recorder()
    hub.dispatch = recorder
    return recorder


def test_a_new_descriptor_is_reported_writable(
    hub: EpollHub, pair: Pair, seen: Recorder, until: Until
) -> None:
    a, _ = pair()
    ready = seen.expect(1)
    hub.add_io(a.fileno())
    until(ready)
    assert seen.seen == [(a.fileno(), select.EPOLLOUT)]


def test_data_is_reported_once_when_it_comes_not_as_long_as_it_is_there(
    hub: EpollHub, pair: Pair, seen: Recorder, until: Until
) -> None:
    a, b = pair()
    hub.add_io(a.fileno())
    hub.settle()
    ready = seen.expect(1)
    b.send(b"x")
    until(ready)
    assert seen.seen[-1] == (a.fileno(), select.EPOLLIN | select.EPOLLOUT)
    count = len(seen.seen)
    hub.settle()
    assert len(seen.seen) == count, "reported again although nothing new came"
    ready = seen.expect(1)
    b.send(b"y")
    until(ready)


def test_the_end_of_the_peer_is_reported(
    hub: EpollHub, pair: Pair, seen: Recorder, until: Until
) -> None:
    a, b = pair()
    hub.add_io(a.fileno())
    hub.settle()
    ready = seen.expect(1)
    b.shutdown(socket.SHUT_WR)
    until(ready)
    assert seen.seen[-1][1] & select.EPOLLRDHUP


def test_a_removed_descriptor_is_silent(hub: EpollHub, pair: Pair, seen: Recorder) -> None:
    a, b = pair()
    hub.add_io(a.fileno())
    hub.settle()
    seen.seen.clear()
    hub.remove_io(a.fileno())
    b.send(b"x")
    hub.settle()
    assert seen.seen == []


def test_adding_twice_is_an_error(hub: EpollHub, pair: Pair, seen: Recorder) -> None:
    a, _ = pair()
    hub.add_io(a.fileno())
    with pytest.raises(FileExistsError):
        hub.add_io(a.fileno())


def test_removing_what_is_not_watched_or_closed_already_is_no_error(
    hub: EpollHub, pair: Pair
) -> None:
    a, _ = pair()
    hub.remove_io(a.fileno())
    closed = os.dup(a.fileno())
    os.close(closed)
    hub.remove_io(closed)


@pytest.mark.parametrize("told", [True, False], ids=["removed", "only closed"])
def test_a_descriptor_reopened_under_the_same_number_does_not_get_its_forerunners_events(
    pair: Pair, told: bool
) -> None:
    hub = EpollHub(Clock())
    first, second = pair(), pair()
    for ours, theirs in (first, second):
        hub.add_io(ours.fileno())
        theirs.send(b"x")
    fresh, _ = pair()
    events: dict[int, list[int]] = {}

    def replace_the_other(fd: int, bits: int) -> None:
        events.setdefault(fd, []).append(bits)
        if len(events) == 1 and len(events[fd]) == 1:
            other = (second if fd == first[0].fileno() else first)[0].fileno()
            if told:
                hub.remove_io(other)
            os.dup2(fresh.fileno(), other)  # closes it, and opens something quiet in its place
            hub.add_io(other)

    hub.dispatch = replace_the_other
    hub.settle()
    hub.stop()
    reported = [bits for fd in events for bits in events[fd]]
    assert reported == [select.EPOLLIN | select.EPOLLOUT, select.EPOLLOUT]


def test_an_exception_in_dispatch_is_logged_and_the_rest_of_the_batch_is_served(
    hub: EpollHub, pair: Pair, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    a, b = pair()
    served: set[int] = set()
    both = Event()

    def dispatch(fd: int, events: int) -> None:
        served.add(fd)
        if len(served) == 2:
            both.set()
        raise ValueError(f"bad handler of {fd}")

    hub.dispatch = dispatch
    hub.add_io(a.fileno())
    hub.add_io(b.fileno())
    until(both)
    hub.settle()
    text = caplog.text
    assert f"the events 0x4 of descriptor {a.fileno()}" in text
    assert f"bad handler of {b.fileno()}" in text
    assert "Traceback" in text


def test_events_without_a_dispatch_are_an_error_in_the_log(
    hub: EpollHub, pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    a, _ = pair()
    hub.add_io(a.fileno())
    hub.settle()
    assert "EpollHub.dispatch was not set" in caplog.text


def test_more_descriptors_than_fit_a_batch_are_all_served(pair: Pair) -> None:
    hub = EpollHub(Clock(), batch=2)
    fds = {pair()[0].fileno() for _ in range(9)}
    seen = Recorder()
    hub.dispatch = seen
    for fd in fds:
        hub.add_io(fd)
    hub.settle()
    hub.stop()
    assert {fd for fd, _ in seen.seen} == fds


def test_it_works_in_a_monkey_patched_process() -> None:
    program = """
from gevent import monkey; monkey.patch_all()
import os
from pygw.hub import Clock, EpollHub
hub = EpollHub(Clock())
r, w = os.pipe2(os.O_NONBLOCK)
hub.dispatch = lambda fd, events: (print("dispatched"), hub.stop())
hub.add_io(r)
hub.start()
hub.post(lambda: os.write(w, b"x"))
hub.greenlet.join(10)
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert (run.stdout, run.stderr) == ("dispatched\n", "")
