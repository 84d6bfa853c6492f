"""Owns what tests do with pages of the documentation: the files that they show, and the commands.

A file is a name in backticks and a block of code; a command is a block `console` that begins with
"$ pytest", and shows what is printed, with … for what differs.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

_FILE = re.compile(r"^`?([\w./]+)`?(?::| :)?\n\n```(?:lua|python|perl)\n(.*?)^```$", re.M | re.S)
_INI = re.compile(r"this `(\S+)`:\n\n```ini\n(.*?)^```$", re.M | re.S)
_COMMAND = re.compile(r"^```console\n\$ (\S+) (.*?)\n(.*?)^```$", re.M | re.S)
_PATIENCE = 240.0  # seconds for one command


def write_files(text: str, directory: Path) -> None:
    """Write all files that a page shows."""
    files = dict(_FILE.findall(text)) | dict(_INI.findall(text))
    assert len(files) == len(re.findall(r"^```(?:lua|python|perl|ini)$", text, re.M))
    for name, content in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(content)


def commands(text: str) -> list[tuple[str, str]]:
    """The options of the pytest runs that a page shows, and what it says they print."""
    found = _COMMAND.findall(text)
    assert all(program == "pytest" for program, _, _ in found)
    return [(options, shown) for _, options, shown in found]


def run(options: str, shown: str, directory: Path) -> None:
    """Run pytest with options; it prints what is shown, and fails only where that says so."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *_words(options)],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE,
    )
    assert done.returncode == (" failed" in shown), done.stdout + done.stderr
    pattern = ".*".join(map(re.escape, shown.strip().split("…")))
    assert re.search(pattern, done.stdout, re.S), done.stdout


def _words(options: str) -> list[str]:
    return [quoted or plain for quoted, plain in re.findall(r'"([^"]*)"|(\S+)', options)]
