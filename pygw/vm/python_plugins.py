"""Owns the Python plugins of a worker: the Python half of lua/server/python_plugins.lua.

A phase runs in a greenlet of its own (python_run.py), right after the Lua that asked for it has
yielded; one that does not wait costs no turn of gevent's loop.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from pygw.extensions.schema import Conf, convert, is_typed
from pygw.hub.epoll import EpollHub
from pygw.hub.guard import install, no_switch
from pygw.hub.inline import Inline
from pygw.hub.timers import NgxTimers
from pygw.plugin import Context, Plugin, Response
from pygw.vm.bridge import Bridge
from pygw.vm.python_describe import Broken, Routes, checker_of, describe
from pygw.vm.python_phase import Phase
from pygw.vm.python_request import LuaSide, PythonRequest
from pygw.vm.python_run import Run
from pygw.vm.python_services import WorkerServices

_CONFS = 4096  # configurations kept as dicts


class PythonPlugins:
    """The Python plugins of one worker. `calls` are for the bridge, which `attach` gives.

    broken: those that cannot be used, which are stood in for.
    """

    def __init__(self, plugins: Mapping[str, Plugin], hooks: Plugin | None = None) -> None:
        self._plugins = dict(plugins)
        self._hooks = {hooks.name: hooks} if hooks else {}
        self._broken: list[Broken] = []
        self._routes: dict[str, Routes] = {}
        self.confs: OrderedDict[int, Any] = OrderedDict()
        self.phases: dict[int, Phase] = {}
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
        self.hub, self._post, self.inline = hub, hub.post, Inline(hub.post)
        self.lua = LuaSide(
            ask=entries["python_ask"],
            conf=entries["python_conf"],
            phase=entries["python_phase_of"],
            learn=entries["python_learn"],
            went=entries["python_went"],
            done=entries["python_done"],
            read_body=entries["python_read_body"],
            consult=entries["python_consult"],
            to_lua=bridge.to_lua,
            post=hub.post,
            hub=install(),
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
        self.inline.close()
        self.services.close()

    def let_go(self) -> None:
        """Hold nothing of Lua's any more, after `close`."""
        self.phases.clear()
        del self.lua

    # -- Lua -> Python: nothing here may wait -----------------------------------------------------

    def _describe(self) -> list[dict[str, Any]]:
        return describe(self._plugins.values(), self._broken, routes=self._routes)

    def _on_phase(self, request_id: int, *call: Any) -> None:
        request = self._requests.get(request_id)
        if request is None:
            request = self._requests[request_id] = PythonRequest(request_id, self.lua)
        self._post(Run(self, request, call).start)

    def _on_body(self, request_id: int, body: str | None) -> None:
        self._requests[request_id].take_body(body)

    def _on_answer(self, request_id: int, ok: bool, value: str | None = None) -> None:
        self._requests[request_id].take_answer(ok, value)

    def _on_request_over(self, request_id: int) -> None:
        request = self._requests.pop(request_id, None)
        if request is not None:
            request.end()

    # -- what a run asks for ----------------------------------------------------------------------

    def find_phase(self, number: int) -> Phase:
        """The phase that Lua knows by that number; in a callback of the hub."""
        name, kind = self.lua.phase(number)
        plugin = self._plugins.get(name) or self._hooks[name]
        phase = self.phases[number] = Phase(number, plugin, kind, self.lua.learn)
        return phase

    def handler(self, phase: Phase, number: int) -> Callable[[Context], Response]:
        """What answers for a path that the plugin serves itself."""
        return self._routes[phase.name][phase.kind][number - 1].handler

    def conf(self, conf_id: int, plugin: Plugin) -> Any:
        """The configuration that Lua knows by that number, as the plugin gets it."""
        conf = self.confs.get(conf_id)
        if conf is None:
            with no_switch():
                text = self.lua.conf(conf_id)
            values = json.loads(text.encode("latin-1"))
            if is_typed(plugin.schema):
                conf = convert(plugin.schema, values)
            else:
                conf = Conf(values, partial(self.services.metadata, plugin))
            self.confs[conf_id] = conf
            if len(self.confs) > _CONFS:
                self.confs.popitem(last=False)
        return conf
