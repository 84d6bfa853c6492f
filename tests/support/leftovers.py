"""Owns the rule that a test leaves no process, descriptor or greenlet behind.

Each test is looked at, cheaply; at the end of a module also what takes longer to find: processes
that no parent knows any more, greenlets that gevent did not spawn. What fixtures of a wider scope
make is theirs. Must never end what it finds: the test that left it is to do so.
"""

from __future__ import annotations

import contextlib
import gc
import os
import time
import traceback
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from greenlet import getcurrent, greenlet

PATIENCE = 5.0  # seconds that what is about to end may take
MARK = f"PYGW_TESTS={os.getpid()}"  # in the environment of all that tests start
SPAWNED: weakref.WeakSet[gevent.Greenlet] = weakref.WeakSet()

Held = dict[tuple[str, Any], str]  # what lives: its kind and number, and what it is


def pytest_configure() -> None:
    """Begin to watch; have gevent open what it opens once in a process."""
    os.environ.update([MARK.split("=")])
    gevent.Greenlet.add_spawn_callback(SPAWNED.add)
    gevent.get_hub().threadpool.apply(gevent.sleep)


def pytest_unconfigure() -> None:
    gevent.Greenlet.remove_spawn_callback(SPAWNED.add)


class Watch:
    """Knows what lived before a test (or, `deep`, a module), and what is new.

    A server that a module's tests share, in this process, takes connections and spawns greenlets
    while one of them runs: those are looked at when the module ends.
    """

    def __init__(self, deep: bool) -> None:
        self._deep = deep
        self._shared = not deep and bool(_spawned_greenlets())
        self.allowed = self.held()

    def held(self) -> Held:
        if self._deep:
            return {**_descriptors(), **_descendants(), **_all_greenlets()}
        if self._shared:
            return {**_descriptors(sockets=False), **_children()}
        return {**_descriptors(), **_children(), **_spawned_greenlets()}

    def new(self) -> Held:
        """What is new. A process that a test has killed and started again is not."""
        commands = {what for (kind, _), what in self.allowed.items() if kind == "process"}
        return {
            key: what
            for key, what in self.held().items()
            if key not in self.allowed and not (key[0] == "process" and what in commands)
        }

    def check(self) -> None:
        """Fail unless all that is new ends within PATIENCE."""
        deadline = time.monotonic() + PATIENCE
        pause = 0.001
        while found := self.new():
            gc.collect()
            gevent.sleep(pause)
            pause *= 2
            if time.monotonic() > deadline:
                lines = [f"{kind} {which} {what}".rstrip() for (kind, which), what in found.items()]
                pytest.fail("\n".join(["left behind:", *lines]), pytrace=False)


WATCHES: dict[str, Watch] = {}  # by scope


def _watch(scope: str) -> Iterator[None]:
    watch = WATCHES[scope] = Watch(deep=scope == "module")
    yield
    del WATCHES[scope]
    watch.check()


@pytest.fixture(scope="module", autouse=True)
def _a_module_leaves_nothing_behind() -> Iterator[None]:
    yield from _watch("module")


@pytest.fixture(autouse=True)
def _a_test_leaves_nothing_behind() -> Iterator[None]:
    yield from _watch("function")


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Iterator[Any]:
    """What a fixture makes that outlives the scope under watch is none of that scope's."""
    narrower = {"module": ("function",), "session": ("function", "module")}
    watches = [WATCHES[name] for name in narrower.get(fixturedef.scope, ()) if name in WATCHES]
    before = [watch.new() for watch in watches]
    result = yield
    for watch, known in zip(watches, before, strict=True):
        watch.allowed.update(
            (each, name) for each, name in watch.new().items() if each not in known
        )
    return result


def _descriptors(sockets: bool = True) -> Held:
    found: Held = {}
    for number in set(os.listdir("/proc/self/fd")) - {"0", "1", "2"}:
        with contextlib.suppress(OSError):  # the one that lists them is closed again
            target = os.readlink(f"/proc/self/fd/{number}")
            if sockets or not target.startswith("socket:"):
                found["descriptor", f"{number} ({target})"] = ""
    return found


def _children() -> Held:
    pids: list[str] = []
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError):  # a thread that has ended
            pids += Path(f"/proc/self/task/{thread}/children").read_text().split()
    return _processes(pids)


def _descendants() -> Held:
    """Those too that no parent knows any more, by the environment that they have from here."""
    pids: list[str] = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # another user's, or one that has ended
            if MARK.encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                pids.append(pid)
    return {**_children(), **_processes(pids)}


def _processes(pids: list[str]) -> Held:
    found: Held = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
            # One that takes a new name has none for a moment: it is known by its number.
            found["process", pid] = command or "(ended, and nobody has waited for it)"
    return found


def _spawned_greenlets() -> Held:
    return {("greenlet", id(each)): _describe(each) for each in list(SPAWNED) if _counts(each)}


def _all_greenlets() -> Held:
    root = _root(getcurrent())
    return {
        ("greenlet", id(each)): _describe(each)
        for each in gc.get_objects()
        if issubclass(type(each), greenlet) and _counts(each)
        if _root(each) is root  # not one of another thread
    }


def _counts(each: Any) -> bool:
    """Whether it is alive, and none that gevent or gRPC keep for good."""
    forever = each.parent is None or each is gevent.get_hub() or "spawn_greenlets" in repr(each)
    return bool(each) and not forever


def _root(each: Any) -> Any:
    while each.parent is not None:
        each = each.parent
    return each


def _describe(each: Any) -> str:
    frame = each.gr_frame
    where = "".join(traceback.format_stack(frame, limit=3)) if frame else ""
    return f"{each!r}\n{where}".rstrip()
