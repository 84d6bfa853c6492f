"""Owns the process that each plugin is examined in: its start, its time limit, its end.

A plugin that hangs, crashes or exits is a result. Must never leave a process behind, nor let a
plugin write to the terminal.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import selectors
import signal
import time
import traceback
from typing import NoReturn

from pygw.check import messages
from pygw.check.examiner import examine
from pygw.check.machine import Waits
from pygw.check.model import Problem, Report, Target
from pygw.config.settings import Settings
from pygw.vm.worker import StartError

_CHUNK = 65536


def examine_apart(target: Target, settings: Settings, seconds: float) -> Report:
    """The report of one plugin, from a child process that has this many seconds."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _child(target, settings, writing)
    os.close(writing)
    try:
        said, in_time = _listen(reading, time.monotonic() + seconds)
    finally:
        os.close(reading)
        status = _end(pid)
    doing, report = _understand(said)
    if report:
        return report
    how = _how(status) if in_time else f"it did not come to an end within {seconds:g} s"
    problem = messages.ended(target, doing, how)
    return Report(target.name, messages.shown(target.file), [problem])


def _listen(reading: int, deadline: float) -> tuple[bytes, bool]:
    """All that comes until the end; and whether the end came in time."""
    said = b""
    with selectors.DefaultSelector() as selector:
        selector.register(reading, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0:
            if not selector.select(left):
                continue
            chunk = os.read(reading, _CHUNK)
            if not chunk:
                return said, True
            said += chunk
            if said.endswith(b"\n\n"):  # what its own children hold open is no reason to wait
                return said, True
    return said, False


def _end(pid: int) -> int:
    """Kill what is left of it, with the processes that the plugin started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return os.waitpid(pid, 0)[1]


def _understand(said: bytes) -> tuple[str, Report | None]:
    doing = "it was started"
    for line in said.splitlines():
        with contextlib.suppress(ValueError):
            heard = json.loads(line)
            if "doing" not in heard:
                return doing, Report.from_json(heard)
            doing = heard["doing"]
    return doing, None


def _how(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"its process was ended by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"its process exited with {os.WEXITSTATUS(status)}"


def _child(target: Target, settings: Settings, writing: int) -> NoReturn:
    code = 0
    try:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        quiet = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(quiet, fd)
        report = _examine(target, settings, writing)
        _write(writing, report.to_json())
        os.write(writing, b"\n")
    except BaseException:
        code = 70
        _write(writing, {"doing": traceback.format_exc()})
    finally:
        os._exit(code)


def _examine(target: Target, settings: Settings, writing: int) -> Report:
    doing = ["it was started"]

    def tell(what: str) -> None:
        doing[0] = what
        _write(writing, {"doing": what})

    try:
        return examine(target, settings, tell)
    except Waits:
        how = "it waits (for a socket, a timer or a process), which nothing can end,"
    except StartError as error:
        problem = Problem("boot", "boot", str(settings.source), str(error))
        return Report(target.name, messages.shown(target.file), [problem])
    problem = messages.ended(target, doing[0], how)
    return Report(target.name, messages.shown(target.file), [problem])


def _write(fd: int, value: object) -> None:
    data = json.dumps(value).encode() + b"\n"
    while data:
        data = data[os.write(fd, data) :]
