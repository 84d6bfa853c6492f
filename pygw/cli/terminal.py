"""Owns the lines that somebody types: readline with its history, while the worker goes on.

As long as no key is pressed the worker runs; from the first key of a line to its end it stands
still, since readline keeps the thread.
"""

from __future__ import annotations

import contextlib
import os
import readline
import sys
import termios
from pathlib import Path
from types import TracebackType
from typing import Any

import gevent.select

_HISTORY_LINES = 1000
_LOCAL_FLAGS = 3  # where termios keeps them
_CONTROL_CHARACTERS = 6


class Terminal:
    """stdin as a terminal, for a `with` statement; the history is in ~/.pygw_history."""

    def __init__(self) -> None:
        self._history = Path(os.environ.get("PYGW_HISTORY") or Path.home() / ".pygw_history")
        self._fd = sys.stdin.fileno()

    def __enter__(self) -> Terminal:
        readline.set_history_length(_HISTORY_LINES)
        with contextlib.suppress(OSError):
            readline.read_history_file(self._history)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            readline.write_history_file(self._history)

    def read(self, prompt: str) -> str:
        """One line. Raises EOFError, KeyboardInterrupt."""
        before = termios.tcgetattr(self._fd)
        try:
            self._set(before, echo=False)  # keys can be seen before Enter, and readline shows them
            print(prompt, end="", flush=True)
            gevent.select.select([self._fd], [], [])
            self._set(before, echo=True)  # readline looks at it
            print("\r", end="", flush=True)
            return input(prompt)
        finally:
            termios.tcsetattr(self._fd, termios.TCSADRAIN, before)

    def _set(self, attributes: list[Any], *, echo: bool) -> None:
        changed = list(attributes)
        changed[_LOCAL_FLAGS] &= ~(termios.ICANON | termios.ECHO)
        changed[_LOCAL_FLAGS] |= termios.ECHO if echo else 0
        controls = list(changed[_CONTROL_CHARACTERS])
        controls[termios.VMIN], controls[termios.VTIME] = 1, 0
        changed[_CONTROL_CHARACTERS] = controls
        termios.tcsetattr(self._fd, termios.TCSADRAIN, changed)
