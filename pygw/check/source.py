"""Owns the reading of a configuration file that may be full of mistakes: its values, all that is
wrong with the writing of it, and where each value stands.

Reads as `pygw.config.standalone` does, but goes on after a mistake. Must never know what a value
means.
"""

from __future__ import annotations

import gc
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from pygw.check.places import Places
from pygw.check.values import Faults, Values, compose
from pygw.config.yamlfile import ConfigError, substitute

_END = re.compile(r"#END\s*\Z")
_VARIABLE = re.compile(r"\$\{\{\s*(\w+)\s*(?::=.*?)?\s*\}\}")


class Source:
    """A file as it was read. `value` is {} if nothing of it can be used.

    unknown: offsets of variables that are not set, so that nothing can be said of what holds them.
    """

    def __init__(self, path: Path, env: Mapping[str, str] | None = None) -> None:
        self.path = path
        self.value: dict[str, Any] = {}
        self.faults: Faults = []
        self.unknown: list[int] = []
        self._env = os.environ if env is None else env
        self._places = Places("", [])
        self.root: yaml.Node | None = None
        self._text: str | None = None
        try:
            text = path.read_bytes().decode()
        except OSError as error:
            self.faults.append((0, f"cannot be read: {error.strerror}"))
        except UnicodeDecodeError as error:
            self.faults.append((0, f"not UTF-8 (byte {error.start})"))
        else:
            self._text = text
            with _no_collection():
                self._read(text)

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column, from 1, of an offset of what was parsed; 0, 0 without a text."""
        if self._text is None:
            return 0, 0
        return self._places.line_and_column(offset)

    def holds_unknown(self, node: yaml.Node) -> bool:
        """Whether a variable that is not set stands within a node."""
        start, end = node.start_mark.index, node.end_mark.index
        return any(start <= offset < end for offset in self.unknown)

    def _read(self, written: str) -> None:
        as_json = self.path.suffix == ".json"
        text = written if as_json else self._substituted(written)
        if as_json:
            self._places = Places(text, [])
            try:
                json.loads(text)
            except json.JSONDecodeError as error:
                self.faults.append((error.pos, f"not valid JSON: {error.msg}"))
                return
        elif not _END.search(written):
            last = max(len(text.rstrip()) - 1, 0)
            line = text.rfind("\n", 0, last + 1) + 1
            why = "the last line must be #END (it tells a whole file from one half written)"
            self.faults.append((line, why))
        self.root = compose(text, self.faults)
        if self.root is None:
            return
        values = Values(self.faults, self._env if as_json else None)
        try:
            value = values.read(self.root)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            self.faults.append((mark.index if mark else 0, str(error.problem)))
            return
        self.unknown += values.unknown
        if isinstance(value, dict):
            self.value = value
        else:
            self.faults.append((0, "must be a table of lists, such as routes:"))

    def _substituted(self, written: str) -> str:
        """The text with the variables' values; those that are not set leave their name."""
        parts: list[str] = []
        moves: list[tuple[int, int, bool]] = []
        missing: list[tuple[int, str]] = []
        done = length = 0
        for match in _VARIABLE.finditer(written):
            parts.append(written[done : match.start()])
            moves.append((length, done, False))
            length += len(parts[-1])
            try:
                value = substitute(match[0], self._env, ConfigError)
            except ConfigError as error:
                value = match[1]
                missing.append((length, error.reason))
            parts.append(value)
            moves.append((length, match.start(), True))
            length += len(value)
            done = match.end()
        parts.append(written[done:])
        moves.append((length, done, False))
        self._places = Places(written, moves)
        self.faults += missing
        self.unknown = [offset for offset, _ in missing]
        return "".join(parts)


@contextmanager
def _no_collection() -> Iterator[None]:
    """A large file makes a million objects, none of them garbage."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
