"""Owns the processes of blocks: a parent that has imported everything, a fork for each block.

A fork takes some 20 ms, a fresh interpreter ten times that. No two threads may use one.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CHILD = Path(__file__).with_name("zygote_child.py")
START = 20.0  # seconds that a worker gets to start
STOP = 8.0  # seconds that a worker gets to end


class Zygote:
    """Starts and ends workers, one at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(CHILD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._held = b""
        self.pid = 0
        self.status: int | None = 0

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def start(self, job: dict[str, Any]) -> str | None:
        """Start a worker. Returns None when it serves, else why it does not."""
        assert self._process.stdin
        self.status = None
        self._process.stdin.write(json.dumps(job).encode() + b"\n")
        self._process.stdin.flush()
        while True:
            kind, _, rest = self._line(START).partition(" ")
            if kind == "pid":
                self.pid = int(rest)
            elif kind == "ready":
                return None
            elif kind == "failed":
                why = str(json.loads(rest))
                self._reap()
                return why
            elif kind == "exit":
                self.status = int(rest)
                return f"the worker's process ended with status {self.status}"
            else:
                self.stop(signal.SIGKILL)
                return "the worker did not start in time"

    def stop(self, number: int = signal.SIGQUIT) -> str | None:
        """End the worker. Returns None, or what was wrong with its end."""
        if self.status is not None:
            return self._verdict()
        for each in (number, signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, each)
            self._reap()
            if self.status is not None:
                return self._verdict()
        return "the worker's process could not be ended"

    def _verdict(self) -> str | None:
        assert self.status is not None
        number = os.WTERMSIG(self.status) if os.WIFSIGNALED(self.status) else 0
        if number in (0, signal.SIGTERM, signal.SIGQUIT):
            return None
        if number == signal.SIGKILL:
            return "the worker hung: it had to be killed"
        return f"the worker crashed: {signal.Signals(number).name}"

    def alive(self) -> bool:
        """Whether the worker's process is still there."""
        kind, _, rest = self._line(0.0).partition(" ") if self.status is None else ("", "", "")
        if kind == "exit":
            self.status = int(rest)
        return self.status is None

    def _reap(self) -> None:
        deadline = time.monotonic() + STOP
        while (line := self._line(deadline - time.monotonic())) and self.status is None:
            kind, _, rest = line.partition(" ")
            if kind == "exit":
                self.status = int(rest)
                return

    def _line(self, seconds: float) -> str:
        """The next line, or "" when none came in time."""
        assert self._process.stdout
        deadline = time.monotonic() + seconds
        fd = self._process.stdout.fileno()
        while b"\n" not in self._held:
            left = max(0.0, deadline - time.monotonic())
            if not select.select([fd], [], [], left)[0]:
                return ""
            piece = os.read(fd, 65536)
            if not piece:
                return ""
            self._held += piece
        line, _, self._held = self._held.partition(b"\n")
        return line.decode()
