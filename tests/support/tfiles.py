"""Owns an author's project with t/*.t files, and the running of pytest as the author runs it there.

Must never judge what a run says; tests do.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "integration" / "tfiles" / "project"
PATIENCE = 200.0  # seconds for one run of pytest


@dataclass
class Run:
    """A run of pytest: its exit code, all that it printed, what became of each block."""

    code: int
    said: str
    passed: set[str] = field(default_factory=set)
    skipped: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def run(project: Path, *options: str, **env: str) -> Run:
    """Run pytest there. Blocks are named FILE::NAME, such as "own::TEST 1: this"."""
    results = project / "results.xml"
    results.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--junitxml={results}"]
    done = subprocess.run(
        [*command, "-c", "/dev/null", f"--rootdir={project}", *options],
        cwd=project,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    found = Run(done.returncode, done.stdout + done.stderr)
    if results.exists():
        for case in ElementTree.parse(results).iter("testcase"):
            _note(case, found)
    return found


def _note(case: ElementTree.Element, found: Run) -> None:
    name = f"{case.get('classname', '').rpartition('.')[0].rpartition('.')[2]}::{case.get('name')}"
    skipped, failure = case.find("skipped"), case.find("failure")
    if skipped is not None:
        found.skipped[name] = skipped.get("message", "")
    elif failure is not None:
        found.failed[name] = failure.text or ""
    else:
        found.passed.add(name)


def copied(directory: Path) -> Path:
    """The project in a directory of the test's own."""
    return shutil.copytree(PROJECT, directory / "shop")


def blocks_of(name: str) -> list[str]:
    """The names of a file's blocks, in order."""
    return re.findall(r"^=== (.*)$", (PROJECT / "t" / f"{name}.t").read_text(), re.M)
