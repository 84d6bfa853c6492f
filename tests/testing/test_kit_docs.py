"""docs/testing-plugins.md, executed: its files are written, its commands print what it shows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "testing-plugins.md"
FILE = re.compile(r"^`?([\w.]+)`?(?::| :)?\n\n```(?:lua|python)\n(.*?)^```$", re.M | re.S)
INI = re.compile(r"this `(\S+)`:\n\n```ini\n(.*?)^```$", re.M | re.S)
COMMAND = re.compile(r"^```console\n\$ (\S+) (.*?)\n(.*?)^```$", re.M | re.S)


def test_all_that_it_shows_holds(tmp_path: Path) -> None:
    text = PAGE.read_text()
    files = dict(FILE.findall(text)) | dict(INI.findall(text))
    assert len(files) == len(re.findall(r"^```(?:lua|python|ini)$", text, re.M))
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    commands = COMMAND.findall(text)
    assert len(commands) == 2
    for program, options, shown in [*commands, ("pytest", "-q", "…")]:
        assert program == "pytest"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options.split()],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        pattern = ".*".join(map(re.escape, shown.strip().split("…")))
        assert re.search(pattern, done.stdout, re.S), done.stdout


def test_every_fixture_and_option_is_described() -> None:
    text = PAGE.read_text()
    code = (PAGE.parents[1] / "pygw" / "testing" / "plugin.py").read_text()
    fixtures = re.findall(r"@pytest\.fixture\ndef (\w+)", code)
    options = re.findall(r'"(--[\w-]+)"|addini\(\s*"(\w+)"', code)
    assert len(fixtures) == 4
    for name in [*fixtures, *(option or ini for option, ini in options)]:
        assert name in text
