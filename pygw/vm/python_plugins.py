"""Owns the running of Python plugins: the Python half of lua/server/python_plugins.lua.

A phase runs in a greenlet of its own, right after the Lua that asked for it has yielded; one that
does not wait costs no turn of gevent's loop.
"""

from __future__ import annotations

import json
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from pygw.hub.guard import no_switch
from pygw.hub.inline import Inline
from pygw.plugin import ANSWERING, Plugin, Response
from pygw.vm.bridge import Bridge
from pygw.vm.python_request import LuaSide, PythonRequest

_CONFS = 4096  # configurations kept as dicts

# How a phase came out, as python_done of Lua takes it: an event, and what belongs to it.
_Outcome = tuple[Any, ...]
_WENT: _Outcome = (b"went",)


class PythonPlugins:
    """The Python plugins of one worker. `calls` are for the bridge, which `attach` gives."""

    def __init__(self, plugins: Mapping[str, Plugin]) -> None:
        self._plugins = plugins
        self._confs: OrderedDict[int, Any] = OrderedDict()
        self._requests: dict[int, PythonRequest] = {}
        self.calls: dict[str, Callable[..., Any]] = {
            "python_plugins": self._describe,
            "python_phase": self._on_phase,
            "python_body": self._on_body,
            "python_request_over": self._on_request_over,
        }

    def attach(self, bridge: Bridge, post: Callable[[Callable[[], None]], None]) -> None:
        """Take the bridge to Lua, and the hub's `post`."""
        entries = bridge.entries
        self._post, self._inline = post, Inline(post)
        self._lua = LuaSide(
            ask=entries["python_ask"],
            conf=entries["python_conf"],
            done=entries["python_done"],
            read_body=entries["python_read_body"],
            to_lua=bridge.to_lua,
            post=post,
        )

    def close(self) -> None:
        """End the phases that still wait; the worker serves no more."""
        while self._requests:
            self._requests.popitem()[1].end()
        self._inline.close()

    # -- Lua -> Python: nothing here may wait -----------------------------------------------------

    def _describe(self) -> list[dict[str, Any]]:
        return describe(self._plugins.values())

    def _on_phase(self, request_id: int, run: int, *what: Any) -> None:
        request = self._requests.get(request_id)
        if request is None:
            request = self._requests[request_id] = PythonRequest(request_id, self._lua)
        self._post(partial(self._start, request_id, run, what))

    def _on_body(self, request_id: int, body: str | None) -> None:
        self._requests[request_id].take_body(body)

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
        waiting = self._inline.run(partial(self._run, request, *what), done)
        if waiting is not None:
            request.waiting[run] = waiting

    def _done(self, request: PythonRequest, run: int, outcome: _Outcome) -> None:
        request.waiting.pop(run, None)
        if outcome is _WENT:
            self._lua.done(run, b"went")
        else:
            self._lua.done(run, *map(self._lua.to_lua, outcome))

    def _run(
        self, request: PythonRequest, name: str, phase: str, conf_id: int, *chunk: Any
    ) -> _Outcome:
        try:
            function = getattr(self._plugins[name], phase)
            arguments = (self._conf(conf_id), request.context(name))
            try:
                if chunk:
                    return _filtered(function(*arguments, chunk[0].encode("latin-1"), chunk[1]))
                return _judged(phase, function(*arguments))
            except Response as response:
                return _judged(phase, response)
        except BaseException as error:  # gevent.Timeout, SystemExit, …: no plugin ends a worker
            return "failed", _describe_error(error)

    def _conf(self, conf_id: int) -> Any:
        conf = self._confs.get(conf_id)
        if conf is None:
            with no_switch():
                text = self._lua.conf(conf_id)
            conf = json.loads(text.encode("latin-1"))
            self._confs[conf_id] = conf
            if len(self._confs) > _CONFS:
                self._confs.popitem(last=False)
        return conf


def describe(plugins: Iterable[Plugin]) -> list[dict[str, Any]]:
    """What `list` of lua/server/python_plugins.lua makes plugin objects of."""
    return [
        {
            "name": plugin.name,
            "version": plugin.version,
            "priority": plugin.priority,
            "schema": json.dumps(plugin.schema),
            "phases": plugin.phases(),
        }
        for plugin in plugins
    ]


def _judged(phase: str, result: Any) -> _Outcome:
    if result is None:
        return _WENT
    if not isinstance(result, Response):
        return "failed", f"it returned {result!r}: return None or a pygw.plugin.Response"
    if phase not in ANSWERING:
        return "failed", f"a Response can only be given in {', '.join(ANSWERING)}"
    return "answered", result.status, *_encoded(result)


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
    """The traceback as Python prints it, without the frame of this file."""
    inner = error.__traceback__.tb_next if error.__traceback__ else None
    return "".join(traceback.format_exception(type(error), error, inner)).rstrip()
