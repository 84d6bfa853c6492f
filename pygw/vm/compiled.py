"""Owns the compiled code of pygw's own Lua files, for a process that makes many runtimes: tests.

To compile them is most of what the start of a gateway takes. Must never hand out the code of a file
that has changed since.
"""

from __future__ import annotations

import os
import time

from pygw.paths import LUA_DIR, PLUGINS_DIR

_OURS = (f"{LUA_DIR}/", f"{PLUGINS_DIR}/")
_SETTLED = 2_000_000_000  # nanoseconds: a file of late may change again within one tick of mtime

_State = str | tuple[int, int]


class Compiled:
    """Bytecode by file. `state`: the file's text, if Lua has read it already."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[_State, bytes]] = {}

    def find(self, file: str, text: str | None = None) -> bytes | None:
        """The bytecode of a file that is as it was."""
        kept = self._kept.get(file)
        if kept is None or kept[0] != (text or _stamp(file)):
            return None
        return kept[1]

    def keep(self, file: str, bytecode: str, text: str | None = None) -> None:
        """Take note of what a file has been compiled to just now; of files of ours alone."""
        if not file.startswith(_OURS):
            return
        state = text or _stamp(file)
        if isinstance(state, str) or time.time_ns() - state[0] > _SETTLED:
            self._kept[file] = state, bytecode.encode("latin-1")


def _stamp(file: str) -> tuple[int, int]:
    try:
        found = os.stat(file)
    except OSError:
        return 0, -1
    return found.st_mtime_ns, found.st_size


#: What runtimes of this process share; None: each compiles for itself.
shared: Compiled | None = None


def share() -> None:
    """Let all runtimes that are made from now on share what they compile."""
    global shared  # noqa: PLW0603 - of the process
    shared = shared or Compiled()
