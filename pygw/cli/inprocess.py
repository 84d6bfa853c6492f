"""Owns a gateway's worker in the process of a command: it has no port and no master.

Python must have been patched by gevent before this is imported. Must never make
files that a gateway of the same configuration would not make.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent
from gevent import socket

from pygw.config.embedded import MEMORY, EmbeddedStore
from pygw.config.model import Settings
from pygw.gateway import Gateway
from pygw.hub.interrupt import interrupts_here
from pygw.process.errorlog import ErrorLog, LoggingHandler
from pygw.vm.worker import Listener, StartError

_CLIENT = ("127.0.0.1", 50_000)
_PATIENCE = 10.0  # seconds for the configuration to come from its store
_STEP = 0.002  # seconds between looks at whether it has


class InProcess:
    """A worker that serves the connections that it is given, and whatever its Lua code does.

    on_interrupt: called at once when Ctrl-C is pressed, in any greenlet; it must not wait.
    """

    def __init__(self, settings: Settings) -> None:
        _log_to_stderr(settings)
        store = None
        if settings.provider == "embedded" and not settings.embedded_path.exists():
            store = EmbeddedStore(MEMORY)  # nothing is stored yet, and nothing is to be
        self._settings = settings
        self.on_interrupt: Callable[[], None] = lambda: None
        self.gateway = Gateway(settings, 0, [Listener(-1)], store=store)
        worker = self.gateway.worker
        self.runtime, self.hub, self.bridge = worker.runtime, worker.hub, worker.bridge

    def start(self) -> None:
        """Serve, with the configuration in force. Raises StartError or ExtensionError."""
        self.gateway.start()
        try:
            self._await_configuration()
        except BaseException:
            self.stop(graceful=False)
            raise

    def connect(self) -> Any:
        """A connection to the gateway, a gevent socket; closing it is the caller's."""
        ours, theirs = socket.socketpair()
        fd = theirs.detach()
        os.set_blocking(fd, False)
        port = next((each.port for each in self._settings.listen if not each.site), 80)
        self.bridge.hand_over(1, fd, _CLIENT, ("127.0.0.1", port))
        return ours

    def stop(self, *, graceful: bool) -> None:
        """End it; graceful: log phases and timers that run end first."""
        self.gateway.stop(graceful)
        self.gateway.run()

    def _await_configuration(self) -> None:
        status = self.runtime.eval('require "apisix.core.config_etcd.status"')
        is_loaded = status["is_loaded"]
        store = self._settings.provider
        with gevent.Timeout(
            _PATIENCE, StartError(f"no configuration from {store} in {_PATIENCE:g} s")
        ):
            while not is_loaded():
                gevent.sleep(_STEP)


def _log_to_stderr(settings: Settings) -> None:
    level = settings.error_log_level
    handler = LoggingHandler(ErrorLog(None, level))
    logging.basicConfig(handlers=[handler], level=LoggingHandler.threshold(level))


@contextmanager
def in_process(settings: Settings) -> Iterator[InProcess]:
    """Run one for a `with` statement. Raises ConfigError, StoreRefused, StartError and more.

    Ctrl-C raises KeyboardInterrupt in the greenlet that runs the block, and in no other.
    """
    worker = InProcess(settings)
    with interrupts_here(lambda: worker.on_interrupt()):
        worker.start()
        graceful = False
        try:
            yield worker
            graceful = True
        finally:
            worker.stop(graceful=graceful)
