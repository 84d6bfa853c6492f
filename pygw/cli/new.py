"""Owns `pygw new`: the writing of a plugin's first files. Must never overwrite one."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import click

from pygw.paths import PLUGINS_DIR

_TEMPLATES = Path(__file__).with_name("templates")
_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_LONGEST = 64  # characters of a name

# Where the files of templates/LANGUAGE/ go.
_FILES: dict[str, dict[str, str]] = {
    "lua": {
        "plugin.lua.txt": "plugins/@NAME@.lua",
        "test.py.txt": "tests/test_@MODULE@.py",
        "README.md.txt": "README.md",
    },
    "python": {
        "plugin.py.txt": "@MODULE@.py",
        "test.py.txt": "tests/test_@MODULE@.py",
        "README.md.txt": "README.md",
    },
}


@click.group()
def new() -> None:
    """Write the first files of something."""


@new.command()
@click.argument("name")
@click.option(
    "--lang",
    type=click.Choice(list(_FILES)),
    required=True,
    help="The language of the plugin.",
)
@click.option(
    "--dir",
    "directory",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where to write; it may be there already [default: ./NAME].",
)
def plugin(name: str, lang: str, directory: Path | None) -> None:
    """Write a plugin, its tests, which pass, and a README.

    NAME: small letters and digits, words joined by - or _, such as team-header. No file that is
    there is touched.
    """
    if len(name) > _LONGEST or not _NAME.fullmatch(name):
        raise click.BadParameter(
            f'"{name}": small letters and digits, words joined by "-" or "_", at most {_LONGEST}'
            " characters, beginning with a letter",
            param_hint="'NAME'",
        )
    if (PLUGINS_DIR / f"{name}.lua").exists():
        raise click.BadParameter(f'"{name}" is a plugin of pygw\'s own', param_hint="'NAME'")
    directory = directory or Path(name)
    try:
        written = _write(directory, files_of(name, lang))
    except OSError as error:
        _die(f"{error.filename}: {error.strerror}")
    for path in written:
        click.echo(f"pygw: wrote {path}")
    click.echo(f"pygw: test it: cd {directory} && python -m pytest tests")


def files_of(name: str, lang: str) -> dict[str, str]:
    """The text of each file of a new plugin, by its path within the plugin's directory."""
    words = re.split("[-_]", name)
    values = {
        "NAME": name,
        "MODULE": "_".join(words),
        "CLASS": "".join(word.capitalize() for word in words),
        "HEADER": "-".join(["X", *(word.capitalize() for word in words)]),
    }
    templates = _TEMPLATES / lang
    return {
        _filled(target, values): _filled((templates / template).read_text("utf-8"), values)
        for template, target in _FILES[lang].items()
    }


def _filled(text: str, values: Mapping[str, str]) -> str:
    return re.sub(r"@([A-Z]+)@", lambda found: values[found[1]], text)


def _write(directory: Path, files: Mapping[str, str]) -> list[Path]:
    """Write all or none, as far as can be known before. Raises OSError."""
    targets = {directory / path: text for path, text in files.items()}
    there = [str(path) for path in targets if path.exists() or path.is_symlink()]
    if there:
        _die(f"nothing is written, since there is already {', '.join(there)}")
    for path, text in targets.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    return list(targets)


def _die(message: str) -> NoReturn:
    click.echo(f"pygw: {message}", err=True)
    sys.exit(1)
