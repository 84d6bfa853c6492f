"""Owns the master: it starts, watches, replaces, reloads and stops the other processes.

It serves no request, holds no Lua and never imports gevent or grpc. Signals are nginx's: TERM and
INT stop at once, QUIT drains, HUP reloads, USR1 reopens the logs.
"""

from __future__ import annotations

import select
import signal
import sys
import time
from collections.abc import Callable, Mapping
from math import inf

from pygw import __version__
from pygw.config.model import Settings
from pygw.config.yamlfile import ConfigError
from pygw.process.child import Child, Kind
from pygw.process.errorlog import ErrorLog
from pygw.process.generation import Generation, Slot
from pygw.process.listeners import ListenError, Listeners
from pygw.process.masterhooks import MasterHooks
from pygw.process.pidfile import PidFile
from pygw.process.regions import Regions
from pygw.process.signals import SignalQueue

COMMANDS: Mapping[str, tuple[str, ...]] = {
    "worker": (sys.executable, "-m", "pygw.process.worker"),
    "admin": (sys.executable, "-m", "pygw.admin"),
    "agent": (sys.executable, "-m", "pygw.process.worker", "--agent"),
}
START_ATTEMPTS = 4  # of a child that dies before it is ready, while the gateway starts
BACKOFF_FIRST, BACKOFF_MOST = 0.1, 5.0  # seconds before a child that died young is replaced
YOUNG = 1.0  # seconds
TERM_PATIENCE = 5.0  # seconds between TERM and KILL


class StartError(Exception):
    """The gateway could not start; `str()` is the reason."""


