"""Owns where Ctrl-C goes while a gateway runs in the process of a command or of a test.

Python raises KeyboardInterrupt in whichever greenlet runs when it comes: in the hub's it would end
that, and below Lua a pcall would take it for an error of a plugin. Must never swallow one.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent
from greenlet import getcurrent  # type: ignore[import-untyped]


@contextmanager
def interrupts_here(on_interrupt: Callable[[], None] = lambda: None) -> Iterator[None]:
    """For a `with` statement, Ctrl-C raises KeyboardInterrupt in this greenlet and in no other.

    on_interrupt: called first, at once, in any greenlet; it must not wait. Nothing changes in a
    thread that is not the main one, which Python tells of no signals, and where SIGINT is ignored.
    """
    owner = getcurrent()

    def interrupt(*_: object) -> None:
        on_interrupt()
        if getcurrent() is owner:
            raise KeyboardInterrupt
        gevent.get_hub().loop.run_callback(owner.throw, KeyboardInterrupt)

    ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    if ignored or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
