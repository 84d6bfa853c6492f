"""Fixtures of the unit tests: a virtual clock behind the Lua runtime."""

import ctypes
from collections.abc import Iterator
from typing import Any

import pytest


class CellClock:
    """The two doubles that Lua reads the time from, moved by hand."""

    def __init__(self) -> None:
        self.cell = (ctypes.c_double * 2)(1_700_000_000.0, 5_000.0)

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass on both the wall and the monotonic clock."""
        self.cell[0] += seconds
        self.cell[1] += seconds


@pytest.fixture
def clock(lua: Any) -> Iterator[CellClock]:
    """The time of the fixture `lua`; it stands still unless advanced."""
    virtual = CellClock()
    address = ctypes.addressof(virtual.cell)
    lua.execute('require("server.clock").attach(..., function() end)', address)
    yield virtual
    lua.execute('require("server.clock").attach(require("ffi").new("double[2]"), nil)')
