"""Owns one run of a phase for one request: its greenlet, its deadline, its end."""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, Any

import gevent

from pygw.extensions.services import Services, place
from pygw.plugin import Context, Plugin, RequestError, Response
from pygw.vm import python_stream
from pygw.vm.python_outcome import SERVING, WENT, Outcome, failed, filtered, judged, served
from pygw.vm.python_phase import Phase
from pygw.vm.python_request import PythonRequest
from pygw.vm.python_stream import BodyStream

if TYPE_CHECKING:
    from pygw.vm.python_plugins import PythonPlugins

_OURS = (__file__, python_stream.__file__)


class PhaseTimeout(BaseException):
    """Raised inside a phase that is not done by its deadline, to end it."""


class Run:
    """A run, and the place of what is logged in it.

    call: its number, its phase's, that of the configuration or of the path that the plugin serves;
    then for body_filter the chunk, and whether it is the last; for others the answers to what
    the phase is known to ask.
    """

    __slots__ = ("_call", "_outcome", "_phase", "_plugins", "_request")
    _phase: Phase
    _outcome: Outcome

    def __init__(
        self, plugins: PythonPlugins, request: PythonRequest, call: tuple[Any, ...]
    ) -> None:
        self._plugins, self._request, self._call = plugins, request, call

    def start(self) -> None:
        """Begin; in a callback of the hub."""
        request, plugins, call = self._request, self._plugins, self._call
        if request.is_over:
            return  # before its phase began
        phase = plugins.phases.get(call[1])
        if phase is None:
            phase = plugins.find_phase(call[1])
        self._phase = phase
        request.run, request.phase, request.given = call[0], phase, call[3:]
        waiting = plugins.inline.run(self)
        if waiting is not None:
            request.waiting = {**request.waiting, call[0]: waiting}
            if phase.plugin.timeout is not None:
                request.rearm = self._arm
                if not request.reading:
                    self._arm()

    def execute(self) -> None:
        """Run the plugin's function; in a greenlet of its own."""
        pygw_culprit = phase = self._phase  # noqa: F841 - the watchdog finds it
        try:
            place.set(self)
            name, kind, plugins, request = phase.name, phase.kind, self._plugins, self._request
            context = request.contexts.get(name)
            if context is None:
                context = request.contexts[name] = Context(request)
            try:
                if phase.is_plain:
                    what = self._call[2]
                    conf = plugins.confs.get(what)
                    if conf is None:
                        conf = plugins.conf(what, phase.plugin)
                    result = getattr(phase.plugin, kind)(conf, context)
                    self._outcome = WENT if result is None else judged(kind, result)
                else:
                    self._outcome = self._execute_other(phase, context)
            except Response as response:
                self._outcome = judged(kind, response)
        except BaseException as error:  # gevent.Timeout, SystemExit, …: no plugin ends a worker
            self._outcome = failed(error, _OURS)

    def settle(self) -> None:
        """It is about to wait."""
        self._request.settle()

    def _execute_other(self, phase: Phase, context: Context) -> Outcome:
        what = self._call[2]
        if phase.kind in SERVING:
            return served(self._plugins.handler(phase, int(what))(context))
        conf = self._plugins.conf(what, phase.plugin)
        return filtered(self._filter(phase.plugin, conf, context))

    def _filter(self, plugin: Plugin, conf: Any, context: Context) -> Any:
        chunk, last = self._call[3].encode("latin-1"), self._call[4]
        function = plugin.body_filter  # type: ignore[attr-defined]
        if not inspect.isgeneratorfunction(function):
            return function(conf, context, chunk, last)
        key, streams = (plugin.name, self._call[2]), self._request.streams
        if key not in streams:
            stream = BodyStream(partial(function, conf, context), str(self._phase))
            streams = self._request.streams = {**streams, key: stream}
        return streams[key].feed(chunk, last)

    def done(self) -> None:
        """Tell Lua how it came out."""
        request, number, lua = self._request, self._call[0], self._plugins.lua
        if request.waiting:
            request.waiting.pop(number, None)
            if number in request.deadlines:
                self._plugins.hub.cancel(request.deadlines.pop(number))
        outcome = self._outcome
        if outcome is WENT:
            request.phase = None
            if request.writes:
                writes, request.writes = request.writes, None
                lua.went(number, *writes)
            else:
                lua.went(number)
            return
        try:
            request.settle()
        except RequestError as error:
            outcome = "failed", str(error)
        lua.done(number, *map(lua.to_lua, outcome))

    # -- the deadline -----------------------------------------------------------------------------

    def _arm(self) -> None:
        request, number, hub = self._request, self._call[0], self._plugins.hub
        before = request.deadlines.get(number)
        if before is not None:
            hub.cancel(before)
        seconds = self._phase.plugin.timeout
        assert seconds
        deadline = hub.clock.monotonic + seconds
        request.deadlines = {**request.deadlines, number: hub.call_at(deadline, self._late)}

    def _late(self) -> None:
        request, number, plugin = self._request, self._call[0], self._phase.plugin
        del request.deadlines[number]
        if request.reading:
            return  # it is armed again when the body is there
        waiting = request.waiting.pop(number, None)
        if waiting is not None:
            gevent.kill(waiting, PhaseTimeout())
            for stream in request.streams.values():
                stream.end()
            lua = self._plugins.lua
            lua.done(number, b"late", plugin.timeout, lua.to_lua(plugin.on_timeout))

    # -- the place --------------------------------------------------------------------------------

    @property
    def services(self) -> Services:
        """What its worker offers."""
        return self._plugins.services

    def __str__(self) -> str:
        return str(self._phase)

    def describe(self) -> str:
        """The plugin, the phase, and what the error log says of the request."""
        try:
            of_request = str(self._request.ask("log_context"))
        except RequestError:
            of_request = ""  # it is over
        return f", plugin: {self._phase.name}, phase: {self._phase.kind}{of_request}"
