"""Owns the hooks of the master: of its own life, of its processes', and its lines of the error log.

They run in the master's only thread, so one that blocks delays it. What one raises is logged and
changes nothing, but for pygw_master_start. Must never import gevent or grpc; an extension may.
"""

from __future__ import annotations

import os
import time
from typing import Any

from pygw.config.model import Settings
from pygw.config.yamlfile import ConfigError
from pygw.extensions.manager import ExtensionError, Extensions
from pygw.hookspecs import ChildProcess, LogRecord
from pygw.process.child import Child
from pygw.process.errorlog import ErrorLog


class MasterHooks:
    """The extensions as the master found them when it started. Raises ConfigError."""

    def __init__(self, settings: Settings, app: str | None) -> None:
        self._app = app
        self._extensions = None if app else _discovered(settings)
        self._log: ErrorLog | None = None
        self._is_telling = False

    def check(self, settings: Settings) -> None:
        """Whether a reload may have these settings. Raises ConfigError."""
        if self._extensions:
            try:
                self._extensions.check_config(settings)
            except ExtensionError as error:
                raise ConfigError(str(error)) from None

    def follow(self, log: ErrorLog) -> None:
        """Have the hooks see what is written to this log from now on."""
        self._log = log
        if self._implementations("pygw_log_record"):
            log.tap = self._on_line

    def start(self) -> None:
        """The start. Raises ConfigError."""
        if self._extensions:
            try:
                self._extensions.manager.hook.pygw_master_start(config=self._extensions.config)
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
                raise ConfigError(f"a pygw_master_start hook failed: {reason}") from error

    def spawned(self, child: Child) -> None:
        self.tell("pygw_child_spawned", child=_described(child))

    def died(self, child: Child, reason: str) -> None:
        self.tell(
            "pygw_child_died", child=_described(child), reason=reason, expected=child.stopping
        )

    def tell(self, name: str, **arguments: Any) -> None:
        """Call the hook of that name."""
        if not self._implementations(name):
            return
        assert self._extensions
        try:
            getattr(self._extensions.manager.hook, name)(**arguments)
        except Exception as error:
            if self._log and name != "pygw_log_record":
                self._log.write("error", f"a {name} hook failed: {type(error).__name__}: {error}")

    def _implementations(self, name: str) -> bool:
        found = self._extensions
        return bool(found and getattr(found.manager.hook, name).get_hookimpls())

    def _on_line(self, level: str, message: str) -> None:
        if self._is_telling:
            return  # a hook that logs would never end
        self._is_telling = True
        record = LogRecord(level, message, time.time(), os.getpid())
        try:
            self.tell("pygw_log_record", record=record)
        finally:
            self._is_telling = False


def _discovered(settings: Settings) -> Extensions:
    try:
        return Extensions(settings)
    except ExtensionError as error:
        raise ConfigError(str(error)) from None


def _described(child: Child) -> ChildProcess:
    return ChildProcess(child.kind.name, child.index, child.pid)
