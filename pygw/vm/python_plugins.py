"""Owns the running of Python plugins: the bridge functions behind lua/server/python_plugins.lua.

A phase runs in the greenlet of its awaited call. What it asks of the request, it asks by short
calls into Lua, made while no Lua frame is on its stack.
"""

from __future__ import annotations

import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from gevent.event import AsyncResult

from pygw.hub.guard import no_switch
from pygw.plugin import Context, Plugin, Response

log = logging.getLogger(__name__)

_CONFS = 4096  # configurations kept as dicts


class RequestOverError(Exception):
    """A phase asked something of a request that is over."""


class PythonPlugins:
    """The Python plugins of one worker, as bridge functions (`calls`, `awaits`)."""

    def __init__(self, plugins: Mapping[str, Plugin]) -> None:
        self._plugins = plugins
        self._confs: OrderedDict[int, Any] = OrderedDict()
        self._bodies: dict[int, AsyncResult] = {}
        self._states: dict[int, dict[str, dict[str, Any]]] = {}
        self._entries: Any = None
        self.calls: dict[str, Callable[..., Any]] = {
            "python_plugins": self._describe,
            "python_body": self._on_body,
            "python_request_over": self._on_request_over,
            "python_destroy": self._destroy,
        }
        self.awaits: dict[str, Callable[..., Any]] = {"python_phase": self._run_phase}

    def attach(self, entries: Any) -> None:
        """Take the functions of Lua (`python_ask`, `python_conf`, `python_read_body`)."""
        self._entries = entries

    def _describe(self) -> list[dict[str, Any]]:
        """All plugins, for Lua; called when it loads its plugins, so this is where they begin."""
        described = []
        for plugin in self._plugins.values():
            plugin.init()
            described.append(
                {
                    "name": plugin.name,
                    "version": plugin.version,
                    "priority": plugin.priority,
                    "schema": json.dumps(plugin.schema),
                    "phases": plugin.phases(),
                }
            )
        return described

    def _destroy(self, name: str) -> None:
        self._plugins[name].destroy()

    def _run_phase(
        self, name: str, phase: str, request_id: int, conf_id: int, *arguments: Any
    ) -> tuple[Any, ...]:
        """Run one phase. Returns (ok, …) for Lua: what follows depends on the phase."""
        plugin = self._plugins[name]
        context = self._context(name, request_id)
        function = getattr(plugin, phase)
        try:
            if phase == "body_filter":
                chunk, last = arguments
                return True, function(self._conf(conf_id), context, chunk.encode("latin-1"), last)
            result = function(self._conf(conf_id), context)
        except Response as response:
            result = response
        except Exception:
            log.exception("plugin [%s] failed in phase %s", name, phase)
            return (False,)
        if result is None or phase in ("header_filter", "log"):
            return (True,)
        if not isinstance(result, Response):
            log.error(
                "plugin [%s] returned %r from phase %s: return None or a pygw.plugin.Response",
                name,
                result,
                phase,
            )
            return (False,)
        return True, result.status, *_encode(result)

    def _context(self, name: str, request_id: int) -> Context:
        def ask(operation: str, *arguments: Any) -> Any:
            with no_switch():
                return self._entries["python_ask"](
                    request_id, operation, *(_to_lua(argument) for argument in arguments)
                )

        states = self._states.setdefault(request_id, {})
        return Context(ask, lambda: self._read_body(request_id), states.setdefault(name, {}))

    def _conf(self, conf_id: int) -> Any:
        conf = self._confs.get(conf_id)
        if conf is None:
            with no_switch():
                text = self._entries["python_conf"](conf_id)
            conf = json.loads(text.encode("latin-1"))
            self._confs[conf_id] = conf
            if len(self._confs) > _CONFS:
                self._confs.popitem(last=False)
        return conf

    def _read_body(self, request_id: int) -> bytes | None:
        result: AsyncResult = AsyncResult()
        self._bodies[request_id] = result
        with no_switch():
            self._entries["python_read_body"](request_id)
        body = result.get()
        return None if body is None else body.encode("latin-1")

    def _on_body(self, request_id: int, body: str | None) -> None:
        waiting = self._bodies.pop(request_id, None)
        if waiting is not None:
            waiting.set(body)

    def _on_request_over(self, request_id: int) -> None:
        self._states.pop(request_id, None)
        waiting = self._bodies.pop(request_id, None)
        if waiting is not None:
            waiting.set_exception(RequestOverError("the request ended before its body had come"))


def _to_lua(value: Any) -> Any:
    return value.encode("utf-8") if isinstance(value, str) else value


def _encode(response: Response) -> tuple[bytes | None, dict[str, str]]:
    body = response.body
    headers = dict(response.headers)
    if body is None or isinstance(body, bytes):
        return body, headers
    if isinstance(body, str):
        return body.encode(), headers
    if not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = "application/json"
    return json.dumps(body, ensure_ascii=False).encode() + b"\n", headers
