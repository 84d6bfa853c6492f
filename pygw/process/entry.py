"""Owns how a child of the master begins: what it is given, and how it says that it is ready.

The master starts `python -m MODULE` with the options below; the child calls `begin()` first of
all. Must stay cheap to import, and must never import gevent or grpc: their owner does.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import logging
import os
import resource
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pygw.config.model import Settings
from pygw.config.settings import restore
from pygw.process.errorlog import ErrorLog, LoggingHandler

_PR_SET_PDEATHSIG = 1


@dataclass
class Child:
    """What the master gave this process."""

    id: int
    settings: Settings
    listen_fds: list[int]
    shared_fds: dict[str, int]
    app: str | None
    agent: bool
    careful: bool
    log: ErrorLog
    _ready_fd: int = field(repr=False)

    def ready(self, *, wants_agent: bool = False) -> None:
        """Tell the master that this process serves, and whether a privileged agent is to run."""
        self._tell("ready agent" if wants_agent else "ready")

    def fail(self, reason: str) -> None:
        """Tell the master why this process cannot start; trying again would not help."""
        self._tell(f"error {reason}")

    def _tell(self, text: str) -> None:
        if self._ready_fd >= 0:
            with contextlib.suppress(OSError):
                os.write(self._ready_fd, text.encode("utf-8", "surrogateescape"))
            os.close(self._ready_fd)
            self._ready_fd = -1

    @contextlib.contextmanager
    def reporting(self) -> Iterator[None]:
        """Run a start: what it raises becomes the reason that the master shows.

        The log has the rest: a Lua traceback of an error of ours, a Python one of any other.
        """
        try:
            yield
        except Exception as error:
            ours = type(error).__module__.startswith("pygw.")
            logging.getLogger(__package__).error("cannot start: %s", error, exc_info=not ours)
            self.fail((str(error) or type(error).__name__).partition("\n")[0])
            raise SystemExit(1) from None


def begin(argv: Sequence[str] | None = None) -> Child:
    """Parse the master's options, tie this process to the master's life, open the log."""
    options = _parser().parse_args(argv)
    _die_with(options.master)
    for number in (signal.SIGINT, signal.SIGHUP):  # of a terminal: the master's to handle
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGQUIT, lambda *_: os._exit(0))  # nothing to finish before it serves
    fds, shared = _numbers(options.listen), _numbers(options.shared)
    for fd in [*fds, *shared, options.ready]:
        os.set_inheritable(fd, False)
    settings = restore(_read_all(options.settings))
    dicts = dict(zip(sorted(settings.shared_dicts), shared, strict=False))
    log = ErrorLog(settings.error_log, settings.error_log_level, onto_stderr=True)
    signal.signal(signal.SIGUSR1, lambda *_: log.reopen())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
    threshold = LoggingHandler.threshold(settings.error_log_level)
    logging.basicConfig(handlers=[LoggingHandler(log)], level=threshold)
    _raise_file_limit(settings.worker_rlimit_nofile)
    app, agent, careful = options.app, options.agent, options.careful
    return Child(options.id, settings, fds, dicts, app, agent, careful, log, options.ready)


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",") if number]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="A process of the pygw master.")
    parser.add_argument("--id", type=int, required=True, help="its number, from 0")
    parser.add_argument("--master", type=int, required=True, help="pid of the master")
    parser.add_argument("--settings", type=int, required=True, help="fd of the settings' JSON")
    parser.add_argument("--ready", type=int, required=True, help="fd to report on")
    parser.add_argument("--listen", default="", help="listening fds, comma-separated")
    parser.add_argument("--shared", default="", help="fds of the shared dictionaries, by name")
    parser.add_argument("--app", help="Lua application instead of apisix")
    parser.add_argument("--agent", action="store_true", help="it is the privileged agent")
    parser.add_argument("--careful", action="store_true", help="it is a part of a reload")
    return parser


def _read_all(fd: int) -> bytes:
    """Read a file that other processes read at the same time: no shared offset."""
    data = os.pread(fd, os.fstat(fd).st_size, 0)
    os.close(fd)
    return data


def _die_with(master: int) -> None:
    """Have the kernel kill this process when the master dies, and exit if it is dead already."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != master:
        sys.exit("the master is gone")


def _raise_file_limit(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and allowed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
