"""Floor 1, the hub: time, timers, descriptors, and the loop that serves them.

The map, from the bottom:

- `clock`   what time it is: cached, shared with Lua by address; or virtual, advanced by tests
- `rbtree`  the red-black tree, keyed by absolute expiry
- `timers`  the hub's timer queue on that tree, and ngx.timer.at/every with their limits
- `guard`   no greenlet switch while a callback (and so, perhaps, a Lua frame) is running
- `inline`  functions that may wait, run at once from a callback
- `epoll`   `EpollHub`: the loop itself, hosted in one gevent greenlet

The hub knows nothing of Lua, of requests or of configuration: it calls `dispatch(fd, events)` and
callbacks.
"""

from pygw.hub.clock import Clock, VirtualClock
from pygw.hub.epoll import EpollHub
from pygw.hub.guard import BlockedInLuaError, GuardedHub, install, no_switch
from pygw.hub.inline import Inline, InlineGreenlet
from pygw.hub.timers import NgxTimers, TimerNode, TimerQueue

__all__ = [
    "BlockedInLuaError",
    "Clock",
    "EpollHub",
    "GuardedHub",
    "Inline",
    "InlineGreenlet",
    "NgxTimers",
    "TimerNode",
    "TimerQueue",
    "VirtualClock",
    "install",
    "no_switch",
]
