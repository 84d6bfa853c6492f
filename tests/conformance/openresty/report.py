"""Owns what remains of a run: a table for people, every verdict for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pygw.testing.tfiles.run import FAILED, PASSED, SKIPPED, Verdict

_MARK = "<!-- What follows is made by the command that it names. -->\n"
_HEAD = f"""{_MARK}
## OpenResty's own test suites, block by block

These numbers are made by

    pytest tests/conformance --openresty DIR … --conformance-report docs/conformance.md

which runs the specifications (`t/*.t`) of the named checkouts, from outside this repository, on
pygw applications made from the blocks' nginx configuration, with OpenResty's restrictions by phase
on. A block that crashes or hangs the worker has failed. A block is skipped where it needs an nginx
module that is not part of ngx_lua, or concerns nginx alone; the reasons are counted below each
table. Lines that nginx writes to its log at the level debug, and what LuaJIT says of the traces it
compiles, are left out of what a block is judged by: all else that it expects must be so.
"""


@dataclass
class Outcome:
    """A block and how it ended."""

    checkout: Path
    path: Path
    name: str
    verdict: Verdict


def write_json(path: Path, outcomes: Iterable[Outcome]) -> None:
    """Every verdict: file, name, verdict, why, seconds and the log's end."""
    plain = [
        {
            "file": f"{each.checkout.name}/{each.path}",
            "name": each.name,
            "verdict": each.verdict.outcome,
            "why": each.verdict.why,
            "seconds": round(each.verdict.seconds, 3),
            "log": each.verdict.log if each.verdict.outcome == FAILED else "",
        }
        for each in sorted(outcomes, key=lambda each: (each.checkout, each.path, each.name))
    ]
    path.write_text(json.dumps(plain, indent=1) + "\n")


def write_table(path: Path, outcomes: list[Outcome], commits: Mapping[Path, str]) -> None:
    """The tables, one a checkout. commits: of the checkouts."""
    parts = [_HEAD]
    for checkout in sorted(commits, key=lambda each: each.name):
        mine = [each for each in outcomes if each.checkout == checkout]
        parts.append(f"\n### {checkout.name} at {commits[checkout] or 'an unknown commit'}\n\n")
        parts.append("\n".join(_table(mine)) + "\n")
        parts.append("\n".join(_reasons(mine)) + "\n")
    before = path.read_text().partition(_MARK)[0] if path.exists() else ""
    path.write_text(before + "".join(parts))


def _counts(outcomes: Iterable[Outcome]) -> Counter[str]:
    return Counter(each.verdict.outcome for each in outcomes)


def _row(name: str, counts: Counter[str]) -> str:
    run = counts[PASSED] + counts[FAILED]
    share = f"{100 * counts[PASSED] / run:.1f} %" if run else ""
    cells = [name, counts.total(), run, counts[PASSED], counts[FAILED], counts[SKIPPED], share]
    return "| " + " | ".join(str(each) for each in cells) + " |"


def _table(outcomes: list[Outcome]) -> Iterator[str]:
    yield "| file | blocks | run | passed | failed | skipped | passed of run |"
    yield "|---|---|---|---|---|---|---|"
    for path in sorted({each.path for each in outcomes}):
        yield _row(str(path), _counts(each for each in outcomes if each.path == path))
    yield _row("**all**", _counts(outcomes))


def _reasons(outcomes: list[Outcome]) -> Iterator[str]:
    ran = [each for each in outcomes if each.verdict.outcome != SKIPPED]
    count = sum(each.verdict.left_out > 0 for each in ran)
    yield f"\nBlocks that run, and have an expectation of nginx's debug log left out: {count}."
    skipped = [each for each in outcomes if each.verdict.outcome == SKIPPED]
    if not skipped:
        return
    yield "\n| why skipped | blocks |\n|---|---|"
    for why, count in Counter("; ".join(each.verdict.why) for each in skipped).most_common():
        yield f"| {' '.join(why.split()).replace('|', chr(92) + '|')} | {count} |"
