"""docs/testing-plugins.md, executed: its files are written, its commands print what it shows."""

from __future__ import annotations

import re
from pathlib import Path

from support import pages

PAGE = Path(__file__).resolve().parents[2] / "docs" / "testing-plugins.md"


def test_all_that_it_shows_holds(tmp_path: Path) -> None:
    text = PAGE.read_text()
    pages.write_files(text, tmp_path)
    commands = pages.commands(text)
    assert len(commands) == 2
    for options, shown in [*commands, ("-q", "…")]:
        pages.run(options, shown, tmp_path)


def test_every_fixture_and_option_is_described() -> None:
    text = PAGE.read_text()
    code = (PAGE.parents[1] / "pygw" / "testing" / "plugin.py").read_text()
    fixtures = re.findall(r"@pytest\.fixture\ndef (\w+)", code)
    options = re.findall(r'"(--[\w-]+)"|addini\(\s*"(\w+)"', code)
    assert len(fixtures) == 4
    for name in [*fixtures, *(option or ini for option, ini in options)]:
        assert name in text
