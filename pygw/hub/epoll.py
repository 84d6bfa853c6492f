"""Owns the loop: one epoll descriptor, posted events, timers, hosted in one gevent greenlet.

The epoll descriptor is watched by gevent's loop; when it turns readable, the greenlet drains it in
a few bounded rounds and goes back, so that other greenlets get their turn. Must never block in a
callback (the guard sees to it), never know what a descriptor is for, and never die of what a
callback raises.

One round, in nginx's order: descriptors, timers that fell due, posted events. What is posted during
a round runs in the next one.
"""

import logging
import select
from collections import deque
from collections.abc import Callable
from errno import EBADF, ENOENT
from functools import partial
from typing import Any

import gevent
from gevent.hub import Hub
from gevent.monkey import get_original

from pygw.hub.clock import Clock
from pygw.hub.guard import install
from pygw.hub.timers import Callback, TimerNode, TimerQueue

log = logging.getLogger(__name__)

_READ = 1  # gevent's number for "readable"
_EDGES = 0x001 | 0x004 | 0x2000 | (1 << 31)  # EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET
_NEVER = float("inf")
# Monkey-patching removes epoll from the module, hence the quotes too.
_new_epoll: "Callable[[], select.epoll]" = get_original("select", "epoll")


def _no_dispatch(fd: int, events: int) -> None:
    raise RuntimeError(f"descriptor {fd} has events {events:#x}, but EpollHub.dispatch was not set")


