"""Owns the pid file: its lock says whether a master lives, its text which.

The lock dies with the process, so a file left behind by a crash is never mistaken for a master.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class AlreadyRunningError(Exception):
    """Another master holds the pid file."""


class PidFile:
    """Held by a master for as long as it lives. Raises AlreadyRunningError or OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if not _lock(self._fd):
            pid = os.read(self._fd, 32).decode().strip()
            os.close(self._fd)
            raise AlreadyRunningError(f"pygw runs already (pid {pid}, {path})")
        os.ftruncate(self._fd, 0)
        os.write(self._fd, f"{os.getpid()}\n".encode())

    def remove(self) -> None:
        """Delete the file, then let go of the lock."""
        self._path.unlink(missing_ok=True)
        os.close(self._fd)


def running_pid(path: Path) -> int | None:
    """The pid of the master that holds `path`, or None."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return None if _lock(fd) else int(os.read(fd, 32) or 0) or None
    finally:
        os.close(fd)


def _lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
