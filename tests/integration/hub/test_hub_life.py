"""Starting, stopping, and what is left afterwards (the module's fixture checks for leaks)."""

import socket
import threading
from collections.abc import Callable

import gevent
import pytest
from gevent.event import Event

from pygw.hub import Clock, EpollHub, VirtualClock

Pair = Callable[[], tuple[socket.socket, socket.socket]]
Descriptors = Callable[[], set[str]]


def nothing() -> None:
    """A callback."""


def test_stop_ends_the_greenlet_and_closes_what_the_hub_opened(
    open_descriptors: Descriptors,
) -> None:
    before = open_descriptors()
    for _ in range(20):
        hub = EpollHub(Clock())
        hub.start()
        hub.call_at(hub.clock.monotonic + 3600, nothing)
        hub.settle()
        assert open_descriptors() > before
        hub.stop()
        assert open_descriptors() <= before


def test_stop_leaves_the_callers_descriptors_open(pair: Pair) -> None:
    a, b = pair()
    hub = EpollHub(Clock())
    hub.dispatch = lambda fd, events: None
    hub.add_io(a.fileno())
    hub.start()
    hub.settle()
    hub.stop()
    b.send(b"x")
    assert a.recv(1) == b"x"


def test_stop_from_a_callback_ends_the_hub_after_it() -> None:
    hub = EpollHub(Clock())
    after = Event()
    hub.start()
    hub.post(lambda: (hub.stop(), after.set()))
    assert after.wait(10)
    gevent.sleep(0)
    with pytest.raises(ValueError, match="closed"):
        hub.add_io(0)


def test_stop_from_a_callback_ends_a_hub_that_is_driven_by_hand() -> None:
    hub = EpollHub(Clock())
    hub.post(hub.stop)
    hub.post(lambda: hub.post(lambda: pytest.fail("the hub was stopped")))
    hub.settle()
    assert hub.next_deadline() is None


def test_stop_twice_and_without_start_is_harmless() -> None:
    hub = EpollHub(Clock())
    hub.stop()
    hub.stop()
    with pytest.raises(RuntimeError, match="started already"):
        hub.start()


def test_stop_before_the_greenlet_has_run_is_harmless() -> None:
    hub = EpollHub(Clock())
    hub.start()
    hub.stop()


def test_a_hub_starts_once() -> None:
    hub = EpollHub(Clock())
    hub.start()
    with pytest.raises(RuntimeError, match="started already"):
        hub.start()
    hub.stop()


def test_what_still_waits_at_stop_is_dropped() -> None:
    hub = EpollHub(Clock())
    node = hub.call_at(hub.clock.monotonic + 3600, nothing)
    hub.start()
    hub.settle()
    hub.stop()
    assert not node.pending
    assert not hub.cancel(node)
    assert hub.next_deadline() is None


def test_a_post_from_a_thread_after_stop_is_harmless() -> None:
    hub = EpollHub(Clock())
    hub.start()
    hub.settle()
    hub.stop()
    thread = threading.Thread(target=hub.post_threadsafe, args=(nothing,))
    thread.start()
    thread.join()


def test_a_greenlet_that_is_killed_releases_everything(open_descriptors: Descriptors) -> None:
    before = open_descriptors()
    hub = EpollHub(VirtualClock())
    hub.start()
    hub.settle()
    assert open_descriptors() > before
    hub.greenlet.kill()
    assert open_descriptors() <= before
    hub.stop()


def test_two_hubs_share_a_thread() -> None:
    hubs = [EpollHub(Clock()) for _ in range(2)]
    order: list[str] = []
    for hub in hubs:
        hub.start()
    hubs[0].post(lambda: hubs[1].post(lambda: order.append("from the other")))
    for hub in hubs:
        hub.settle()
        hub.stop()
    assert order == ["from the other"]
