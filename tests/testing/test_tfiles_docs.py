"""docs/test-nginx-files.md, executed, and its tables of sections, held to the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support import pages

from pygw.testing.tfiles import sections, spec

PAGE = Path(__file__).resolve().parents[2] / "docs" / "test-nginx-files.md"


@pytest.mark.skipif(spec.perl_trouble() is not None, reason=f"perl: {spec.perl_trouble()}")
def test_all_that_it_shows_holds(tmp_path: Path) -> None:
    text = PAGE.read_text()
    pages.write_files(text, tmp_path)
    commands = pages.commands(text)
    assert len(commands) == 5
    for options, shown in commands:
        pages.run(options, shown, tmp_path)


def table(heading: str) -> dict[str, str]:
    """What a table says of each section."""
    part = re.search(rf"^### {heading}\n(.*?)(?:^##|\Z)", PAGE.read_text(), re.M | re.S)
    assert part
    said: dict[str, str] = {}
    for names, text in re.findall(r"^\| (`.*?) \| (.*?) \|$", part[1], re.M):
        for name in re.findall(r"`(\w+)`", names):
            assert name not in said
            said[name] = text
    return said


def test_every_section_stands_in_its_table() -> None:
    assert table("Used and judged").keys() == sections.SUPPORTED
    assert table("Of APISIX's files").keys() == sections.OF_APISIX
    assert table("Ignored") == sections.IGNORED
    assert table("A reason to skip") == sections.SKIPPED


def test_a_section_has_one_meaning() -> None:
    tables = (
        sections.SUPPORTED,
        sections.OF_APISIX,
        sections.IGNORED.keys(),
        sections.SKIPPED.keys(),
    )
    names = [name for each in tables for name in each]
    assert len(names) == len(set(names))


def test_every_option_is_described() -> None:
    code = (PAGE.parents[1] / "pygw" / "testing" / "plugin.py").read_text()
    options = set(re.findall(r'"(--pygw-t[\w-]*)"', code))
    assert len(options) == 3
    for option in options:
        assert f"| `{option} " in PAGE.read_text()
