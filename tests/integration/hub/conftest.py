"""Fixtures of the hub's integration tests: a hub in its greenlet, pairs of sockets, and waiting."""

import gc
import os
import socket
from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent.event import Event

from pygw.hub import Clock, EpollHub

Pair = tuple[socket.socket, socket.socket]


def live_greenlets() -> set[int]:
    return {id(o) for o in gc.get_objects() if isinstance(o, gevent.Greenlet) and not o.dead}


def descriptors() -> set[str]:
    return {fd for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")}


@pytest.fixture
def open_descriptors() -> Callable[[], set[str]]:
    """The numbers of this process's open descriptors."""
    return descriptors


@pytest.fixture(autouse=True)
def _nothing_is_left_behind() -> Iterator[None]:
    """No descriptor and no greenlet outlives a test."""
    watcher = gevent.get_hub().loop.async_()
    watcher.start(lambda: None)  # libev opens a descriptor of its own at the first of these
    watcher.stop()
    watcher.close()
    gevent.sleep(0)
    greenlets, before = live_greenlets(), descriptors()
    yield
    gevent.sleep(0)
    assert live_greenlets() <= greenlets
    assert descriptors() <= before


@pytest.fixture
def hub() -> Iterator[EpollHub]:
    hub = EpollHub(Clock())
    hub.start()
    yield hub
    hub.stop()


@pytest.fixture
def pair() -> Iterator[Callable[[], Pair]]:
    """Make connected pairs of non-blocking sockets."""
    made: list[socket.socket] = []

    def make() -> Pair:
        both = socket.socketpair()
        for end in both:
            end.setblocking(False)
        made.extend(both)
        return both

    yield make
    for end in made:
        end.close()


@pytest.fixture
def until() -> Callable[[Event], None]:
    """Wait for an event; not seeing it in time is a failure."""

    def wait(event: Event) -> None:
        assert event.wait(10), "what the test waits for did not happen"

    return wait
