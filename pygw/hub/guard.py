"""Owns one rule: no greenlet switch while a Lua frame may be on this greenlet's C stack.

Lua keeps its stack beside the C stack; a switch below a Lua call lets another greenlet run on the
same Lua stack, and results get mixed up without any error. This turns every such switch by gevent
into an exception. It must never cost anything per event: the flag is set once for a round of
callbacks, not once for each. A switch that bypasses gevent (`greenlet.switch()` called by hand) is
out of its sight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gevent.hub import Hub, get_hub

if TYPE_CHECKING:
    from pygw.hub.inline import InlineGreenlet


class BlockedInLuaError(RuntimeError):
    """Python code reached from Lua tried to wait; what would have waited has not happened."""

    def __init__(self) -> None:
        super().__init__(
            "this call would switch greenlets while Lua is running, which corrupts the Lua stack: "
            "let the Lua task yield, and wait in an awaited bridge call (bridge.await.<name>)"
        )


class GuardedHub(Hub):  # type: ignore[misc]  # gevent is untyped
    """gevent's hub, refusing to switch while `switch_forbidden` is set.

    The flag is an attribute of the hub, hence one per thread. Whoever sets it saves and restores
    it.
    """

    switch_forbidden: bool = False
    inline: InlineGreenlet | None = None  # what runs inside a callback (see pygw.hub.inline)

    def switch(self) -> Any:
        """Give the loop its turn, as gevent's does. Raises BlockedInLuaError when forbidden."""
        if self.switch_forbidden:
            raise BlockedInLuaError
        inline = self.inline
        if inline is not None:
            return inline.leave()
        return _switch(self)


_switch = Hub.switch


def install() -> GuardedHub:
    """Make this thread's gevent hub a guarded one and return it; again is harmless.

    Raises TypeError when the thread runs a hub class that is neither gevent's own nor ours.
    """
    hub = get_hub()
    if type(hub) is Hub:
        hub.__class__ = GuardedHub
    if not isinstance(hub, GuardedHub):
        raise TypeError(
            f"cannot guard a hub of class {type(hub).__name__}: only gevent.hub.Hub is known"
        )
    return hub


class no_switch:  # lower case: it reads as a statement, like contextlib.suppress
    """Forbid this thread's greenlets to switch within the block; nests.

    For calls into Lua from outside the hub's own callbacks. A class, because it costs a third of
    what a generator does.
    """

    __slots__ = ("_before", "_hub")

    def __enter__(self) -> None:
        self._hub = hub = install()
        self._before = hub.switch_forbidden
        hub.switch_forbidden = True

    def __exit__(self, *exc_info: object) -> None:
        self._hub.switch_forbidden = self._before
