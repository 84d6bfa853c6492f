"""Owns the Python half of the crossing to Lua; the other half is `lua/server/bridge.lua`.

Every call from one language to the other is listed in these two files. Nobody else holds a Lua
object in Python. Must never switch greenlets below a Lua call: what may block is an awaited call,
which runs in a greenlet of its own and whose result is posted to the hub.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import gevent

from pygw.hub.epoll import EpollHub
from pygw.hub.guard import no_switch
from pygw.hub.timers import NgxTimers, TimerNode
from pygw.vm.children import Children

log = logging.getLogger(__name__)

Function = Callable[..., Any]


class Bridge:
    """Connects one Lua runtime to a hub.

    `calls` are answered at once and must not block; `awaits` may block in gevent. Both take what
    Lua passes (numbers, latin-1 str, bool, None) and return a value, or a tuple for several: None,
    bool, int, float, bytes, str (sent as UTF-8), list or dict of these. Exceptions of an awaited
    call arrive in Lua as `nil, message`.
    """

    def __init__(
        self,
        runtime: Any,
        hub: EpollHub,
        timers: NgxTimers,
        calls: Mapping[str, Function],
        awaits: Mapping[str, Function],
    ) -> None:
        self._runtime = runtime
        self._hub = hub
        self._timers = timers
        self._nodes: dict[int, TimerNode] = {}
        self._runs: dict[int, Callable[[], None]] = {}
        self._run_id = 0
        self._awaits = dict(awaits)
        self._running_names: dict[int, str] = {}
        self._children = Children(hub.post, self._child_exited)
        own: dict[str, Function] = {
            "add_io": hub.add_io,
            "remove_io": hub.remove_io,
            "call_at": self._call_at,
            "cancel": self._cancel,
            "post_drain": self._post_drain,
            "update_time": hub.clock.update,
            "timer_at": self._timer_at,
            "timer_every": self._timer_every,
            "timer_end": timers.end,
            "timer_limits": self._timer_limits,
            "timer_done": self._timer_done,
            "timer_pending": lambda: timers.pending_count,
            "timer_running": lambda: timers.running_count,
            "running_name": self._name_running,
            "expect_children": self._children.expect,
            "watch_child": self._children.watch,
        }
        given = {name: self._answering(function) for name, function in calls.items()}
        runtime.execute('require "server.main"')
        attach = runtime.eval('require("server.bridge").attach')
        self.entries, mark = attach(
            runtime.table_from({**given, **own}),
            self._submit,
            runtime.table_from(dict.fromkeys(self._awaits, True)),
            hub.clock.cell_address,
        )
        self._mark: ctypes.c_int32 | None = ctypes.c_int32.from_address(int(mark))
        runtime.execute("python = nil")  # what Lua may ask of Python, it asks through the bridge
        self._timer = self.entries["timer"]
        self._complete = self.entries["complete"]
        self._drain = self.entries["drain"]
        self._stop = self.entries["stop"]  # below a Lua call lupa cannot index a table
        self._ngx_timer = self.entries["ngx_timer"]
        hub.dispatch = self.entries["dispatch"]

    # -- Python -> Lua ----------------------------------------------------------------------------

    def start(self, config: Mapping[str, Any]) -> None:
        """Boot the worker's Lua side; see `start` of lua/server/main.lua."""
        self._hub.post(partial(self.entries["start"], self.to_lua(dict(config))))

    def stop(self, graceful: bool) -> None:
        """Make the Lua side stop; see `stop` of lua/server/main.lua."""
        self._hub.post(partial(self._stop, graceful))

    def close_all(self) -> None:
        """End the sockets and processes that are left, once the hub has stopped."""
        with no_switch():
            self.entries["close_all"]()
            if self.entries["kill_children"]:  # there since Lua code has first asked for one
                self.entries["kill_children"]()
        self._children.close()

    def let_go(self) -> None:
        """Hold nothing of Lua's any more; the VM is closed when nobody else does.

        Lua holds our functions, so this would else be a matter of garbage collection.
        """
        self._mark = None
        self._runtime = self.entries = self._timer = self._complete = None
        self._drain = self._stop = self._ngx_timer = None

    def connections(self) -> tuple[int, int]:
        """Return how many client connections are open, and how many of them are idle."""
        with no_switch():
            total, idle = self.entries["connections"]()
        return int(total), int(idle)

    def running(self) -> str | None:
        """Which plugin, in which phase, runs in Lua. In any thread, until `let_go`."""
        mark = self._mark
        return self._running_names.get(mark.value) if mark is not None else None

    def hand_over(
        self, listener: int, fd: int, client: tuple[str, int], server: tuple[str, int]
    ) -> None:
        """Have the connected, non-blocking `fd` served as if that listener had accepted it.

        client, server: the addresses that its two ends are said to have.
        """
        self._hub.post(partial(self.entries["hand_over"], listener, fd, *client, *server))

    def _child_exited(self, pid: int, status: int) -> None:
        self.entries["child_exited"](pid, status)

    # -- Lua -> Python ----------------------------------------------------------------------------

    def _call_at(self, deadline: float, timer_id: int) -> None:
        self._nodes[timer_id] = self._hub.call_at(deadline, partial(self._fire, timer_id))

    def _fire(self, timer_id: int) -> None:
        del self._nodes[timer_id]
        self._timer(timer_id)

    def _cancel(self, timer_id: int) -> None:
        node = self._nodes.pop(timer_id, None)
        if node is not None:
            self._hub.cancel(node)

    def _post_drain(self) -> None:
        self._hub.post(self._drain)

    def _timer_at(self, delay: float, timer_id: int) -> str | None:
        run = partial(self._run_timer, timer_id, False)
        return self._timers.at(delay, run, partial(self._drop_timer, timer_id, False))

    def _timer_every(self, delay: float, timer_id: int) -> str | None:
        run = partial(self._run_timer, timer_id, True)
        return self._timers.every(delay, run, partial(self._drop_timer, timer_id, True), timer_id)

    def _timer_limits(self, max_pending: int | None, max_running: int | None) -> None:
        timers = self._timers
        timers.max_pending = int(max_pending or timers.max_pending)
        timers.max_running = int(max_running or timers.max_running)

    def _drop_timer(self, timer_id: int, again: bool) -> None:
        self.entries["ngx_timer_dropped"](timer_id, again, self._timers.max_running)

    def _run_timer(
        self, timer_id: int, again: bool, premature: bool, done: Callable[[], None]
    ) -> None:
        self._run_id += 1
        run_id = self._run_id
        self._runs[run_id] = done
        self._ngx_timer(timer_id, run_id, premature, again and not premature)

    def _timer_done(self, run_id: int) -> None:
        self._runs.pop(run_id)()

    def _name_running(self, number: float, name: str) -> None:
        self._running_names[int(number)] = name.encode("latin-1").decode("utf-8", "replace")

    def _answering(self, function: Function) -> Function:
        if getattr(function, "__annotations__", {}).get("return", 0) in ("None", None):
            return function  # nothing to convert

        def answer(*arguments: Any) -> Any:
            result = function(*arguments)
            if isinstance(result, tuple):
                return tuple(self.to_lua(value) for value in result)
            return self.to_lua(result)

        return answer

    def _submit(self, name: str, await_id: int, *arguments: Any) -> None:
        gevent.spawn(self._run_await, self._awaits[name], await_id, arguments)

    def _run_await(self, function: Function, await_id: int, arguments: tuple[Any, ...]) -> None:
        try:
            result = function(*arguments)
        except Exception as error:
            log.debug("an awaited call failed", exc_info=True)
            result = (None, str(error) or type(error).__name__)
        if self._runtime is None:
            return  # nobody waits any more
        values = result if isinstance(result, tuple) else (result,)
        with no_switch():
            converted = [self.to_lua(value) for value in values]
        self._hub.post(partial(self._complete, await_id, *converted))

    def to_lua(self, value: Any) -> Any:
        """Return value as lupa may hand it to Lua: str as UTF-8 bytes, list and dict as tables."""
        if isinstance(value, str):
            return value.encode("utf-8", "surrogateescape")
        if isinstance(value, (list, tuple)):
            return self._runtime.table_from([self.to_lua(each) for each in value])
        if isinstance(value, dict):
            return self._runtime.table_from(
                {self.to_lua(key): self.to_lua(each) for key, each in value.items()}
            )
        return value
