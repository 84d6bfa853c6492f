"""Owns the putting together of a gateway worker: the VM's worker, the store, the Python extensions.

The one place where the control plane meets the request path. Must never serve or decide anything.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from typing import Any

import gevent
import pluggy

from pygw.config.bridge_calls import store_calls
from pygw.config.choose import open_standalone, open_store
from pygw.config.model import Settings
from pygw.hookspecs import ConfigChange
from pygw.hub.clock import Clock
from pygw.pluginmanager import find_plugins, load_extensions
from pygw.vm.python_plugins import PythonPlugins
from pygw.vm.worker import Worker

log = logging.getLogger(__name__)


class Gateway:
    """One worker of the gateway with all that it stands on; `start`, `run`, `stop` as Worker's.

    app: path of another Lua application, which gets the ngx runtime alone.
    Raises ExtensionError, StoreRefused or ConfigError when an extension, the store or apisix.yaml
    cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        worker_id: int,
        listen_fds: Sequence[int],
        app: str | None = None,
        *,
        clock: Clock | None = None,
        error_fd: int = 2,
    ) -> None:
        self.id = worker_id
        self.hooks = load_extensions(settings.python_plugins, settings.base)
        self._plugins = PythonPlugins(find_plugins(self.hooks))
        self._store = None if app else open_store(settings)
        self._standalone = None if app else open_standalone(settings)
        calls: dict[str, Callable[..., Any]] = dict(self._plugins.calls)
        awaits: dict[str, Callable[..., Any]] = dict(self._plugins.awaits)
        if self._store is not None:
            store_immediate, store_awaited = store_calls(self._store)
            calls.update(store_immediate)
            awaits.update(store_awaited)
        if self._standalone is not None:
            file_immediate, file_awaited = self._standalone.calls()
            calls.update(file_immediate)
            awaits.update(file_awaited)
        calls["config_changed"] = _config_changed(self.hooks)
        self.worker = Worker(
            settings,
            worker_id,
            listen_fds,
            app,
            clock=clock,
            error_fd=error_fd,
            calls=calls,
            awaits=awaits,
        )
        self._plugins.attach(self.worker.bridge.entries)

    def start(self) -> None:
        """Boot and serve. Raises StartError."""
        self.worker.start()
        self.hooks.hook.pygw_worker_start(worker_id=self.id)

    def run(self) -> None:
        """Serve until `stop`."""
        try:
            self.worker.run()
        finally:
            self.hooks.hook.pygw_worker_stop(worker_id=self.id)
            if self._store is not None:
                self._store.close()
            if self._standalone is not None:
                self._standalone.close()

    def stop(self, graceful: bool) -> None:
        """Begin to stop; see Worker.stop."""
        self.worker.stop(graceful)
        if self._standalone is not None:
            gevent.spawn(self._standalone.close)  # wakes the timer that waits for the file


def _config_changed(hooks: pluggy.PluginManager) -> Callable[..., bool]:
    """The bridge's `config_changed(directory, id, value as JSON or nil, revision)`.

    Returns whether anybody listens; Lua asks no more when not. Each call of the hook runs in a
    greenlet of its own, one after the other.
    """
    implementations = hooks.hook.pygw_config_change
    pending: list[ConfigChange] = []

    def deliver() -> None:
        while pending:
            change = pending[0]
            try:
                implementations(change=change)
            except Exception:
                log.exception(
                    "a pygw_config_change hook failed on %s/%s", change.directory, change.id
                )
            del pending[0]

    def config_changed(directory: str, item_id: str, value: str | None, revision: float) -> bool:
        if not implementations.get_hookimpls():
            return False
        item = None if value is None else json.loads(value.encode("latin-1"))
        pending.append(ConfigChange(directory, item_id, item, int(revision)))
        if len(pending) == 1:
            gevent.spawn(deliver)
        return True

    return config_changed
