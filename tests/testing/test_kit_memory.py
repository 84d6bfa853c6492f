"""What gateways under test leave in the memory of the process when they have ended: nothing."""

from __future__ import annotations

import gc
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pygw.testing import running
from pygw.vm.luajit import LuaRuntime

LIMIT = {"count": 2, "time_window": 60, "rejected_code": 429, "key": "remote_addr"}
SAMPLES = 10
WARM = 4
MOST = 400  # KiB for each gateway: one that leaves its shared dictionaries behind leaves 1800

KEEPING = """
import gc, pytest
from pygw.vm.luajit import LuaRuntime

@pytest.mark.parametrize("number", range(5))
def test_it(gateway, number):
    gc.collect()
    assert sum(isinstance(each, LuaRuntime) for each in gc.get_objects()) == 1
"""


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No cycle is collected meanwhile: in a process with many objects that is rare."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def serve(directory: Path) -> None:
    directory.mkdir()
    with running(directory) as gateway:
        path = gateway.route({"limit-count": LIMIT})
        assert gateway.get(path).status == 200


def resident() -> int:
    """KiB of anonymous memory that the process has in use."""
    found = re.search(r"^Anonymous: +(\d+) kB", Path("/proc/self/smaps_rollup").read_text(), re.M)
    assert found
    return int(found[1])


def runtimes() -> int:
    return sum(isinstance(each, LuaRuntime) for each in gc.get_objects())


@pytest.mark.usefixtures("uncollected")
def test_memory_does_not_grow_with_the_number_of_gateways(tmp_path: Path) -> None:
    for number in range(WARM):
        serve(tmp_path / f"warm{number}")
    before = resident(), runtimes()
    for number in range(SAMPLES):
        serve(tmp_path / str(number))
    assert runtimes() == before[1]
    assert (resident() - before[0]) / SAMPLES < MOST


def test_pytest_keeps_no_gateway_that_has_ended(tmp_path: Path) -> None:
    (tmp_path / "test_keeping.py").write_text(KEEPING)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_keeping.py"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
