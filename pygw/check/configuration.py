"""Owns the check of a configuration file: everything that is wrong with it, and where.

Items are judged as a worker would judge them (`judge.py`). Must never stop at the first mistake,
nor change the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pygw.admin.address import id_text
from pygw.admin.resources import RESOURCES
from pygw.check.judge import Fault, Judge
from pygw.check.links import broken_links
from pygw.check.messages import shown
from pygw.check.places import node_at, offset_of
from pygw.check.reasons import part_of
from pygw.check.source import Source
from pygw.config.yamlfile import KeyPath, dotted

# Lists of their own in a file; the items of others stand among their owners'.
LISTS = tuple(name for name, resource in RESOURCES.items() if not resource.owners)
_OTHERS = {"plugins", "X-Last-Modified", "X-Digest"}
_OF_CONFIG_YAML = {"apisix", "deployment", "nginx_config", "plugin_attr", "pygw"}


@dataclass(frozen=True, order=True)
class Problem:
    """What is wrong at a place of the file; line 0: with the file as a whole.

    item: 'routes[2] "id"', or the path; "" if neither.
    """

    line: int
    column: int
    item: str
    message: str

    def text(self, file: str) -> str:
        """The line that is printed."""
        where = f"{file}:{self.line}:{self.column}" if self.line else file
        return ": ".join(part for part in (where, self.item, self.message) if part)


@dataclass
class FileReport:
    """What came of a file. counts: list -> its number of items."""

    file: str
    problems: list[Problem] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not self.problems

    def lines(self) -> Iterator[str]:
        """As it is printed."""
        for problem in self.problems:
            yield problem.text(self.file)
        counted = ", ".join(
            f"{count} {name[:-1] if count == 1 and name.endswith('s') else name}"
            for name, count in self.counts.items()
        )
        found = len(self.problems)
        verdict = f"{found} problem{'s' * (found != 1)}" if found else "ok"
        yield f"{self.file}: {verdict} ({counted or 'nothing in it'})"

    def to_json(self) -> dict[str, Any]:
        """As `--format json` prints it."""
        return {"ok": self.ok, **asdict(self)}


def check_file(path: Path, judge: Judge) -> FileReport:
    """Check the file, which need not exist."""
    source = Source(path)
    report = FileReport(shown(path))
    report.problems = sorted({*_of_writing(source), *_Check(source, judge, report.counts).run()})
    return report


def _of_writing(source: Source) -> Iterator[Problem]:
    for offset, message in source.faults:
        yield Problem(*source.place(offset), "", message)


class _Check:
    def __init__(self, source: Source, judge: Judge, counts: dict[str, int]) -> None:
        self._source, self._judge, self._counts = source, judge, counts
        self._ids: dict[str, dict[str, Any]] = {}
        self._first: dict[tuple[str, str], int] = {}

    def run(self) -> Iterator[Problem]:
        value = self._source.value
        yield from self._kinds()
        lists = [name for name in value if self._is_list(name) and isinstance(value[name], list)]
        for name in lists:
            self._counts[name] = len(value[name])
            yield from self._identify(name, value[name])
        for name in lists:
            yield from self._judged(name, value[name])
            yield from self._linked(name, value[name])

    def _is_list(self, name: str) -> bool:
        return name in LISTS or (name in self._judge.directories and name != "plugins")

    def _kinds(self) -> Iterator[Problem]:
        known = {*LISTS, *self._judge.directories} - {"credentials"}
        for name, value in self._source.value.items():
            if self._is_list(name) or name == "plugins":
                if value is not None and not isinstance(value, list):
                    yield self._problem((name,), "must be a list")
                elif name == "plugins" and value is not None:
                    for fault in self._judge.judge(name, [("/plugins", value)]).get(0, ()):
                        path, key = part_of(fault.message, value, None)
                        yield self._problem((name, *path), fault.message, key=key)
            elif name.removesuffix("_conf_version") not in known and name not in _OTHERS:
                yield self._problem((name,), _unknown(name, known), key=True)

    def _identify(self, name: str, items: list[Any]) -> Iterator[Problem]:
        """Learn the ids of a list; those that stand twice are problems."""
        ids = self._ids.setdefault(name, {})
        for i, item in enumerate(items):
            own = _id(item)
            if own is None:
                continue
            if own in ids:
                line, _ = self._source.place(self._offset((name, self._first[name, own])))
                field_name = "username" if item.get("id") is None else "id"
                message = f"the {field_name} {own} stands twice (first on line {line})"
                yield self._problem((name, i, field_name), message)
            else:
                ids[own] = item
                self._first[name, own] = i

    def _judged(self, name: str, items: list[Any]) -> Iterator[Problem]:
        keyed, numbers = [], []
        for i, item in enumerate(items):
            if not isinstance(item, dict):
                yield self._problem((name, i), "must be a table")
            elif not self._is_unknown((name, i)):
                stated = {key: item[key] for key in item if key != "modifiedIndex"}
                keyed.append((f"/{name}/{_id(item) or f'arr_{i + 1}'}", stated))
                numbers.append(i)
        for found, faults in self._judge.judge(name, keyed).items():
            for fault in faults:
                yield self._fault(name, numbers[found], items[numbers[found]], fault)

    def _fault(self, name: str, i: int, item: Any, fault: Fault) -> Problem:
        path, key = part_of(fault.message, item, fault.plugin)
        message = fault.message
        if fault.plugin in self._judge.broken:  # not loaded: the fault says no more than that
            message += f": {self._judge.broken[fault.plugin]}"
        return self._problem((name, i, *path), message, key=key)

    def _linked(self, name: str, items: list[Any]) -> Iterator[Problem]:
        for i, item in enumerate(items):
            if isinstance(item, dict):
                for path, message in broken_links(name, item, self._ids):
                    if not self._is_unknown((name, i, *path)):
                        yield self._problem((name, i, *path), message)

    def _is_unknown(self, path: KeyPath) -> bool:
        source = self._source
        if not source.unknown or source.root is None:
            return False
        return source.holds_unknown(node_at(source.root, path))

    def _offset(self, path: KeyPath, *, key: bool = False) -> int:
        assert self._source.root is not None
        return offset_of(self._source.root, path, key=key)

    def _problem(self, path: KeyPath, message: str, *, key: bool = False) -> Problem:
        place = self._source.place(self._offset(path, key=key))
        return Problem(*place, self._named(path), message)

    def _named(self, path: KeyPath) -> str:
        text = dotted(path[:2])
        if len(path) > 1 and path[0] != "plugins":
            own = _id(self._source.value[str(path[0])][path[1]])
            text += "" if own is None else f' "{own}"'
        return text


def _id(item: Any) -> str | None:
    """The id under which a worker keeps an item, if the file says it."""
    if not isinstance(item, dict):
        return None
    own = item.get("id") if item.get("id") is not None else item.get("username")
    return None if own is None or isinstance(own, dict | list) else id_text(own)


def _unknown(name: str, known: set[str]) -> str:
    if name in _OF_CONFIG_YAML:
        return "is a key of config.yaml, which `pygw test -c` checks"
    if name == "credentials":
        return "stand among consumers here, with an id such as NAME/credentials/ID"
    close = get_close_matches(name, sorted(known), 1)
    return "is no kind of resource" + (f"; did you mean {close[0]}?" if close else "")
