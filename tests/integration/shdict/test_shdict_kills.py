"""Processes that use one dictionary are killed at any moment: it stays whole, nobody waits."""

import mmap
import os
import random
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SUPPORT = Path(__file__).parents[2] / "support"
SIZE = 96 * 1024  # small, so that entries are evicted all the time
KILLS = 300
PATIENCE = 20.0  # seconds for a process to get on


class Hammers:
    """Processes that hammer a dictionary. `start(index)`, `kill(index)`, `count(index)`."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.fd = os.memfd_create("dictionary")
        self._progress_fd = os.memfd_create("progress")
        os.ftruncate(self._progress_fd, mmap.PAGESIZE)
        self._progress = mmap.mmap(self._progress_fd, mmap.PAGESIZE)
        command = [sys.executable, str(SUPPORT / "shdict_hammer.py")]
        self._mother = subprocess.Popen(
            [*command, str(self.fd), str(SIZE), str(self._progress_fd)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[self.fd, self._progress_fd],
            text=True,
        )
        self._pids: dict[int, int] = {}

    def start(self, index: int) -> None:
        assert self._mother.stdin
        assert self._mother.stdout
        self._mother.stdin.write(f"{index} {self._random.randrange(1 << 30)}\n")
        self._mother.stdin.flush()
        self._pids[index] = int(self._mother.stdout.readline())

    def count(self, index: int) -> int:
        """How many operations have been done by `index`; 0: which one found a torn value."""
        return int(struct.unpack_from("i", self._progress, index * 4)[0])

    def wait(self, index: int, operations: int) -> None:
        """Until so many more operations are done."""
        wanted, until = self.count(index) + operations, time.monotonic() + PATIENCE
        while self.count(index) < wanted:
            assert time.monotonic() < until, f"process {index} does not get on"
            os.sched_yield()

    def kill(self, index: int) -> None:
        pid = self._pids.pop(index)
        os.kill(pid, signal.SIGKILL)
        while Path(f"/proc/{pid}").exists():
            os.sched_yield()

    def close(self) -> None:
        assert self._mother.stdin
        assert self._mother.stdout
        for index in list(self._pids):
            self.kill(index)
        self._mother.stdin.close()
        self._mother.stdout.close()
        self._mother.wait(PATIENCE)
        self._progress.close()
        os.close(self._progress_fd)
        os.close(self.fd)


@pytest.fixture
def seed() -> int:
    """Of all that is random here; printed, for a failure to be tried again."""
    made = int(os.environ.get("PYGW_SHDICT_SEED", random.randrange(1 << 30)))
    print(f"PYGW_SHDICT_SEED={made}")
    return made


@pytest.fixture
def hammers(seed: int) -> Iterator[Hammers]:
    made = Hammers(seed)
    yield made
    made.close()


@pytest.fixture
def inspect(lua: Any, hammers: Hammers) -> Any:
    """Check the whole dictionary under its lock; returns how often it has been mended."""
    check = lua.execute((SUPPORT / "shdict_check.lua").read_text())
    lua.execute('d = require("ngx.shdict").declare("hammered", ...)', SIZE, hammers.fd)
    return lua.execute("""
        local check = ...
        local locked, layout = require("ngx.shdict.lock").locked, require("ngx.shdict.layout")
        return function()
            locked(d[1], check)
            return d[1].w[layout.REPAIRS]
        end
    """, check)  # fmt: skip


def test_the_dictionary_survives_any_death(hammers: Hammers, inspect: Any, seed: int) -> None:
    chance = random.Random(seed + 1)
    for index in (1, 2):
        hammers.start(index)
        hammers.wait(index, 1)
    for _ in range(KILLS):
        victim, survivor = chance.choice([(1, 2), (2, 1)])
        hammers.wait(victim, chance.randrange(200))
        hammers.kill(victim)
        hammers.wait(survivor, 20)
        inspect()
        assert hammers.count(0) == 0, "a torn value"
        hammers.start(victim)
        hammers.wait(victim, 1)
    assert inspect() > KILLS / 20, "too few of them died with the lock to prove anything"
