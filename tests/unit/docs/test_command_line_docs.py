"""docs/command-line.md describes every command and option of `pygw`, and no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from pygw.cli import main

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "command-line.md").read_text()
SECTIONS = dict(re.findall(r"^## pygw ([\w -]+)\n(.*?)(?=^## |\Z)", TEXT, re.M | re.S))


def commands(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{before}{name} ")
        else:
            yield before + name, command


COMMANDS = dict(commands(main))


def options(command: click.Command) -> list[click.Option]:
    return [each for each in command.params if isinstance(each, click.Option)]


def test_the_commands_are_those_that_there_are() -> None:
    assert set(SECTIONS) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_its_options_are_those_that_there_are(name: str) -> None:
    named = set(re.findall(r"(?<=`)--?[a-zA-Z][\w-]*", SECTIONS[name]))
    assert named == {each for option in options(COMMANDS[name]) for each in option.opts}


@pytest.mark.parametrize("name", COMMANDS)
def test_what_they_take_and_their_defaults(name: str) -> None:
    section = SECTIONS[name]
    for option in options(COMMANDS[name]):
        row = re.findall(
            rf"^\| (?:`-\w`, )?`{option.opts[-1]}\b.*|^.*Option:.*|^`-c`.*", section, re.M
        )[0]
        if isinstance(option.type, click.Choice):
            assert all(choice in row for choice in option.type.choices), row
        elif option.metavar and not option.is_flag:
            assert f" {option.metavar}`" in row
        if option.show_default:
            assert f"; {option.default} |" in row
    for argument in COMMANDS[name].params:
        if isinstance(argument, click.Argument):
            assert (argument.metavar or str(argument.name).upper()) in section


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_a_help_text(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    assert [option.opts for option in options(command) if not option.help] == []


def test_links_lead_somewhere() -> None:
    docs = Path(__file__).resolve().parents[3] / "docs"
    links = re.findall(r"\]\(([\w.-]+\.md)\)", TEXT)
    assert [link for link in links if not (docs / link).is_file()] == []
    anchors = {f"pygw-{name.replace(' ', '-')}" for name in SECTIONS}
    assert set(re.findall(r"\]\(#([\w-]+)\)", TEXT)) == anchors
