"""The watch over what tests leave behind, seen from a test run of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
HEAD = """
import os, socket, subprocess
import gevent, pytest
from greenlet import getcurrent, greenlet
from support import leftovers
leftovers.PATIENCE = {patience}
kept = []
"""

# what a test does, and the kind of thing that it is told to have left
LEAVING = {
    "a process": ('kept.append(subprocess.Popen(["cat"], stdin=subprocess.PIPE))', "process "),
    "a process that nobody waits for": (
        'p = subprocess.Popen(["true"]); os.waitid(os.P_PID, p.pid, os.WEXITED | os.WNOWAIT);'
        " kept.append(p)",
        "(ended, and nobody has waited for it)",
    ),
    "a socket": ("kept.append(socket.socket())", "descriptor "),
    "a file": ('os.open("/dev/null", os.O_RDONLY)', "(/dev/null)"),
    "a greenlet": ("kept.append(gevent.spawn(gevent.sleep, 3600))", "greenlet "),
}
LEAVING_A_MODULE = {
    "a plain greenlet": (
        "g = greenlet(lambda: getcurrent().parent.switch()); g.switch(); kept.append(g)",
        "greenlet ",
    ),
    "an orphan": (
        "r, w = os.pipe(); kept.append(w); s = os.fdopen(r);"
        ' subprocess.run(["sh", "-c", "exec 3<&0; cat <&3 >/dev/null &"], stdin=s); s.close()',
        "cat",
    ),
}
CLEAN = {
    "what ends in a moment": "gevent.spawn(gevent.sleep, 0.01)",
    "what is closed": "socket.socket().close()",
    "a process that was waited for": 'subprocess.run(["true"], check=True)',
}


def run(directory: Path, body: str, patience: float) -> str:
    """The output of a test run over one test that does `body`."""
    module = directory / "test_it.py"
    module.write_text(
        HEAD.format(patience=patience) + "def test_it():\n    " + body.replace("\n", "\n    ")
    )
    environment = {**os.environ, "PYTHONPATH": str(TESTS), "PYTEST_ADDOPTS": ""}
    command = [sys.executable, "-m", "pytest", "-p", "support.leftovers", "-q", "-c", os.devnull]
    done = subprocess.run(
        [*command, f"--rootdir={directory}", str(module)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("what", [*LEAVING, *LEAVING_A_MODULE])
def test_who_leaves_something_is_failed_and_told_what(what: str, tmp_path: Path) -> None:
    body, named = {**LEAVING, **LEAVING_A_MODULE}[what]
    output = run(tmp_path, body, patience=0)
    told = output.partition("left behind:")[2]
    assert named in told, output
    assert "1 passed, 1 error" in output


@pytest.mark.parametrize("what", CLEAN)
def test_who_leaves_nothing_passes(what: str, tmp_path: Path) -> None:
    output = run(tmp_path, CLEAN[what], patience=5)
    assert "1 passed in" in output, output


def test_a_process_that_a_test_starts_anew_is_not_new(tmp_path: Path) -> None:
    body = (
        'start = lambda: subprocess.Popen(["cat"], stdin=subprocess.PIPE)\n'
        "first = start()\n"
        "watch = leftovers.Watch(deep=False)\n"
        "first.communicate()\n"
        "second = start()\n"
        'assert "process" not in {kind for kind, _ in watch.new()}\n'
        "second.communicate()\n"
    )
    output = run(tmp_path, body, patience=5)
    assert "1 passed in" in output, output
