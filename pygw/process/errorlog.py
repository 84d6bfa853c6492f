"""Owns the error log as Python writes it: nginx's line format, one write per line.

Lua writes the same file through lua/server/log.lua. Must never raise because a line cannot be
written: a full disk does not stop a gateway.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from pygw.extensions.services import describe_place

LEVELS = ("emerg", "alert", "crit", "error", "warn", "notice", "info", "debug")

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC


class ErrorLog:
    """Lines such as `2026/01/31 12:00:00 [warn] 42#0: message`.

    `path` None writes to stderr. With `onto_stderr` a file is opened over descriptor 2, so that
    whatever else the process says (a traceback, Lua) lands there too. Raises OSError when the
    file cannot be opened.
    """

    def __init__(self, path: Path | None, level: str, *, onto_stderr: bool = False) -> None:
        self.path, self.fd = path, 2
        self._onto_stderr = onto_stderr
        self._threshold = LEVELS.index(level)
        self.tap: Callable[[str, str], None] | None = None  # hears of each line: level, message
        if path is not None:
            self._open(path)

    def _open(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, _FLAGS, 0o644)
        if self._onto_stderr:
            os.dup2(fd, 2)
            os.close(fd)
        else:
            previous, self.fd = self.fd, fd
            if previous != 2:
                os.close(previous)

    def write(self, level: str, message: str) -> None:
        """Write one line unless `level` (a word of LEVELS) is below the log's own."""
        if LEVELS.index(level) <= self._threshold:
            line = f"{time.strftime('%Y/%m/%d %H:%M:%S')} [{level}] {os.getpid()}#0: {message}\n"
            with contextlib.suppress(OSError):
                os.write(self.fd, line.encode("utf-8", "surrogateescape"))
            if self.tap is not None:
                self.tap(level, message)

    def reopen(self) -> None:
        """Open the file anew after it was moved away (USR1); an error keeps the old one."""
        if self.path is not None:
            try:
                self._open(self.path)
            except OSError as error:
                self.write("emerg", f"cannot reopen {self.path}: {error.strerror}")

    def close(self) -> None:
        """Close a file of its own; stderr stays."""
        if self.fd != 2:
            os.close(self.fd)
            self.fd = 2


class LoggingHandler(logging.Handler):
    """Sends the records of Python's `logging` (plugins, libraries) to the error log."""

    _NAMES = (
        (logging.CRITICAL, "crit"),
        (logging.ERROR, "error"),
        (logging.WARNING, "warn"),
        (logging.INFO, "info"),
    )

    def __init__(self, log: ErrorLog) -> None:
        super().__init__()
        self._log = log
        self.setFormatter(logging.Formatter("%(name)s: %(message)s"))

    @staticmethod
    def threshold(level: str) -> int:
        """The least `logging` level that a log of this level would write."""
        at = LEVELS.index(level)
        shown = [number for number, name in LoggingHandler._NAMES if LEVELS.index(name) <= at]
        return logging.DEBUG if level == "debug" else min(shown, default=logging.CRITICAL)

    def emit(self, record: logging.LogRecord) -> None:
        level = next((name for at, name in self._NAMES if record.levelno >= at), "debug")
        self._log.write(level, self.format(record) + describe_place())
