"""Owns what `pygw check` prints: a line a plugin, or the details of one; the sum; or JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pygw.check.configuration import FileReport
from pygw.check.messages import shown
from pygw.check.model import Problem, Report

_NAMES_SHOWN = 3
_COUNTED = {
    "library": ("library missing", "libraries missing"),
    "module": ("module missing", "modules missing"),
    "missing": ("name missing", "names missing"),
    "load": ("error", "errors"),
    "plugin": ("fault of its table", "faults of its table"),
    "ended": ("early end", "early ends"),
}


def details(report: Report) -> Iterator[str]:
    """Everything about one plugin."""
    verdict = "ok" if report.ok else "FAIL"
    facts = report.facts
    known = [f"{key} {facts[key]}" for key in ("priority", "version") if key in facts]
    if phases := facts.get("phases"):
        known.append(", ".join(phases))
    yield f"{report.name}  {verdict}  {'; '.join([report.file, *known])}"
    for problem in report.problems:
        yield f"  {problem.where}: {problem.message}"
    for note in report.notes:
        yield f"  note: {note.where}: {note.message}"


def lines(reports: Sequence[Report], directory: Path) -> Iterator[str]:
    """A line a plugin of a directory."""
    yield f"{shown(directory)}:"
    width = max(len(report.name) for report in reports)
    for report in reports:
        verdict = "ok  " if report.ok else "FAIL"
        yield f"  {report.name:<{width}}  {verdict}  {_counts(report.problems)}".rstrip()


def total(reports: Sequence[Report]) -> str:
    """The last line."""
    failed = sum(not report.ok for report in reports)
    return f"{len(reports) - failed} of {len(reports)} plugins can run here"


def as_json(reports: Sequence[Report], files: Sequence[FileReport] = ()) -> str:
    """All of it, for programs."""
    failed = sum(not report.ok for report in reports)
    value: dict[str, Any] = {
        "passed": len(reports) - failed,
        "failed": failed,
        "plugins": [report.to_json() for report in reports],
    }
    if files:
        value["configurations"] = [each.to_json() for each in files]
    return json.dumps(value, indent=2)


def _counts(problems: Sequence[Problem]) -> str:
    counts = Counter(problem.kind for problem in problems)
    parts = [f"{count} {_COUNTED[kind][count > 1]}" for kind, count in counts.items()]
    names = [problem.what for problem in problems if problem.kind in ("library", "module")]
    more = ", …" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(parts) + (f" ({', '.join(names[:_NAMES_SHOWN])}{more})" if names else "")
