"""Owns the running of Python plugins: the Python half of lua/server/python_plugins.lua.

A phase runs in a greenlet of its own, right after the Lua that asked for it has yielded; one that
does not wait costs no turn of gevent's loop.
"""

from __future__ import annotations

import inspect
import json
import traceback
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import gevent

from pygw.hub.epoll import EpollHub
from pygw.hub.guard import no_switch
from pygw.hub.inline import Inline
from pygw.hub.timers import NgxTimers
from pygw.plugin import ANSWERING, Context, Plugin, Response
from pygw.plugin_schema import Conf, convert, is_typed
from pygw.services import place
from pygw.vm import python_stream
from pygw.vm.bridge import Bridge
from pygw.vm.python_describe import Broken, Routes, checker_of, describe
from pygw.vm.python_request import InPhase, LuaSide, PythonRequest
from pygw.vm.python_services import WorkerServices
from pygw.vm.python_stream import BodyStream

_CONFS = 4096  # configurations kept as dicts
_SERVING = ("api", "control_api")
_OURS = (__file__, python_stream.__file__)

# How a phase came out, as python_done of Lua takes it: an event, and what belongs to it.
_Outcome = tuple[Any, ...]
_WENT: _Outcome = (b"went",)


class PhaseTimeout(BaseException):
    """Raised inside a phase that is not done by its deadline, to end it."""


class PythonPlugins:
    """The Python plugins of one worker. `calls` are for the bridge, which `attach` gives.

    broken: those that cannot be used, which are stood in for.
    """

    def __init__(self, plugins: Mapping[str, Plugin], hooks: Plugin | None = None) -> None:
        self._plugins = dict(plugins)
        self._hooks = {hooks.name: hooks} if hooks else {}
        self._broken: list[Broken] = []
        self._routes: dict[str, Routes] = {}
        self._confs: OrderedDict[int, Any] = OrderedDict()
        self._requests: dict[int, PythonRequest] = {}
        self.calls: dict[str, Callable[..., Any]] = {
            "python_plugins": self._describe,
            "python_check": checker_of(self._plugins),
            "python_phase": self._on_phase,
            "python_body": self._on_body,
            "python_answer": self._on_answer,
            "python_request_over": self._on_request_over,
        }

    def attach(self, bridge: Bridge, hub: EpollHub, timers: NgxTimers) -> WorkerServices:
        """Take the bridge to Lua, and the hub; returns what plugins may use of them."""
        entries = bridge.entries
        self._hub, self._post, self._inline = hub, hub.post, Inline(hub.post)
        self._lua = LuaSide(
            ask=entries["python_ask"],
            conf=entries["python_conf"],
            done=entries["python_done"],
            read_body=entries["python_read_body"],
            consult=entries["python_consult"],
            to_lua=bridge.to_lua,
            post=hub.post,
        )
        self.services = WorkerServices(bridge, timers)
        for plugin in self._plugins.values():
            plugin._metadata = partial(self.services.metadata, plugin)  # noqa: SLF001 - its maker
        return self.services

    @property
    def waits(self) -> bool:
        """Whether a phase of some request waits."""
        return any(request.waiting for request in self._requests.values())

    def set_routes(self, name: str, routes: Routes) -> None:
        """The plugin serves these itself."""
        self._routes[name] = routes

    def drop(self, broken: Broken) -> None:
        """A plugin cannot be used: stand in for it."""
        self._plugins.pop(broken.name, None)
        self._broken.append(broken)

    def close(self) -> None:
        """End the phases that still wait; the worker serves no more."""
        while self._requests:
            self._requests.popitem()[1].end()
        self._inline.close()
        self.services.close()

    def let_go(self) -> None:
        """Hold nothing of Lua's any more, after `close`."""
        del self._lua

    # -- Lua -> Python: nothing here may wait -----------------------------------------------------

    def _describe(self) -> list[dict[str, Any]]:
        return describe(self._plugins.values(), self._broken, routes=self._routes)

    def _on_phase(self, request_id: int, run: int, *what: Any) -> None:
        request = self._requests.get(request_id)
        if request is None:
            request = self._requests[request_id] = PythonRequest(request_id, self._lua)
        self._post(partial(self._start, request_id, run, what))

    def _on_body(self, request_id: int, body: str | None) -> None:
        self._requests[request_id].take_body(body)

    def _on_answer(self, request_id: int, ok: bool, value: str | None = None) -> None:
        self._requests[request_id].take_answer(ok, value)

    def _on_request_over(self, request_id: int) -> None:
        request = self._requests.pop(request_id, None)
        if request is not None:
            request.end()

    # -- a run, in a callback of the hub and in its own greenlet ----------------------------------

    def _start(self, request_id: int, run: int, what: tuple[Any, ...]) -> None:
        request = self._requests.get(request_id)
        if request is None:
            return  # over before its phase began
        request.run = run
        done = partial(self._done, request, run)
        request.rearm = None
        waiting = self._inline.run(partial(self._run, request, *what), done)
        if waiting is None:
            return
        request.waiting[run] = waiting
        plugin = self._plugin(what[0])
        if plugin.timeout is not None:
            request.rearm = partial(self._arm, request, run, plugin)
            if not request.reading:
                request.rearm()

    def _arm(self, request: PythonRequest, run: int, plugin: Plugin) -> None:
        before = request.deadlines.pop(run, None)
        if before is not None:
            self._hub.cancel(before)
        assert plugin.timeout
        deadline = self._hub.clock.monotonic + plugin.timeout
        late = partial(self._late, request, run, plugin)
        request.deadlines[run] = self._hub.call_at(deadline, late)

    def _late(self, request: PythonRequest, run: int, plugin: Plugin) -> None:
        del request.deadlines[run]
        if request.reading:
            return  # it is armed again when the body is there
        waiting = request.waiting.pop(run, None)
        if waiting is not None:
            gevent.kill(waiting, PhaseTimeout())
            for stream in request.streams.values():
                stream.end()
            self._lua.done(run, b"late", plugin.timeout, self._lua.to_lua(plugin.on_timeout))

    def _done(self, request: PythonRequest, run: int, outcome: _Outcome) -> None:
        request.waiting.pop(run, None)
        if request.deadlines:
            deadline = request.deadlines.pop(run, None)
            if deadline is not None:
                self._hub.cancel(deadline)
        if outcome is _WENT:
            self._lua.done(run, b"went")
        else:
            self._lua.done(run, *map(self._lua.to_lua, outcome))

    def _run(
        self, request: PythonRequest, name: str, phase: str, what: int, *chunk: Any
    ) -> _Outcome:
        try:
            pygw_culprit = InPhase(self.services, request, name, phase)  # the watchdog finds it
            place.set(pygw_culprit)
            plugin, context = self._plugin(name), request.context(name)
            try:
                if phase in _SERVING:
                    handler = self._routes[name][phase][int(what) - 1].handler
                    return _served(handler(context))
                if chunk:
                    piece = chunk[0].encode("latin-1"), chunk[1]
                    return _filtered(self._filter(request, plugin, what, context, *piece))
                return _judged(phase, getattr(plugin, phase)(self._conf(what, plugin), context))
            except Response as response:
                return _judged(phase, response)
        except BaseException as error:  # gevent.Timeout, SystemExit, …: no plugin ends a worker
            return "failed", _describe_error(error)

    def _plugin(self, name: str) -> Plugin:
        return self._plugins.get(name) or self._hooks[name]

    def _filter(
        self,
        request: PythonRequest,
        plugin: Plugin,
        conf_id: int,
        context: Context,
        chunk: bytes,
        last: bool,
    ) -> Any:
        function, conf = plugin.body_filter, self._conf(conf_id, plugin)  # type: ignore[attr-defined]
        if not inspect.isgeneratorfunction(function):
            return function(conf, context, chunk, last)
        key = plugin.name, conf_id
        stream = request.streams.get(key)
        if stream is None:
            title = f"plugin [{plugin.name}], phase body_filter"
            stream = request.streams[key] = BodyStream(partial(function, conf, context), title)
        return stream.feed(chunk, last)

    def _conf(self, conf_id: int, plugin: Plugin) -> Any:
        conf = self._confs.get(conf_id)
        if conf is None:
            with no_switch():
                text = self._lua.conf(conf_id)
            values = json.loads(text.encode("latin-1"))
            if is_typed(plugin.schema):
                conf = convert(plugin.schema, values)
            else:
                conf = Conf(values, partial(self.services.metadata, plugin))
            self._confs[conf_id] = conf
            if len(self._confs) > _CONFS:
                self._confs.popitem(last=False)
        return conf


