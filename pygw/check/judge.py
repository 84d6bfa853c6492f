"""Owns the judging of items by the Lua checks that a worker has: the VM, and what is asked of it.

Must never touch the store, nor know where an item comes from.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from pygw.check.machine import Machine
from pygw.config.settings import Settings
from pygw.paths import LUA_DIR
from pygw.plugin import Plugin
from pygw.vm.python_describe import checker_of, describe
from pygw.vm.worker import StartError

_APPLICATION = LUA_DIR / "apisix/check/configuration.lua"
_AT_ONCE = 2000  # items per question: it is the VM's memory that a longer one would cost


class Fault(NamedTuple):
    """What is wrong with an item; plugin: with whose configuration in it."""

    message: str
    plugin: str | None = None


class Judge:
    """Judges items as a worker with these settings would. Raises StartError.

    directories: the lists that a worker reads. broken: Python plugins whose schema is none, with
    the reason; they count as absent.
    """

    def __init__(self, settings: Settings, plugins: Mapping[str, Plugin]) -> None:
        described = describe(plugins.values())
        self._log = os.open(os.devnull, os.O_WRONLY)
        try:
            self._machine = Machine(
                settings, self._log, _APPLICATION, described, checker_of(plugins)
            )
        except StartError:
            os.close(self._log)
            raise
        found = json.loads(self._machine.call("describe"))
        self.directories = frozenset(found["directories"])
        self.broken: dict[str, str] = dict(found["broken"] or {})

    def judge(self, directory: str, items: Sequence[tuple[str, Any]]) -> dict[int, list[Fault]]:
        """The faults of those of the items (key, value) that have any, by their number."""
        found: dict[int, list[Fault]] = {}
        for first in range(0, len(items), _AT_ONCE):
            part = [{"key": key, "value": value} for key, value in items[first : first + _AT_ONCE]]
            answer = json.loads(self._machine.call("judge", directory, json.dumps(part)))
            for number, faults in dict(answer or {}).items():
                found[first + int(number) - 1] = [Fault(*fault) for fault in faults]
        return found

    def close(self) -> None:
        """Let go of the VM's descriptors. Once."""
        self._machine.close()
        os.close(self._log)


def as_file(settings: Settings) -> Settings:
    """Settings of a gateway whose configuration is a file."""
    merged = dict(settings.merged)
    merged["deployment"] = {
        **(merged.get("deployment") or {}),
        "role": "data_plane",
        "config_provider": "yaml",
    }
    return replace(settings, merged=merged, provider="yaml")
