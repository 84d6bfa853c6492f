"""Owns the putting together of a gateway worker: the VM's worker, the store, the Python extensions.

The one place where the control plane meets the request path. Must never serve or decide anything.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gevent

from pygw.config.bridge_calls import store_calls
from pygw.config.choose import open_debug, open_snapshot, open_standalone, open_store
from pygw.config.model import Settings
from pygw.config.plugin_files import PluginFiles
from pygw.config.store import Store
from pygw.extensions.config_changes import Changes
from pygw.extensions.hook_calls import HookCalls, implemented
from pygw.extensions.hook_phases import HookPhases
from pygw.extensions.manager import (
    ExtensionError,
    Extensions,
    broken_of,
    start_hooks,
    start_plugin,
)
from pygw.extensions.services import begin, end
from pygw.hub.clock import Clock
from pygw.process.watchdog import Watchdog
from pygw.vm.python_plugins import PythonPlugins
from pygw.vm.worker import Listener, Process, Worker

log = logging.getLogger(__name__)


class Gateway:
    """One worker of the gateway with all that it stands on; `start`, `run`, `stop` as Worker's.

    app: path of another Lua application, which gets the ngx runtime alone, no store and no Python
    plugins; has_framework: it gets all that, since it serves the gateway's phases, too.
    process, shared_fds: as Worker's; a privileged agent has the id -1.
    store: the one to use and to close, in place of what the settings ask for.
    careful: a Python plugin that cannot be used is an ExtensionError, as in a reload, which then
    leaves all as it was; else requests that need it are refused and the others go on.
    hooks: objects with hook implementations, beside the extensions that the settings name.
    Raises ExtensionError, StoreRefused or ConfigError when an extension, the store or apisix.yaml
    cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        worker_id: int,
        listeners: Sequence[Listener | int],
        app: str | None = None,
        *,
        clock: Clock | None = None,
        error_fd: int = 2,
        process: Process = "single",
        shared_fds: Mapping[str, int] | None = None,
        store: Store | None = None,
        hooks: Sequence[object] = (),
        careful: bool = False,
        has_framework: bool = False,
    ) -> None:
        self.id = worker_id
        is_bare = app is not None and not has_framework
        found = Extensions(settings)
        self.hooks = found.manager
        for each in hooks:
            self.hooks.register(each)
        self._plugins = {} if is_bare else found.find_plugins()
        self._runner = PythonPlugins(self._plugins, HookPhases(self.hooks))
        self.config = found.config
        for each in [] if is_bare else found.broken:
            self._runner.drop(each)
        self._faults, self._careful = found.faults, careful
        if careful and found.faults:
            raise ExtensionError(found.faults[0])
        self._changes = Changes(self.hooks.hook.pygw_config_change)
        self.hook_calls = HookCalls(self.hooks)
        self._settings = settings
        self._store = None if is_bare else store or open_store(settings)
        self._standalone = None if is_bare else open_standalone(settings)
        self._debug = None if is_bare else open_debug(settings)
        self._plugin_files = PluginFiles()
        calls, awaits = self._bridge_functions()
        self.worker = Worker(
            settings,
            worker_id,
            listeners,
            app,
            clock=clock,
            error_fd=error_fd,
            strict=settings.strict_phases,
            process=process,
            shared_fds=shared_fds,
            hooks=implemented(self.hooks),
            calls=calls,
            awaits=awaits,
        )
        self._watchdog: Watchdog | None = None
        if settings.watchdog_timeout:
            self._watchdog = Watchdog(
                settings.watchdog_timeout, error_fd, self.worker.bridge.running
            )
        self._services = self._runner.attach(
            self.worker.bridge, self.worker.hub, self.worker.timers
        )

    def _bridge_functions(self) -> tuple[dict[str, Callable[..., Any]], ...]:
        calls: dict[str, Callable[..., Any]] = dict(self._runner.calls)
        calls["config_changed"] = self._changes.announce
        calls["plugin_loaded"] = self.hook_calls.on_plugin
        calls["log_record"] = self.hook_calls.on_line
        awaits: dict[str, Callable[..., Any]] = {}
        parts = []
        if self._store is not None:
            snapshot = open_snapshot(self._settings, self._store)
            parts.append(store_calls(self._store, snapshot))
        parts += [self._standalone.calls()] if self._standalone is not None else []
        parts += [self._debug.calls("debug")] if self._debug is not None else []
        parts.append(self._plugin_files.calls())
        for immediate, awaited in parts:
            calls.update(immediate)
            awaits.update(awaited)
        return calls, awaits

    @property
    def wants_agent(self) -> bool:
        """Whether Lua asked for a privileged agent, once started."""
        return self.worker.wants_agent

    @property
    def waits_in_python(self) -> bool:
        """Whether a request waits for a Python plugin or hook that waits itself."""
        return self._runner.waits

    def start(self) -> None:
        """Boot and serve. Raises StartError or ExtensionError."""
        for fault in self._faults:
            log.error("%s; the others go on", fault)
        begin(self._services)
        try:
            self._start_plugins()
            self.worker.start()
        except BaseException:
            self.worker.hub.stop()
            self._close()
            raise
        try:
            start_hooks(self.hooks, self.id, self.config)
        except BaseException:
            self.stop(graceful=False)
            self.run()
            raise
        self._changes.start()
        self.hook_calls.start()
        _try("a pygw_worker_ready hook", self.hooks.hook.pygw_worker_ready, worker_id=self.id)
        if self._watchdog is not None:
            self._watchdog.start()

    def _start_plugins(self) -> None:
        for name, plugin in list(self._plugins.items()):
            try:
                routes = start_plugin(plugin)
            except ExtensionError as error:
                if self._careful:
                    raise
                log.error("%s; the others go on", error)  # noqa: TRY400 - it says where
                self._runner.drop(broken_of(plugin, str(error)))
                del self._plugins[name]
            else:
                self._runner.set_routes(name, routes)

    def run(self) -> None:
        """Serve until `stop`."""
        try:
            self.worker.run()
        finally:
            if self._watchdog is not None:
                self._watchdog.stop()
            self._changes.stop()
            self._runner.close()
            for plugin in self._plugins.values():
                _try("the destroy of a Python plugin", plugin.destroy)
            _try("a pygw_worker_stop hook", self.hooks.hook.pygw_worker_stop, worker_id=self.id)
            self.hook_calls.stop()
            self._close()

    def note_reopen(self) -> None:
        """As Worker.note_reopen."""
        self.worker.note_reopen()

    def stop(self, graceful: bool) -> None:
        """Begin to stop; see Worker.stop."""
        self.worker.stop(graceful)
        self._plugin_files.close()  # wakes the timer that waits for a change
        for file in (self._standalone, self._debug):
            if file is not None:
                gevent.spawn(file.close)  # wakes the timer that waits for the file

    def _close(self) -> None:
        end(self._services)
        self._plugin_files.close()
        if self._store is not None:
            self._store.close()
        for file in (self._standalone, self._debug):
            if file is not None:
                file.close()
        self._runner.let_go()
        self.worker.let_go()


def _try(what: str, function: Callable[..., Any], **arguments: Any) -> None:
    """What ends goes on ending, whatever a plugin raises."""
    try:
        function(**arguments)
    except Exception:
        log.exception("%s failed", what)