def _judged(phase: str, result: Any) -> _Outcome:
    if result is None:
        return _WENT
    if not isinstance(result, Response):
        return "failed", f"it returned {result!r}: return None or a pygw.plugin.Response"
    if phase not in ANSWERING and phase not in _SERVING:
        return "failed", f"a Response can only be given in {', '.join(ANSWERING)}"
    return "answered", result.status, *_encoded(result)


def _served(result: Any) -> _Outcome:
    if isinstance(result, Response):
        return "answered", result.status, *_encoded(result)
    return "failed", f"it returned {result!r}: return a pygw.plugin.Response"


def _filtered(result: Any) -> _Outcome:
    if result is None:
        return _WENT
    if isinstance(result, bytes):
        return "filtered", result
    return "failed", f"it returned {result!r}: return bytes, or None to leave the chunk as it is"


def _encoded(response: Response) -> tuple[str | bytes | None, dict[str, Any] | None]:
    body, headers = response.body, response.headers
    if body is None or isinstance(body, (str, bytes)):
        return body, headers or None
    if not any(name.lower() == "content-type" for name in headers):
        headers = {**headers, "Content-Type": "application/json"}
    return json.dumps(body, ensure_ascii=False) + "\n", headers


def _describe_error(error: BaseException) -> str:
    """The traceback as Python prints it, without the frames of ours that lead to the plugin."""
    inner = error.__traceback__
    while inner is not None and inner.tb_frame.f_code.co_filename in _OURS:
        inner = inner.tb_next
    return "".join(traceback.format_exception(type(error), error, inner)).rstrip()
