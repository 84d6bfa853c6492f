"""Owns the examination of one plugin: its source and its parts are read, it is loaded, and what it
reaches for is looked up in the VM. Runs in a process of its own (`isolation.py`)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pygw.check import messages
from pygw.check.machine import Machine
from pygw.check.model import Report, Target
from pygw.check.reach import Path as NamePath
from pygw.check.reach import Reach, Require
from pygw.check.statements import read_source
from pygw.check.tokens import LuaSyntaxError
from pygw.config.settings import Settings
from pygw.paths import find_lua_plugin

_PLUGINS = "apisix.plugins."


@dataclass(frozen=True)
class _Source:
    file: Path
    reach: Reach


def examine(target: Target, settings: Settings, tell: Callable[[str], None]) -> Report:
    """Check one plugin. tell: hears what is being done, for when it never ends."""
    report = Report(target.name, messages.shown(target.file))
    tell("its source was read")
    sources = list(_read(target, settings, report))
    tell("the gateway's modules were loaded")
    none = replace(settings, merged={**settings.merged, "plugins": []})
    machine = Machine(none, os.open(os.devnull, os.O_WRONLY))
    tell("it was loaded")
    loaded = machine.load(target.name, str(target.file))
    tell("what it reaches for was looked up")
    _find_modules(sources, machine, report)
    _find_paths(sources, machine, report)
    _judge(loaded, target, report)
    return report


def _read(target: Target, settings: Settings, report: Report) -> Iterator[_Source]:
    """The plugin's source and that of the plugin modules that it requires, and they."""
    due, seen = [target.file], {target.file}
    while due:
        file = due.pop()
        try:
            reach = read_source(file.read_bytes().decode("latin-1"))
        except LuaSyntaxError as error:
            if file != target.file:  # of the plugin's own file the VM tells
                report.problems.append(messages.unreadable(file, error))
            continue
        yield _Source(file, reach)
        for require in reach.requires:
            parts = [part for part in _parts(require, target, settings) if part not in seen]
            due += parts
            seen.update(parts)


def _parts(require: Require, target: Target, settings: Settings) -> Iterator[Path]:
    if not require.module.startswith(_PLUGINS):
        return
    name = require.module.removeprefix(_PLUGINS)
    if require.whole:
        file = find_lua_plugin(name, settings.lua_paths, settings.plugin_dirs)
        if file:
            yield file
    elif name:  # "limit-count.limit-count-" .. policy: each of them
        beginning = target.file.parent / name.replace(".", "/")
        yield from sorted(beginning.parent.glob(f"{beginning.name}*.lua")) if "." in name else ()


def _find_modules(sources: list[_Source], machine: Machine, report: Report) -> None:
    required: dict[str, list[tuple[_Source, Require]]] = {}
    for source in sources:
        for require in source.reach.requires:
            if require.whole:
                required.setdefault(require.module, []).append((source, require))
    asked = [{"module": module, "names": []} for module in required]
    for (module, places), answer in zip(required.items(), machine.find(asked), strict=True):
        failure = answer.get("failure")
        cause = failure and failure.get("missing")
        if failure and (cause in (None, module) or cause not in required):
            optional = all(require.optional for _, require in places)
            first, require = places[0]
            problem = messages.no_module(module, failure, first.file, require.line)
            (report.notes if optional else report.problems).append(problem)


@dataclass
class _Absence:
    """A path that is not there: where it is relied on, where only kept, and what is instead."""

    instead: list[str]
    needed: set[tuple[Path, int]] = field(default_factory=set)
    kept: set[tuple[Path, int]] = field(default_factory=set)


def _find_paths(sources: list[_Source], machine: Machine, report: Report) -> None:
    written = {path for source in sources for path in source.reach.written}
    uses = [(source, use) for source in sources for use in source.reach.uses]
    paths = list({use.path for _, use in uses})
    asked = [_question(path) for path in paths]
    answers = dict(zip(paths, machine.find(asked), strict=True))
    absences: dict[NamePath, _Absence] = {}
    for source, use in uses:
        answer = answers[use.path]
        if "at" not in answer:
            continue
        absent = NamePath(use.path.module, use.path.names[: answer["at"]])
        if not _excused(absent, source, written):
            absence = absences.setdefault(absent, _Absence(answer["names"]))
            leads_on = use.path != absent
            places = absence.needed if leads_on or use.manner != "keep" else absence.kept
            places.add((source.file, use.line))
    for absent, absence in absences.items():
        all_places = sorted(absence.needed | absence.kept)
        found = report.problems if absence.needed else report.notes
        found.append(messages.no_path(absent, all_places, absence.instead))


def _question(path: NamePath) -> dict[str, Any]:
    names = {"names": path.names}
    return {"module": path.module, **names} if path.module else names


def _excused(absent: NamePath, source: _Source, written: set[NamePath]) -> bool:
    """The file looks whether it is there before it relies on it, or the plugin puts it there."""
    return absent in source.reach.tested or not written.isdisjoint(absent.parents())


def _judge(loaded: dict[str, Any], target: Target, report: Report) -> None:
    report.facts = loaded.get("facts") or {}
    for fault in loaded.get("faults") or ():
        report.problems.append(messages.bad_table(target.file, fault))
    if refused := loaded.get("refused"):
        report.problems.append(messages.refused(target.file, refused))
    failure = loaded.get("failure")
    if failure and failure.get("missing") not in {each.what for each in report.problems}:
        report.problems.insert(0, messages.not_loaded(target, failure))
