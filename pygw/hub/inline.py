"""Owns running a function at once, in a greenlet of its own, from a callback of the hub.

Most functions come back without having waited: then this costs a greenlet, and no turn of gevent's
loop. The first wait of one that does wait brings control back to whoever ran it; from there on the
greenlet is gevent's, as if it had been spawned. Must never run with a Lua frame on the caller's
stack: callbacks of the hub have none.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from greenlet import greenlet  # type: ignore[import-untyped]

from pygw.hub.guard import GuardedHub, install

T = TypeVar("T")


class Inline(greenlet):  # type: ignore[misc]
    """A greenlet that runs in its caller's turn until it first waits (see GuardedHub.switch)."""

    parent: Any

    def leave(self, hub: GuardedHub) -> Any:
        """Go back to the caller; returns what gevent's loop wakes this greenlet with."""
        caller = self.parent
        self.parent = hub  # where it goes when it ends
        return caller.switch()


def run_inline(
    function: Callable[[], T],
    done: Callable[[T], None],
    post: Callable[[Callable[[], None]], None],
) -> Inline | None:
    """Run `function()`, which must not raise, then `done(result)` in a callback of the hub.

    post: of the hub. Returns the greenlet if it waits now, None if all is done.
    """
    hub = install()

    def run() -> T:
        result = function()
        if hub.inline is not inline:  # it has waited: this is no callback of the hub any more
            post(partial(done, result))
        return result

    inline = Inline(run)
    before, hub.switch_forbidden = hub.switch_forbidden, False
    hub.inline = inline
    try:
        result = inline.switch()
    finally:
        hub.inline = None
        hub.switch_forbidden = before
    if not inline.dead:
        return inline
    done(result)
    return None
