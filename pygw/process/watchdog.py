"""Owns the noticing of a worker that does not answer: which plugin is in the way, and where.

A thread of its own looks at a count that gevent's loop keeps up; requests pay nothing. Must never
use what gevent patches, nor `logging`, whose locks the stuck code may hold.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable
from types import FrameType

import gevent
from gevent import monkey

_start_thread = monkey.get_original("_thread", "start_new_thread")
_new_lock = monkey.get_original("_thread", "allocate_lock")
_this_thread = monkey.get_original("_thread", "get_ident")
_STACK_MAX = 12  # frames shown


class Watchdog:
    """Watches the thread that made it, from `start` to `stop`.

    patience: seconds without an answer before it says so, once each time. fd: of the error log.
    in_lua: what runs in Lua, asked in the watchdog's thread.
    """

    def __init__(self, patience: float, fd: int, in_lua: Callable[[], str | None]) -> None:
        self._patience, self._fd, self._in_lua = patience, fd, in_lua
        self._watched = _this_thread()
        self._beats = 0
        self._beat = gevent.get_hub().loop.timer(patience / 4, patience / 4)
        self._over, self._gone = _new_lock(), _new_lock()

    def start(self) -> None:
        """Begin to watch."""
        self._beat.start(self._count)
        self._over.acquire()
        self._gone.acquire()
        _start_thread(self._watch, ())

    def stop(self) -> None:
        """Watch no more; returns when the thread is at its end. Harmless without a start."""
        if not self._over.locked():
            return
        self._beat.stop()
        self._beat.close()
        self._over.release()
        self._gone.acquire()

    def _count(self) -> None:
        self._beats += 1

    def _watch(self) -> None:
        seen, since, told = -1, 0.0, False
        while not self._over.acquire(timeout=self._patience / 4):
            now = time.monotonic()
            if self._beats != seen:
                seen, since, told = self._beats, now, False
            elif not told and now - since >= self._patience:
                told = True
                self._tell(now - since)
        self._gone.release()

    def _tell(self, seconds: float) -> None:
        frame = sys._current_frames().get(self._watched)  # noqa: SLF001 - the only way there is
        if frame is None:
            return
        culprit = _culprit(frame) or self._in_lua() or "no plugin is running"
        stack = "".join(traceback.format_stack(frame)[-_STACK_MAX:]).rstrip()
        text = f"the worker has not answered for {seconds:.1f} seconds: {culprit}\n{stack}"
        line = f"{time.strftime('%Y/%m/%d %H:%M:%S')} [alert] {os.getpid()}#0: {text}\n"
        os.write(self._fd, line.encode("utf-8", "replace"))


def _culprit(frame: FrameType | None) -> str | None:
    """What Python code the frame belongs to: the frames below a plugin's know it by this name."""
    while frame is not None:
        if "pygw_culprit" in frame.f_locals:
            return str(frame.f_locals["pygw_culprit"])
        frame = frame.f_back
    return None
