"""Owns a worker: a hub, a Lua VM and the bridge between them, from start to stop.

Must never know how the process came to be (that is `pygw.process`), nor what the application does.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

import gevent
from gevent import socket
from gevent.event import Event

from pygw.config.model import Settings
from pygw.hub.clock import Clock
from pygw.hub.epoll import EpollHub
from pygw.hub.timers import NgxTimers
from pygw.vm.bridge import Bridge
from pygw.vm.cache_sweep import sweep_cache
from pygw.vm.runtime import create_runtime
from pygw.vm.worker_thread import WorkerThreads

log = logging.getLogger(__name__)

Process = Literal["single", "worker", "privileged agent"]

_LEVELS = ("stderr", "emerg", "alert", "crit", "error", "warn", "notice", "info", "debug")
_STOP_POLL = 0.005  # seconds between looks at the timers that still run while the worker stops
_TIMERS_GRACE = 2.0  # seconds that timers get to notice that the worker exits


class StartError(Exception):
    """The Lua side could not start; the message says why, with a Lua traceback."""


@dataclass(frozen=True)
class Listener:
    """A listening, non-blocking socket; fd -1: connections are only handed over to it.

    tls: its connections begin with a TLS handshake.

    site: what answers there, see `Listen`.
    """

    fd: int
    tls: bool = False
    site: str = ""


class Worker:
    """One worker: serves `listeners` with the application until it is stopped.

    listeners: the application knows them by their number, from 1 on; a bare descriptor is one of
    plain HTTP. strict: put OpenResty's restrictions of what may be called in which phase in force.
    app: path of a Lua file that returns an application; None is the gateway (`apisix`).
    clock: the hub's clock; tests pass a VirtualClock. error_fd: where Lua's log lines go.
    shared_fds: the files of the shared dictionaries by name, which it closes once it has mapped
    them; a dictionary without one is the worker's alone.
    process: what it tells Lua to be. wants_agent: whether Lua asked for a privileged agent.
    hooks: names of the Python hooks that have implementations.
    calls, awaits: further bridge functions (see `Bridge`).
    """

    def __init__(
        self,
        settings: Settings,
        worker_id: int,
        listeners: Sequence[Listener | int],
        app: str | None = None,
        *,
        clock: Clock | None = None,
        error_fd: int = 2,
        strict: bool = False,
        process: Process = "single",
        shared_fds: Mapping[str, int] | None = None,
        hooks: Sequence[str] = (),
        calls: Mapping[str, Callable[..., Any]] | None = None,
        awaits: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        self.settings = settings
        self.id = worker_id
        self.wants_agent = False
        self.hub = EpollHub(clock or Clock())
        self.timers = NgxTimers(self.hub, settings.max_pending_timers, settings.max_running_timers)
        self._started = Event()
        self._stopped = Event()
        self._failure: str | None = None
        self._listeners = [
            each if isinstance(each, Listener) else Listener(each) for each in listeners
        ]
        self._shared_fds = dict(shared_fds or {})
        self._config = boot_config(
            settings, worker_id, self._listeners, app, error_fd, strict, process, self._shared_fds
        )
        self._config["hooks"] = list(hooks)
        new_runtime = partial(
            create_runtime, settings.lua_paths, settings.lua_cpaths, settings.plugin_dirs
        )
        self.runtime = new_runtime()
        self._threads = WorkerThreads(new_runtime)
        self._reopened = 0.0
        self.bridge = Bridge(
            self.runtime,
            self.hub,
            self.timers,
            {
                "local_conf": settings.to_json,
                "started": self._on_started,
                "stopped": self._stopped.set,
                "want_agent": self._on_agent_wanted,
                "quit": partial(self.stop, graceful=True),
                "last_reopen": lambda: self._reopened,
                **(calls or {}),
            },
            {
                "resolve": _resolve,
                "run_worker_thread": self._threads.run,
                "sweep_cache": sweep_cache,
                **(awaits or {}),
            },
        )

    def start(self) -> None:
        """Start the hub and boot Lua; return when it serves. Raises StartError."""
        self.hub.start()
        self.bridge.start(self._config)
        self._started.wait()
        for fd in self._shared_fds.values():
            os.close(fd)
        if self._failure is not None:
            self.hub.stop()
            raise StartError(self._failure)

    def note_reopen(self) -> None:
        """Logs were opened anew: Lua code that has files of its own asks when."""
        self._reopened = self.hub.clock.now * 1000

    def run(self) -> None:
        """Serve until `stop`; to be called after `start`."""
        self._stopped.wait()
        self.timers.shutdown()
        with gevent.Timeout(_TIMERS_GRACE, False):
            while self.timers.pending_count or self.timers.running_count:
                gevent.sleep(_STOP_POLL)
        self.hub.stop()
        self.bridge.close_all()
        self._threads.close()

    def let_go(self) -> None:
        """Hold nothing of Lua's any more, after `run`: the VM is closed when nobody else does."""
        self.bridge.let_go()
        del self.runtime

    def stop(self, graceful: bool) -> None:
        """Begin to stop: at once, or after the requests that are under way. Returns immediately."""
        for listener in self._listeners:  # the master's copy would keep its events coming
            if listener.fd >= 0:
                self.hub.remove_io(listener.fd)
        self.bridge.stop(graceful)

    def _on_agent_wanted(self) -> None:
        self.wants_agent = True

    def _on_started(self, failure: str | None) -> None:
        self._failure = failure
        self._started.set()


def boot_config(
    settings: Settings,
    worker_id: int,
    listeners: Sequence[Listener],
    app: str | None,
    error_fd: int,
    strict: bool = False,
    process: Process = "single",
    shared_fds: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """What `start` of lua/server/main.lua wants to know.

    Another application than the gateway has what config.yaml says of TLS when that says HTTPS.
    """
    has_tls = app is None or any(address.tls for address in settings.listen)
    return {
        "id": worker_id,
        "count": settings.workers,
        "process": process,
        "prefix": f"{settings.base}/",
        "app": app,
        "listeners": [asdict(listener) for listener in listeners],
        "strict": strict,
        "log_fd": error_fd,
        "log_level": _LEVELS.index(settings.error_log_level),
        "http": {**asdict(settings.http), **(asdict(settings.tls) if has_tls else {})},
        "shared_dicts": dict(settings.shared_dicts),
        "shared_fds": dict(shared_fds or {}),
        "hooks": [],
    }


def _resolve(host: str, kind: str = "A") -> list[str]:
    """The addresses of a host name: kind "A" (IPv4) or "AAAA". Raises OSError."""
    if any(not 0 < len(label) < 64 for label in host.removesuffix(".").split(".")):
        raise OSError(f"not a host name: {host[:100]}")  # Python's codec for names would fail on it
    family = socket.AF_INET6 if kind == "AAAA" else socket.AF_INET
    found = socket.getaddrinfo(host, None, family, socket.SOCK_STREAM)
    return sorted({str(entry[4][0]) for entry in found})
