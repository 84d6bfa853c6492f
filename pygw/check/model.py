"""Owns what `pygw check` finds: problems, and the report of one plugin, with its JSON form."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

# What is the matter: a module of the user's that is not there, one that pygw would have to have,
# a function or field that does not exist, the plugin's table, its end; boot: the gateway itself.
Kind = Literal["library", "module", "missing", "load", "plugin", "ended", "boot"]


@dataclass(frozen=True)
class Target:
    """A plugin to check: its name and its file."""

    name: str
    file: Path


@dataclass(frozen=True)
class Problem:
    """Why a plugin cannot run. what: the name that is missing; where: "file:line", or the file."""

    kind: Kind
    what: str
    where: str
    message: str


@dataclass
class Report:
    """What came of one plugin. notes: what it can do without; facts: its priority, phases, …."""

    name: str
    file: str
    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """As `--format json` prints it."""
        plain = asdict(self)
        facts = plain.pop("facts")
        return {"name": plain.pop("name"), "ok": self.ok, **facts, **plain}

    @staticmethod
    def from_json(plain: dict[str, Any]) -> Report:
        """The report that `to_json` wrote."""
        rest = {key: plain.pop(key) for key in ("name", "file", "problems", "notes")}
        plain.pop("ok")
        problems = [Problem(**each) for each in rest.pop("problems")]
        notes = [Problem(**each) for each in rest.pop("notes")]
        return Report(**rest, problems=problems, notes=notes, facts=plain)