class EpollHub:
    """The hub of one worker; not thread-safe but for `post_threadsafe`.

    clock: whose time it keeps. dispatch: set by the owner, called once per epoll event with
    (fd, EPOLL* bits). reorder: puts the events of a round in another order, in place, as
    the kernel might have; for tests. greenlet: the host, once started; join it to wait for the end.
    rounds: at most so many before other greenlets get their turn. batch: at most so many
    descriptors, and timers, in a round. turn_seconds: a turn ends after the round that exceeds it.
    """

    def __init__(
        self, clock: Clock, *, rounds: int = 8, batch: int = 256, turn_seconds: float = 0.005
    ) -> None:
        self.clock = clock
        self.dispatch: Callable[[int, int], object] = _no_dispatch
        self.reorder: Callable[[list[tuple[int, int]]], None] | None = None
        self._rounds = rounds
        self._batch = batch
        self._turn_seconds = turn_seconds
        self._epoll = _new_epoll()
        self._timers = TimerQueue()
        self._posted: deque[Callback] = deque()
        self._changed: set[int] = set()  # descriptors whose events in the current batch are stale
        self._gevent_hub: Any = install()
        self.greenlet: Any = None
        self._watchers: list[Any] = []
        self._async: Any = None
        self._alarm: Any = None  # gevent timer, armed lazily: it may ring early, never late
        self._alarm_at = _NEVER
        self._waiting = False  # the greenlet waits for the loop and may be switched to
        self._wake_due = True  # it will be woken anyway, or is not waiting
        self._stopping = self._in_turn = False
        clock.attach(self)

    # -- what the worker and the clock use -------------------------------------------------------

    def add_io(self, fd: int) -> None:
        """Watch a non-blocking descriptor for its whole life: edge-triggered, in both directions.

        Raises FileExistsError when it is watched already, OSError when it cannot be.
        """
        self._epoll.register(fd, _EDGES)
        self._changed.add(fd)

    def remove_io(self, fd: int) -> None:
        """Stop watching; to be called before it is closed. One that is not watched is no error."""
        self._changed.add(fd)
        try:
            self._epoll.unregister(fd)
        except OSError as e:
            if e.errno not in (ENOENT, EBADF):
                raise

    def call_at(self, deadline: float, callback: Callback) -> TimerNode:
        """Run `callback()` once the monotonic clock has reached `deadline` (seconds)."""
        node = self._timers.call_at(deadline, callback)
        if not self._wake_due and deadline < self._alarm_at:
            self._set_alarm()
        return node

    def cancel(self, node: TimerNode) -> bool:
        """Disarm a timer of `call_at`. Returns False if it had fired or been cancelled already."""
        return self._timers.cancel(node)

    def post(self, callback: Callback) -> None:
        """Run `callback()` in the next round, in order of posting; from any greenlet."""
        self._posted.append(callback)
        if not self._wake_due:
            self._wake_due = True
            self._gevent_hub.loop.run_callback(self._wake)

    def post_threadsafe(self, callback: Callback) -> None:
        """As `post`, from any thread."""
        self._posted.append(callback)
        waker = self._async
        if waker is not None:
            waker.send()

    def start(self) -> None:
        """Spawn the greenlet that hosts the hub."""
        if self.greenlet is not None or self._stopping:
            raise RuntimeError("the hub was started already")
        self.greenlet = gevent.spawn(self._host)

    def stop(self) -> None:
        """End the greenlet after the round it is in, and release everything. Descriptors stay open.

        Waits for the end, unless called from a callback of the hub or of gevent's loop.
        """
        if self._stopping:
            return
        self._stopping = True
        greenlet = self.greenlet
        if greenlet is not None:
            self.post(_nothing)
            if gevent.getcurrent() not in (greenlet, self._gevent_hub):
                greenlet.join()
        elif not self._in_turn:
            self._release()

    def next_deadline(self) -> float | None:
        """Return the earliest deadline, or None."""
        return self._timers.next_deadline()

    def settle(self) -> None:
        """Return when nothing is left to do now, here and in other greenlets (not: other threads).

        A hub that was not started runs what is due in the caller's greenlet.
        """
        if self.greenlet is None:
            while not self._stopping and self._turn():
                pass
            if self._stopping:
                self._release()
            return
        while not self._stopping:
            self.post(_nothing)
            gevent.idle()
            if not self._busy():
                return

    # -- the loop ---------------------------------------------------------------------------------

    def _host(self) -> None:
        hub = self._gevent_hub
        wait = partial(Hub.switch, hub)  # the hub's own wait is no switch below Lua: not guarded
        self._watch(hub.loop)
        try:
            while True:
                self._turn()
                if self._stopping:
                    return
                self._wake_due = False
                self._set_alarm()
                self._waiting = True
                wait()
        finally:
            self._waiting = False
            self._release()

    def _watch(self, loop: Any) -> None:
        self._async = loop.async_()
        self._watchers = [loop.io(self._epoll.fileno(), _READ), self._async]
        for watcher in self._watchers:
            watcher.start(self._wake)

    def _wake(self) -> None:
        """Switch to the greenlet, if it is the loop that it waits for. Runs in gevent's loop."""
        if self._waiting:
            self._waiting = False
            self._wake_due = True
            self.greenlet.switch()

    def _turn(self) -> bool:
        """A few rounds. Returns whether anything was done."""
        clock, poll, batch, posted = self.clock, self._epoll.poll, self._batch, self._posted
        tree = self._timers.tree
        hub = self._gevent_hub
        before, hub.switch_forbidden = hub.switch_forbidden, True
        self._in_turn, done = True, False
        try:
            clock.update()
            end = clock.monotonic + self._turn_seconds
            for _ in range(self._rounds):
                events = poll(0, batch)
                if events:
                    self._serve(events)
                elif not posted and tree.first.key > clock.monotonic:
                    break
                done = True
                if tree.first.key <= clock.monotonic:
                    self._expire(clock.monotonic)
                for _ in range(len(posted)):
                    self._call(posted.popleft())
                clock.update()
                if clock.monotonic >= end or self._stopping:
                    break
        finally:
            hub.switch_forbidden = before
            self._in_turn = False
        return done

    def _serve(self, events: list[tuple[int, int]]) -> None:
        dispatch, changed = self.dispatch, self._changed
        changed.clear()
        if self.reorder is not None:
            self.reorder(events)
        for fd, bits in events:
            if changed and fd in changed:
                continue  # closed, or closed and opened anew, since the kernel reported this
            try:
                dispatch(fd, bits)
            except Exception:
                self._failed(f"the events {bits:#x} of descriptor {fd}")

    def _expire(self, now: float) -> None:
        pop_due = self._timers.pop_due
        for _ in range(self._batch):
            node = pop_due(now)
            if node is None:
                return
            self._call(node.callback)

    def _call(self, callback: Callback) -> None:
        try:
            callback()
        except Exception:
            self._failed(f"the callback {callback!r}")

    def _failed(self, what: str) -> None:
        hub = self._gevent_hub
        before = hub.switch_forbidden
        hub.switch_forbidden = False  # no Lua frame is left here, and a log handler may wait
        try:
            log.exception("an error in %s; the hub goes on", what)
        finally:
            hub.switch_forbidden = before

    def _busy(self) -> bool:
        return bool(self._posted) or self._timers.tree.first.key <= self.clock.monotonic

    def _set_alarm(self) -> None:
        """Make sure to be woken at the earliest deadline; at once if work is left."""
        deadline = -_NEVER if self._busy() else self._timers.tree.first.key
        if deadline >= self._alarm_at:
            return
        seconds = self.clock.seconds_until(deadline) if deadline > -_NEVER else 0.0
        if seconds is None:
            return
        self._clear_alarm()
        # A timer even for 0 s: a callback would run before gevent polls its own descriptors again.
        self._alarm = self._gevent_hub.loop.timer(seconds)
        self._alarm.start(self._ring)
        self._alarm_at = deadline

    def _ring(self) -> None:
        self._clear_alarm()
        self._wake()

    def _clear_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.stop()
            self._alarm.close()
            self._alarm = None
            self._alarm_at = _NEVER

    def _release(self) -> None:
        self._stopping = self._wake_due = True
        self._async = None  # first: threads post at any time
        self.dispatch = _no_dispatch
        self._clear_alarm()
        for watcher in self._watchers:
            watcher.stop()
            watcher.close()
        self._watchers.clear()
        self._posted.clear()
        while self._timers.pop_due(_NEVER):
            pass
        self._epoll.close()
        self.clock.detach(self)


def _nothing() -> None:
    """Posted to wake the hub."""
