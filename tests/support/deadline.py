"""Owns the rule that no test waits for ever, and that a run which is cut off has told its failures.

A test that takes too long fails where it waits, with the stacks of all greenlets, and the others
go on. One that does not even run Python any more (a spin in Lua) ends the run: faulthandler_timeout
in setup.cfg is longer than the limit here. Must never change what a test does within its time.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from types import FrameType

import gevent.util
import pytest
from greenlet import getcurrent

LIMIT = 240.0  # seconds for one test, its fixtures included


class TestTakesTooLong(BaseException):
    """Not an Exception: what a test or a server catches must not swallow it."""


def _interrupt(signum: int, frame: FrameType | None) -> None:
    error = TestTakesTooLong(f"after {LIMIT:g} s, in\n" + "\n".join(gevent.util.format_run_info()))
    main = getcurrent()
    while main.parent is not None:
        main = main.parent
    if main is getcurrent():
        raise error
    main.throw(error)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Arm the limit around setup, call and teardown together."""
    before = signal.signal(signal.SIGALRM, _interrupt)
    signal.setitimer(signal.ITIMER_REAL, LIMIT)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Teller:
    """Writes each failure as it happens."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            terminal = self._config.pluginmanager.get_plugin("terminalreporter")
            terminal.ensure_newline()
            terminal.section(f"{report.when} of {report.nodeid}", sep="_")
            terminal.write_line(report.longreprtext)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Teller(config), "failures-as-they-happen")
