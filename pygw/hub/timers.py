"""Owns what waits for a time: the hub's timer queue, and ngx.timer.at/every with their limits.

Must never wait nor read the system clock: the hub says what time it is and asks what is due.
"""

from collections.abc import Callable
from functools import partial
from typing import Protocol, cast

from pygw.hub.clock import Clock
from pygw.hub.rbtree import NIL, UNLINKED, Node, RedBlackTree

Callback = Callable[[], object]
#: Run with (premature, done); it calls `done()` once its work, which may go on after it returned,
#: is over.
NgxCallback = Callable[[bool, Callable[[], None]], object]


class TimerNode(Node):
    """One armed timer: `key` is its monotonic deadline in seconds, `callback` what runs then."""

    __slots__ = ("callback",)

    def __init__(self, deadline: float, callback: Callback) -> None:
        self.key = deadline
        self.callback = callback
        self.parent = UNLINKED

    @property
    def pending(self) -> bool:
        """Whether it is still armed: neither fired nor cancelled."""
        return self.parent is not UNLINKED

    def __repr__(self) -> str:
        state = "pending" if self.pending else "off"
        return f"<TimerNode {self.key:.6f} {state} {self.callback!r}>"


class TimerQueue:
    """Timers in order of deadline; those with the same deadline in order of arming."""

    __slots__ = ("tree",)

    def __init__(self) -> None:
        self.tree = RedBlackTree()

    def __len__(self) -> int:
        return len(self.tree)

    def call_at(self, deadline: float, callback: Callback) -> TimerNode:
        """Arm `callback` for a monotonic `deadline` in seconds. Returns the timer, for `cancel`."""
        if deadline != deadline:
            raise ValueError("a deadline cannot be NaN")
        node = TimerNode(deadline, callback)
        self.tree.insert(node)
        return node

    def cancel(self, node: TimerNode) -> bool:
        """Disarm a timer. Returns False if it had fired or been cancelled already."""
        if node.parent is UNLINKED:
            return False
        self.tree.remove(node)
        return True

    def next_deadline(self) -> float | None:
        """Return the earliest deadline, or None."""
        tree = self.tree
        return tree.first.key if tree else None

    def pop_due(self, now: float) -> TimerNode | None:
        """Disarm and return the earliest timer whose deadline is not after `now`, or None."""
        tree = self.tree
        node = tree.first
        if node.key > now or node is NIL:
            return None
        tree.remove(node)
        return cast(TimerNode, node)


class TimerHub(Protocol):
    """What `NgxTimers` needs of the hub."""

    clock: Clock

    def call_at(self, deadline: float, callback: Callback) -> TimerNode: ...

    def cancel(self, node: TimerNode) -> bool: ...

    def post(self, callback: Callback) -> None: ...


class _NgxTimer:
    """One call of ngx.timer.at/every. interval: seconds, 0 for `at`. node: None while posted."""

    __slots__ = ("callback", "dropped", "interval", "name", "node")

    def __init__(
        self, callback: NgxCallback, interval: float, dropped: Callback, name: object
    ) -> None:
        self.callback = callback
        self.interval = interval
        self.dropped = dropped
        self.name = name
        self.node: TimerNode | None = None


def _nothing() -> None:
    """For a timer whose owner need not know that it was dropped."""


class NgxTimers:
    """ngx.timer.at and ngx.timer.every of one worker.

    max_pending, max_running: as the directives lua_max_pending_timers and lua_max_running_timers;
    they may be changed at any time.
    """

    def __init__(self, hub: TimerHub, max_pending: int = 1024, max_running: int = 256) -> None:
        self._hub = hub
        self.max_pending = max_pending
        self.max_running = max_running
        self._waiting: set[_NgxTimer] = set()
        self._exiting = False
        self.pending_count = 0
        self.running_count = 0

    def at(
        self,
        delay: float,
        callback: NgxCallback,
        dropped: Callback = _nothing,
        name: object = None,
    ) -> str | None:
        """Run `callback` once, `delay` seconds from now; 0: when the current callback is over.

        The delay counts in whole milliseconds. `dropped()` is called in its stead when too many
        timers are running then. Returns None, or the error: "process exiting" (non-zero delay
        after `shutdown`) or "too many pending timers". name: what `end` knows it by.
        Mirrors ngx.timer.at of ngx_lua.
        """
        return self._add(_milliseconds(delay), callback, dropped, name, every=False)

    def every(
        self,
        delay: float,
        callback: NgxCallback,
        dropped: Callback = _nothing,
        name: object = None,
    ) -> str | None:
        """Run `callback` every `delay` seconds until `shutdown`, the run before over or not.

        name: what `end` knows it by. Other arguments and returns as `at`; raises ValueError when
        the delay is under a millisecond.
        Mirrors ngx.timer.every of ngx_lua.
        """
        seconds = _milliseconds(delay)
        if seconds == 0:
            raise ValueError("delay cannot be zero")
        return self._add(seconds, callback, dropped, name, every=True)

    def end(self, name: object) -> None:
        """End the timer of that name: it runs once more, at once, with premature=True."""
        for timer in [timer for timer in self._waiting if timer.name == name]:
            self._expire(timer)

    def shutdown(self) -> None:
        """The worker exits: run every waiting timer once, as soon as may be, with premature=True.

        From now on only zero delays are accepted, and `every` no longer repeats.
        """
        if self._exiting:
            return
        self._exiting = True
        for timer in sorted(self._waiting, key=lambda timer: timer.node.key if timer.node else 0):
            self._expire(timer)

    def _expire(self, timer: _NgxTimer) -> None:
        """Run a waiting timer a last time, as soon as may be."""
        timer.interval = 0.0
        self._waiting.discard(timer)
        if timer.node is not None:
            self._hub.cancel(timer.node)
        self._hub.post(partial(self._fire, timer, True))

    def _add(
        self,
        delay: float,
        callback: NgxCallback,
        dropped: Callback,
        name: object,
        *,
        every: bool,
    ) -> str | None:
        if self._exiting and delay > 0:
            return "process exiting"
        if self.pending_count >= self.max_pending:
            return "too many pending timers"
        self._arm(_NgxTimer(callback, delay if every else 0.0, dropped, name), delay)
        return None

    def _arm(self, timer: _NgxTimer, delay: float) -> None:
        self.pending_count += 1
        if delay == 0:
            self._hub.post(partial(self._fire, timer, False))
            return
        deadline = self._hub.clock.monotonic + delay
        timer.node = self._hub.call_at(deadline, partial(self._fire, timer, False))
        self._waiting.add(timer)

    def _fire(self, timer: _NgxTimer, premature: bool) -> None:
        self.pending_count -= 1
        self._waiting.discard(timer)
        if timer.interval and not self._exiting:
            self._arm(
                timer, timer.interval
            )  # as ngx_lua: before the run, and not subject to the limit
        if self.running_count >= self.max_running:
            timer.dropped()
            return
        self._run(timer.callback, premature)

    def _run(self, callback: NgxCallback, premature: bool) -> None:
        over = False

        def done() -> None:
            nonlocal over
            if not over:
                over = True
                self.running_count -= 1

        self.running_count += 1
        try:
            callback(premature, done)
        except BaseException:
            done()
            raise


def _milliseconds(seconds: float) -> float:
    """Cut to whole milliseconds, as nginx keeps time; what lies in the past is due now."""
    return max(0, int(seconds * 1000)) / 1000
