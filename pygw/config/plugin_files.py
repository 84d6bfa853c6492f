"""Owns noticing that files in the directories of plugins change. Must never read or judge them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event

from pygw.config.inotify import DIRECTORY_CHANGES, Inotify

_QUIET = 0.02  # seconds without a change after which what is being written counts as written
_LOOK_AGAIN = 1.0  # seconds between looks at what inotify cannot watch

_log = logging.getLogger(__name__)


class PluginFiles:
    """Tells whoever waits that something happened in a set of directories.

    A version is the number of changes seen so far.
    """

    def __init__(self) -> None:
        self._directories = ""
        self._inotify: Inotify | None = None
        self._touched = Event()
        self._version = 0
        self.closed = False

    def wait(self, directories: str, version: float, timeout: float) -> int | None:
        """Wait up to `timeout` seconds for a version other than that one; None if none came.

        directories: to be watched from now on, one in a line. What changed between two calls with
        the same ones counts; directories that are new count as a change.
        """
        if directories != self._directories:
            self._watch(directories)
        if self._version == version and not self.closed:
            self._touched.wait(timeout if self._inotify else _LOOK_AGAIN)
        if not self.closed and (self._touched.is_set() or self._inotify is None):
            self._let_it_settle()
            self._version += 1
        return self._version if self._version != version else None

    def calls(self) -> tuple[dict[str, Callable[..., Any]], dict[str, Callable[..., Any]]]:
        """The bridge's entries: immediate ones, awaited ones."""
        return {}, {"plugin_files_wait": self.wait}

    def close(self) -> None:
        """Stop watching and wake who waits. Again is harmless."""
        self.closed = True
        self._touched.set()
        if self._inotify:
            self._inotify.close()

    def _watch(self, directories: str) -> None:
        if self._inotify:
            self._inotify.close()
            self._inotify = None
        self._directories = directories
        self._version += 1  # whatever happened before the watch began
        paths = [Path(line) for line in directories.split("\n") if Path(line).is_dir()]
        try:
            self._inotify = Inotify(paths, DIRECTORY_CHANGES, self._touched.set)
        except OSError as error:
            _log.warning("no inotify for the plugins' files (%s): they are polled", error)

    def _let_it_settle(self) -> None:
        while not self.closed and self._touched.is_set():
            self._touched.clear()
            gevent.sleep(_QUIET)
