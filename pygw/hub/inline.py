"""Owns running functions at once, in a greenlet of their own, from callbacks of the hub.

Most functions come back without having waited. They all run in one greenlet, kept for that: making
one costs 15 µs since Python 3.11 (a new Python stack each time), switching to one 0.5 µs. The first
wait of a function that does wait brings control back to whoever ran it; from there on its greenlet
is gevent's, as if it had been spawned, ends with the function, and the next one gets another.

Must never run with a Lua frame on the caller's stack: callbacks of the hub have none.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]

from pygw.hub.guard import GuardedHub, install

T = TypeVar("T")
Post = Callable[[Callable[[], None]], None]


class Inline:
    """Runs functions for one hub, whose `post` it is given, in this thread, until it is closed."""

    def __init__(self, post: Post) -> None:
        self._post, self._hub = post, install()
        self._idle: InlineGreenlet | None = None

    def run(
        self,
        function: Callable[[], T],
        done: Callable[[T], None],
        leaving: Callable[[], None] | None = None,
    ) -> InlineGreenlet | None:
        """Run `function()`, which must not raise, then `done(result)` in a callback of the hub.

        leaving: called before the first wait, which does not take place if it raises. Returns the
        greenlet if it waits now, None if all is done.
        """
        hub = self._hub
        inline = self._idle or InlineGreenlet(hub, self._post)
        self._idle = None
        before, hub.switch_forbidden = hub.switch_forbidden, False
        hub.inline = inline
        inline.parent = getcurrent()
        inline.gr_context = None  # context variables of the function before
        inline.function, inline.done, inline.leaving = function, done, leaving
        try:
            inline.switch()
            waits = hub.inline is not inline
        finally:
            hub.inline = None
            hub.switch_forbidden = before
        if waits:
            return inline
        self._idle = inline
        result, inline.result = inline.result, None
        done(result)
        return None

    def close(self) -> None:
        """End the greenlet that waits for work: a suspended one is never garbage."""
        idle, self._idle = self._idle, None
        if idle is not None:
            idle.parent = getcurrent()
            idle.throw()


class InlineGreenlet(greenlet):  # type: ignore[misc]
    """Runs inside its parent's turn, function after function, until one waits.

    What comes and goes does so by attributes: a greenlet's frames hold what they were called with.
    """

    parent: Any

    def __init__(self, hub: GuardedHub, post: Post) -> None:
        super().__init__(self._work)
        self._hub, self._post = hub, post
        self.function: Callable[[], Any] | None = None
        self.done: Callable[[Any], None] | None = None
        self.leaving: Callable[[], None] | None = None
        self.result: Any = None

    def leave(self) -> Any:
        """Go back to the parent, to wait; returns what gevent's loop wakes this greenlet with."""
        if self.leaving is not None:
            self.leaving()
        self._hub.inline = None
        caller, self.parent = self.parent, self._hub  # it ends into gevent's loop
        return caller.switch()

    def _work(self) -> None:
        hub = self._hub
        while self.function is not None:
            self.result = self.function()
            if hub.inline is not self:  # it has waited: this is no callback of the hub
                assert self.done
                self._post(partial(self.done, self.result))
                return
            self.function = self.done = self.leaving = None
            self.parent.switch()
