"""Owns one child process as the master sees it: its start, its report, its end.

Children are started by exec, never by a bare fork: neither gevent nor grpc survives one.
Mirrors pygw/process/entry.py, the other end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf


@dataclass(frozen=True)
class Kind:
    """A kind of process: its name in messages and the command that starts it."""

    name: str
    command: tuple[str, ...]


class Child:
    """A running child. `ready` turns true when it says so; `reason` is why it could not start.

    wants_agent: whether a privileged agent is to run, as it said when it was ready.
    """

    def __init__(
        self,
        kind: Kind,
        index: int,
        generation: int,
        *,
        settings_fd: int,
        listen_fds: Sequence[int],
        shared_fds: Sequence[int],
        app: str | None,
        careful: bool,
        now: float,
    ) -> None:
        self.kind, self.index, self.generation = kind, index, generation
        self.ready = self.wants_agent = False
        self.reason = ""
        self.since = now  # monotonic seconds: of its start, then of its readiness
        self.told: signal.Signals | None = None  # how it was told to stop, if it was
        self.until = inf  # monotonic seconds: when to tell it with more force
        self.report_fd, theirs = os.pipe()
        os.set_blocking(self.report_fd, False)
        options = [f"--id={index}", f"--master={os.getpid()}", f"--settings={settings_fd}"]
        options += [f"--ready={theirs}", f"--listen={','.join(map(str, listen_fds))}"]
        options += [f"--shared={','.join(map(str, shared_fds))}"]
        options += [f"--app={app}"] if app else []
        options += ["--careful"] if careful else []
        try:
            with _usr1_held():
                self._process = subprocess.Popen(
                    [*kind.command, *options],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[settings_fd, theirs, *listen_fds, *shared_fds],
                    env={**os.environ, "PYTHONSAFEPATH": "1"},
                )
        except BaseException:
            os.close(self.report_fd)
            raise
        finally:
            os.close(theirs)

    def __str__(self) -> str:
        return f"{self.kind.name} {self.index} (pid {self.pid})"

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def stopping(self) -> bool:
        return self.told is not None

    def read_report(self, now: float) -> bool:
        """Read what the child reported; returns whether it may report more."""
        try:
            data = os.read(self.report_fd, 4096)
        except BlockingIOError:
            return True
        text = data.decode("utf-8", "replace")
        if text.startswith("ready"):
            self.ready, self.since = True, now
            self.wants_agent = text == "ready agent"
        elif text:
            self.reason = text.removeprefix("error ")
        os.close(self.report_fd)
        self.report_fd = -1
        return False

    def send(self, number: signal.Signals) -> None:
        """Send a signal; a child that is gone already is no error."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def stop(self, number: signal.Signals, until: float) -> None:
        """Tell it to stop: QUIT drains, TERM is at once; `until` is when patience ends."""
        self.told, self.until = number, until
        self.send(number)

    def ended(self) -> bool:
        """Whether it is dead (it is reaped here)."""
        return self._process.poll() is not None

    def close(self, now: float) -> str:
        """Let go of a dead child; returns how it ended, in words."""
        if self.report_fd >= 0:
            self.read_report(now)
        if self.report_fd >= 0:
            os.close(self.report_fd)
            self.report_fd = -1
        if self.reason:
            return self.reason
        code = self._process.returncode
        if code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return f"exited with code {code}"


@contextlib.contextmanager
def _usr1_held() -> Iterator[None]:
    """Start a child with USR1 blocked: it unblocks it once it has a handler, and is not killed."""
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
