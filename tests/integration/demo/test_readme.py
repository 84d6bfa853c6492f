"""The README is exactly true: its plugin is the file, its commands print what it shows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pygw.cli import main

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", README, re.M | re.S)


def commands(block: str) -> Iterator[tuple[str, str]]:
    """The commands of a console block, each with what it prints."""
    for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
        command, _, printed = part.partition("\n")
        yield command, printed


def matches(shown: str, printed: str) -> bool:
    """Whether this is what was shown, "…" being anything."""
    return re.fullmatch(".*".join(map(re.escape, shown.split("…"))), printed, re.S) is not None


def test_the_plugin_is_the_one_of_the_example() -> None:
    (shown,) = blocks("lua")
    (named,) = re.findall(r"`(examples/\S+\.lua)`", README)
    assert shown == (ROOT / named).read_text(encoding="utf-8")


def test_the_commands_of_the_first_screen_print_what_it_shows(
    demo: Any, paste: Callable[[str], str]
) -> None:
    started, asked = blocks("console")[:2]
    ((command, shown),) = commands(started)
    assert command == "make run"
    assert matches(demo.with_its_ports(shown), demo.said)
    questions = list(commands(asked))
    assert questions
    for command, shown in questions:
        assert command.startswith("curl ")
        assert paste(demo.with_its_ports(command)) == shown


def test_what_it_tells_one_to_type_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    typed = [command for block in blocks("console") for command, _ in commands(block)]
    for target in {command.split()[1] for command in typed if command.startswith("make ")}:
        assert f"\n{target}: " in makefile
    for name in {command.split()[1] for command in typed if command.startswith("pygw ")}:
        assert name in main.commands


def test_its_links_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
