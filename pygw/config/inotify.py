"""Owns waiting for a change of a file or directory (Linux inotify) on gevent's loop.

Says only *that* something happened; who asked looks for himself. Must never block or read files.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from gevent.hub import get_hub

MODIFY = 0x2
ATTRIB = 0x4
CLOSE_WRITE = 0x8
MOVED = 0xC0  # from and to
CREATE = 0x100
DELETE = 0x200
DIRECTORY_CHANGES = MODIFY | ATTRIB | CLOSE_WRITE | MOVED | CREATE | DELETE

_CONTENT = MODIFY | ATTRIB | CLOSE_WRITE
_EVENT = struct.Struct("iIII")
_READ = 1  # libev's EV_READ
_libc = ctypes.CDLL(None, use_errno=True)


class Inotify:
    """Calls `on_change()` in the hub (it must not wait) after events of `mask` on any of `paths`.

    names: in a directory, writing to files of other names does not count; a log may be among them.
    Raises OSError when a path is absent or the system's limit of inotify instances is reached.
    """

    def __init__(
        self,
        paths: Iterable[Path],
        mask: int,
        on_change: Callable[[], None],
        names: Iterable[str] | None = None,
    ) -> None:
        self._on_change = on_change
        self._names = None if names is None else {os.fsencode(name) for name in names}
        self._fd = _checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), "inotify")
        try:
            for path in paths:
                _checked(_libc.inotify_add_watch(self._fd, os.fsencode(path), mask), str(path))
        except OSError:
            os.close(self._fd)
            raise
        self._watcher: Any = get_hub().loop.io(self._fd, _READ)
        self._watcher.start(self._on_readable)

    def close(self) -> None:
        """Stop. Again is harmless."""
        if self._fd >= 0:
            self._watcher.stop()
            self._watcher.close()
            os.close(self._fd)
            self._fd = -1

    def _on_readable(self) -> None:
        with contextlib.suppress(BlockingIOError):
            if any(map(self._counts, _events(os.read(self._fd, 65536)))):
                self._on_change()

    def _counts(self, event: tuple[int, bytes]) -> bool:
        mask, name = event
        return self._names is None or name in self._names or not mask & _CONTENT


def _events(buffer: bytes) -> Iterator[tuple[int, bytes]]:
    """The mask and name of each event (struct inotify_event)."""
    at = 0
    while at < len(buffer):
        _, mask, _, length = _EVENT.unpack_from(buffer, at)
        at += _EVENT.size + length
        yield mask, buffer[at - length : at].rstrip(b"\0")


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result