class Master:
    """Run with `run()`; `load` reads the settings, at the start and at each reload.

    `commands` gives the command of each kind of process, to which entry.py's options are added.
    Raises ConfigError, or OSError when the error log cannot be opened.
    """

    def __init__(
        self,
        load: Callable[[], Settings],
        *,
        app: str | None = None,
        commands: Mapping[str, tuple[str, ...]] = COMMANDS,
    ) -> None:
        self._load, self._app = load, app
        self._kinds = {name: Kind(name, command) for name, command in commands.items()}
        self._listeners, self._regions = Listeners(), Regions()
        settings = load()
        self._hooks = MasterHooks(settings, app)
        self._current = self._generation(1, settings)
        self._next: Generation | None = None
        self._log = _open_log(self._current.settings)
        self._hooks.follow(self._log)
        self._children: list[Child] = []
        self._respawns: list[tuple[float, Slot]] = []  # of the current generation
        self._poll = select.poll()
        self._announced = self._stopping = self._reload_wanted = False
        self._failure = ""

    def run(self) -> None:
        """Start everything and watch it until told to stop.

        Raises StartError, ListenError, AlreadyRunningError or OSError.
        """
        for warning in self._current.settings.warnings:
            self._log.write("warn", warning)
        pid_file = PidFile(self._current.settings.pid_file)
        try:
            self._current.open_listeners()
            self._hooks.start()
            with SignalQueue(self._handlers) as queue:
                self._poll.register(queue.fd, select.POLLIN)
                self._spawn_all(self._current)
                while self._children or self._respawns:
                    self._turn(queue)
            self._hooks.tell("pygw_master_stop")
        finally:
            self._listeners.close()
            self._regions.close()
            self._current.close()
            pid_file.remove()
            self._log.close()
        if self._failure:
            raise StartError(self._failure)

    # One turn of the loop.

    def _turn(self, queue: SignalQueue) -> None:
        self._poll.poll(self._patience())
        for child in self._children:
            if child.report_fd >= 0:
                self._read_report(child)
        for number in queue.read():
            self._handlers[number](self)
        for child in [child for child in self._children if child.ended()]:
            self._on_death(child)
        self._on_progress()
        now = time.monotonic()
        for child in self._children:
            if child.until <= now:
                self._press(child, now)
        self._respawn_due(now)

    def _patience(self) -> float | None:
        """Milliseconds until something is due, None: only an event wakes us."""
        due = [when for when, _ in self._respawns]
        due += [child.until for child in self._children]
        next_due = min(due, default=inf)
        return None if next_due == inf else max(0.0, next_due - time.monotonic()) * 1000 + 1

    def _press(self, child: Child, now: float) -> None:
        """Its patience is over: after QUIT comes TERM, after TERM comes KILL."""
        if child.told == signal.SIGQUIT:
            self._log.write("warn", f"{child} still has requests after worker_shutdown_timeout")
            child.stop(signal.SIGTERM, now + TERM_PATIENCE)
        else:
            self._log.write("alert", f"{child} did not stop in time: killed")
            child.stop(signal.SIGKILL, inf)

    def _read_report(self, child: Child) -> None:
        fd = child.report_fd
        if not child.read_report(time.monotonic()):
            self._poll.unregister(fd)
        if child.wants_agent and not child.stopping:
            self._start_agent(self._generation_of(child))

    # Children.

    def _generation(self, number: int, settings: Settings) -> Generation:
        kinds, app = self._kinds, self._app
        return Generation(number, settings, kinds, app, self._listeners, self._regions)

    def _spawn_all(self, generation: Generation) -> None:
        for slot in generation.slots():
            self._spawn(generation, slot)

    def _spawn(self, generation: Generation, slot: Slot) -> None:
        child = generation.spawn(slot, time.monotonic())
        self._children.append(child)
        self._poll.register(child.report_fd, select.POLLIN)
        self._hooks.spawned(child)

    def _generation_of(self, child: Child) -> Generation | None:
        found = (self._current, self._next)
        return next((each for each in found if each and each.number == child.generation), None)

    def _start_agent(self, generation: Generation | None) -> None:
        slot = generation.want_agent() if generation and not self._stopping else None
        if generation and slot:
            try:
                self._spawn(generation, slot)
            except OSError as error:
                if generation is self._next:
                    self._abandon_reload(str(error))
                else:
                    self._log.write("alert", f"cannot start the agent: {error}")
                    self._respawns.append((time.monotonic() + BACKOFF_MOST, slot))

    def _on_death(self, child: Child) -> None:
        self._children.remove(child)
        if child.report_fd >= 0:
            self._poll.unregister(child.report_fd)
        how = child.close(time.monotonic())
        self._hooks.died(child, how)
        if child.stopping:
            self._log.write("notice", f"{child} stopped")
        elif self._next and child.generation == self._next.number:
            self._abandon_reload(f"{child}: {how}")
        else:
            self._replace(child, how)

    def _replace(self, child: Child, how: str) -> None:
        slot, failures = (child.kind, child.index), self._current.failures
        del self._current.children[slot]
        young = not child.ready or time.monotonic() - child.since < YOUNG
        failures[slot] = failures.get(slot, 0) + 1 if young else 0
        if not self._announced and (child.reason or failures[slot] >= START_ATTEMPTS):
            self._fail(f"{child.kind.name} {child.index} cannot start: {how}")
            return
        delay = min(BACKOFF_FIRST * 2 ** (failures[slot] - 1), BACKOFF_MOST) if young else 0.0
        self._log.write("alert", f"{child}: {how}; replaced in {delay:g} s")
        self._respawns.append((time.monotonic() + delay, slot))

    def _respawn_due(self, now: float) -> None:
        due = [slot for when, slot in self._respawns if when <= now]
        self._respawns = [entry for entry in self._respawns if entry[0] > now]
        for slot in due:
            try:
                self._spawn(self._current, slot)
            except OSError as error:
                self._log.write("alert", f"cannot start {slot[0].name} {slot[1]}: {error}")
                self._respawns.append((now + BACKOFF_MOST, slot))

    def _on_progress(self) -> None:
        if self._stopping:
            return
        if not self._announced and self._current.ready:
            self._announced = True
            print(f"pygw {__version__}: {self._current.describe()}", flush=True)
            self._hooks.tell("pygw_master_ready", workers=self._current.settings.workers)
        if self._next and self._next.ready:
            self._finish_reload(self._next)
        if self._reload_wanted and self._announced and not self._next:
            self._reload_wanted = False
            self._begin_reload()

    # Reload.

    def _begin_reload(self) -> None:
        try:
            settings = self._load()
            self._hooks.check(settings)
            _open_log(settings).close()
            generation = self._generation(self._current.number + 1, settings)
        except (ConfigError, OSError) as error:
            self._log.write("emerg", f"reload refused, the old configuration stays: {error}")
            return
        self._next = generation
        try:
            generation.open_listeners()
            self._spawn_all(generation)
        except (ListenError, OSError) as error:
            self._abandon_reload(str(error))

    def _abandon_reload(self, reason: str) -> None:
        abandoned, self._next = self._next, None
        assert abandoned is not None
        self._log.write("emerg", f"reload failed, the old configuration stays: {reason}")
        for child in abandoned.children.values():
            child.stop(signal.SIGTERM, time.monotonic() + TERM_PATIENCE)
        abandoned.close()
        self._listeners.retain(self._current.sockets())
        self._regions.retain(self._current.settings.shared_dicts)

    def _finish_reload(self, generation: Generation) -> None:
        old, self._current, self._next = self._current, generation, None
        self._respawns.clear()
        patience = old.settings.worker_shutdown_timeout
        for child in old.children.values():
            child.stop(signal.SIGQUIT, time.monotonic() + patience)
        old.close()
        self._listeners.retain(generation.sockets())
        self._regions.retain(generation.settings.shared_dicts)
        self._log.close()
        self._log = _open_log(generation.settings)
        self._hooks.follow(self._log)
        for warning in generation.settings.warnings:
            self._log.write("warn", warning)
        self._log.write("notice", f"reloaded: {generation.describe()}")
        self._hooks.tell("pygw_master_reload", workers=generation.settings.workers)

    # Signals.

    def _fail(self, reason: str) -> None:
        self._failure = reason
        if self._log.path is not None:  # on stderr it would stand twice: run() raises it
            self._log.write("emerg", reason)
        self._stop_all(signal.SIGTERM, TERM_PATIENCE)

    def _on_term(self) -> None:
        self._stop_all(signal.SIGTERM, TERM_PATIENCE)

    def _on_quit(self) -> None:
        self._stop_all(signal.SIGQUIT, self._current.settings.worker_shutdown_timeout)

    def _stop_all(self, number: signal.Signals, patience: float) -> None:
        self._stopping = True
        self._respawns.clear()
        self._listeners.close()
        if self._next:
            self._next.close()
            self._next = None
        for child in self._children:
            if number == signal.SIGTERM or not child.stopping:
                child.stop(number, time.monotonic() + patience)

    def _on_hup(self) -> None:
        self._reload_wanted = True

    def _on_usr1(self) -> None:
        self._log.reopen()
        for child in self._children:
            child.send(signal.SIGUSR1)

    def _on_chld(self) -> None:
        """The turn looks for the dead anyway; the signal only had to wake it."""

    _handlers: Mapping[signal.Signals, Callable[[Master], None]] = {
        signal.SIGTERM: _on_term,
        signal.SIGINT: _on_term,
        signal.SIGQUIT: _on_quit,
        signal.SIGHUP: _on_hup,
        signal.SIGUSR1: _on_usr1,
        signal.SIGCHLD: _on_chld,
    }


def _open_log(settings: Settings) -> ErrorLog:
    return ErrorLog(settings.error_log, settings.error_log_level)
