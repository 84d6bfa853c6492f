"""Owns running jobs at once, in a greenlet of their own, from callbacks of the hub.

Most jobs come back without having waited. They all run in one greenlet, kept for that: making
one costs 15 µs since Python 3.11 (a new Python stack each time), switching to one 0.5 µs. The first
wait of a job that does wait brings control back to whoever ran it; from there on its greenlet is
gevent's, as if it had been spawned, ends with the job, and the next one gets another.

Must never run with a Lua frame on the caller's stack: callbacks of the hub have none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]

from pygw.hub.guard import GuardedHub, install

Post = Callable[[Callable[[], None]], None]


class Job(Protocol):
    """What is run. All three with no Lua frame on the stack."""

    def execute(self) -> None:
        """In the greenlet; must not raise."""

    def settle(self) -> None:
        """In the greenlet, before the first wait, which does not take place if it raises."""

    def done(self) -> None:
        """After `execute`, in a callback of the hub."""


class Inline:
    """Runs jobs for one hub, whose `post` it is given, in this thread, until it is closed."""

    def __init__(self, post: Post) -> None:
        self._post, self._hub = post, install()
        self._idle: InlineGreenlet | None = None

    def run(self, job: Job) -> InlineGreenlet | None:
        """Run a job. Returns the greenlet if it waits now, None if all is done."""
        hub = self._hub
        inline = self._idle or InlineGreenlet(hub, self._post)
        self._idle = None
        before = hub.switch_forbidden
        hub.switch_forbidden = False
        hub.inline = inline
        inline.parent = getcurrent()
        inline.gr_context = None  # context variables of the job before
        inline.job = job
        try:
            inline.switch()
            waits = hub.inline is not inline
        finally:
            hub.inline = None
            hub.switch_forbidden = before
        if waits:
            return inline
        self._idle = inline
        job.done()
        return None

    def close(self) -> None:
        """End the greenlet that waits for work: a suspended one is never garbage."""
        idle, self._idle = self._idle, None
        if idle is not None:
            idle.parent = getcurrent()
            idle.throw()


class InlineGreenlet(greenlet):  # type: ignore[misc]
    """Runs inside its parent's turn, job after job, until one waits.

    They come by an attribute: a greenlet's frames hold what they were called with.
    """

    parent: Any

    def __init__(self, hub: GuardedHub, post: Post) -> None:
        super().__init__(self._work)
        self._hub, self._post = hub, post
        self.job: Job | None = None

    def leave(self) -> Any:
        """Go back to the parent, to wait; returns what gevent's loop wakes this greenlet with."""
        assert self.job
        self.job.settle()
        self._hub.inline = None
        caller, self.parent = self.parent, self._hub  # it ends into gevent's loop
        return caller.switch()

    def _work(self) -> None:
        hub = self._hub
        while self.job is not None:
            self.job.execute()
            if hub.inline is not self:  # it has waited: this is no callback of the hub
                self._post(self.job.done)
                return
            self.job = None
            self.parent.switch()
