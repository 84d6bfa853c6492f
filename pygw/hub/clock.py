"""Owns what time it is: cached wall and monotonic time, or virtual time that tests advance by hand.

All who ask the time or wait go through a clock, so that a test can advance an hour in a
millisecond. Must never wait by itself and never know what runs at a deadline.
"""

from array import array
from collections.abc import Callable
from time import monotonic as _monotonic
from time import time as _time
from typing import Protocol

#: Seconds; ten times 0.1 is a little more than 1, and must not be missed when 1 s has passed.
_ROUNDING = 1e-9


class Waiter(Protocol):
    """What depends on the time passing: the hub."""

    def next_deadline(self) -> float | None:
        """Earliest monotonic deadline in seconds, or None."""

    def settle(self) -> None:
        """Return when all that is due at the present time has run."""


class Clock:
    """The time as of the last `update()`, as nginx caches it; the hub updates it once a round.

    now: wall time, seconds since the epoch. monotonic: seconds, the base of every deadline.
    cell_address: address of a C `double[2]`, {wall, monotonic}, by which Lua reads the time without
    a crossing.
    """

    __slots__ = ("_cell", "_pin", "cell_address", "monotonic", "now")

    def __init__(self) -> None:
        self._cell = array("d", (0.0, 0.0))
        self._pin = memoryview(self._cell)  # an exported array cannot be resized: its address stays
        self.cell_address: int = self._cell.buffer_info()[0]
        self.now: float = 0.0
        self.monotonic: float = 0.0
        self.update()

    def update(self) -> None:
        """Read the system clocks into the cache (ngx.update_time)."""
        cell = self._cell
        self.now = cell[0] = _time()
        self.monotonic = cell[1] = _monotonic()

    def seconds_until(self, deadline: float) -> float | None:
        """Return the seconds from this moment to a monotonic `deadline`; None: never by itself."""
        return max(0.0, deadline - _monotonic())

    def attach(self, waiter: Waiter) -> None:
        """Tell the clock who waits on it. A real clock advances by itself and need not know."""

    def detach(self, waiter: Waiter) -> None:
        """Undo `attach`."""


class VirtualClock(Clock):
    """A clock that stands still until `advance`; for tests.

    Arguments: the wall time (seconds since the epoch) and the monotonic time (seconds) to start
    from. before_advance: called before the time moves.
    """

    __slots__ = ("_waiters", "_wall_offset", "before_advance")

    def __init__(self, now: float = 1_700_000_000.0, monotonic: float = 1_000.0) -> None:
        self._waiters: list[Waiter] = []
        self.before_advance: Callable[[], None] | None = None
        self._wall_offset = now - monotonic
        super().__init__()
        self._set(monotonic)

    def update(self) -> None:
        """Do nothing: virtual time moves by `advance` only."""

    def seconds_until(self, deadline: float) -> float | None:
        """Return None: no deadline comes by itself."""
        return None

    def attach(self, waiter: Waiter) -> None:
        """Have `advance` stop at each deadline of this waiter and let it settle there."""
        self._waiters.append(waiter)

    def detach(self, waiter: Waiter) -> None:
        """Undo `attach`; unknown waiters are ignored."""
        if waiter in self._waiters:
            self._waiters.remove(waiter)

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass, stepping to each deadline; return when all that fell due has run.

        Call it from any greenlet but the hub's. Raises ValueError for negative seconds.
        """
        if seconds < 0:
            raise ValueError(f"time cannot go back by {-seconds} s")
        if self.before_advance:
            self.before_advance()
        target = self.monotonic + seconds
        self._settle()
        deadline = self._next_deadline()
        while deadline is not None and deadline <= target + _ROUNDING:
            self._set(deadline)
            self._settle()
            deadline = self._next_deadline()
        self._set(max(target, self.monotonic))

    def jump(self) -> bool:
        """Let the time pass until the earliest deadline, as advance(). False: there is none."""
        deadline = self._next_deadline()
        if deadline is None:
            return False
        self.advance(max(0.0, deadline - self.monotonic))
        return True

    def _set(self, monotonic: float) -> None:
        cell = self._cell
        self.now = cell[0] = self._wall_offset + monotonic
        self.monotonic = cell[1] = monotonic

    def _settle(self) -> None:
        for waiter in tuple(self._waiters):
            waiter.settle()

    def _next_deadline(self) -> float | None:
        deadlines = [waiter.next_deadline() for waiter in self._waiters]
        return min((d for d in deadlines if d is not None), default=None)
