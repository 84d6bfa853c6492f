"""Owns the start and the end of a gateway under test."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

import gevent
import yaml
from gevent import socket

from pygw.config.embedded import MEMORY, EmbeddedStore
from pygw.config.settings import load
from pygw.gateway import Gateway as Worker
from pygw.hub.clock import Clock, VirtualClock
from pygw.hub.interrupt import interrupts_here
from pygw.testing.gateway import Gateway
from pygw.testing.hooks import BUDGET, LuaHooks
from pygw.testing.upstream import Upstream
from pygw.vm import compiled
from pygw.vm.worker import Listener

_STEP = 1.0  # virtual seconds between looks at a gateway that stops


@contextlib.contextmanager
def running(
    directory: Path,
    config: Mapping[str, Any] | Path | None = None,
    *,
    clock: Clock | None = None,
    port: bool = False,
    autojump: float | None = 0.02,
    budget: int = BUDGET,
    seed: int = 0,
) -> Iterator[Gateway]:
    """Run a gateway for a `with` statement.

    directory: an empty one for its files. config: what config.yaml says, or that file itself.
    clock: default a virtual one, which begins at 1,700,000,000. port: listen on a free port of
    127.0.0.1, too. autojump: see Gateway. budget: instructions of Lua's that a request may take, 0
    for any number, with the JIT on. seed: where chance begins, 0 not to touch it; it also decides
    the order in which sockets that are ready at once are served.
    Raises ConfigError, ExtensionError or StartError.
    """
    if isinstance(config, Path):
        path = config
    else:
        path = directory / "config.yaml"
        path.write_text(yaml.safe_dump(dict(config or {})), encoding="utf-8")
    settings = load(path, overrides={("deployment", "role"): "traditional"})
    compiled.share()
    clock = clock or VirtualClock()
    upstream = Upstream()
    with contextlib.ExitStack() as stack:
        stack.enter_context(interrupts_here())
        stack.callback(upstream.stop)
        store = EmbeddedStore(MEMORY)
        stack.callback(store.close)
        log_fd = os.memfd_create("error.log", os.MFD_CLOEXEC)
        stack.callback(os.close, log_fd)
        listeners, bound = [Listener(-1)], None
        if port:
            listener = stack.enter_context(contextlib.closing(_listener()))
            bound = listener.getsockname()[1]
            listeners.append(Listener(listener.fileno()))
        worker = Worker(settings, 0, listeners, clock=clock, error_fd=log_fd, store=store)
        hooks = LuaHooks(worker.worker.runtime, budget)
        stack.callback(hooks.close)
        if seed:
            worker.worker.hub.reorder = Random(seed).shuffle
        if isinstance(clock, VirtualClock):
            clock.before_advance = hooks.refill
        worker.start()
        stack.callback(_stop, worker, clock)
        gateway = Gateway(worker, store, upstream, clock, log_fd, bound, autojump, hooks)
        gateway.inside.watch(seed)
        yield gateway


def _listener() -> Any:
    listener = socket.socket()
    listener.setblocking(False)
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    return listener


def _stop(worker: Worker, clock: Clock) -> None:
    """Timers of Lua's that sleep in virtual time would be waited for in vain."""
    worker.stop(graceful=False)
    ending = gevent.spawn(worker.run)
    while not ending.ready():
        gevent.sleep(0)
        if isinstance(clock, VirtualClock):
            clock.advance(_STEP)
    ending.get()
