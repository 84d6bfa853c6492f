"""Owns a specification file as Python sees it: its blocks, from a real perl that has read it.

Must never interpret a section's text itself: perl ran its filters, and the file's own preamble.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

PERL_LIB = Path(__file__).with_name("perl")
_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE}
_INNER_FLAGS = re.compile(r"\(\?\^([a-z]*):")


class SpecError(Exception):
    """perl could not read the specification; the message is perl's."""


@dataclass
class Block:
    """One test. Sections are strings (bytes as latin-1), lists, dicts, compiled regexes."""

    name: str
    line: int
    sections: dict[str, Any]
    skipped: str | None

    def has(self, name: str) -> bool:
        return name in self.sections

    def text(self, name: str) -> str:
        """A section's text; "" when it is not there."""
        value = self.sections.get(name)
        return value if isinstance(value, str) else ""

    def number(self, name: str, default: float) -> float:
        found = re.match(r"\s*([0-9.]+)", self.text(name))
        return float(found[1]) if found else default

    def at(self, name: str, index: int) -> Any:
        """A section's value for the request (or run) of that index."""
        value = self.sections.get(name)
        if isinstance(value, list):
            return value[index] if index < len(value) else None
        return value


@dataclass
class Spec:
    """A file. repeat: how often blocks run; settings: what the preamble set; env: its variables."""

    path: Path
    blocks: list[Block]
    repeat: int
    settings: dict[str, Any]
    env: dict[str, str]
    skip_all: str | None = None

    @cached_property
    def accumulates(self) -> bool:
        """Whether the log is looked at from its beginning after each run."""
        return bool(self.settings.get("check_accum_error_log"))


def load(checkout: Path, path: Path, env: Mapping[str, str]) -> Spec:
    """Read a specification of a checkout with the variables `env`. Raises SpecError."""
    command = ["perl", f"-I{PERL_LIB}", "-I.", str(path)]
    done = subprocess.run(
        command, cwd=checkout, env={**os.environ, **env}, capture_output=True, check=False
    )
    try:
        dump = json.loads(done.stdout)
    except ValueError:
        raise SpecError(done.stderr.decode("utf-8", "replace")) from None
    if "skip_all" in dump:
        return Spec(path, [], 1, {}, {}, dump["skip_all"])
    blocks = [
        Block(each["name"], each["line"], _plain(each["sections"]), each["skipped"])
        for each in dump["blocks"]
    ]
    variables = {name: str(value) for name, value in dump["env"].items()}
    return Spec(path, blocks, dump["repeat"], dump["settings"], variables)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        if value.keys() == {"pattern", "flags"}:
            return regex(value["pattern"], value["flags"])
        return {key: _plain(each) for key, each in value.items()}
    return value


def regex(pattern: str, flags: Iterable[str] = "") -> re.Pattern[str]:
    """A Perl pattern as Python's, which writes a few things in another way."""
    pattern = _INNER_FLAGS.sub(lambda found: f"(?{found[1]}:" if found[1] else "(?:", pattern)
    pattern = pattern.replace(r"\z", r"\Z").replace(r"\h", "[ \\t]")
    pattern = re.sub(r"\(\?<(?=[A-Za-z_])", "(?P<", pattern)
    pattern = re.sub(r"\\k[<{](\w+)[>}]", r"(?P=\1)", pattern)
    pattern = re.sub(r"\[\[:(\w+):\]\]", lambda found: _CLASSES[found[1]], pattern)
    pattern = re.sub(r"\\x\{([0-9a-fA-F]{1,2})\}", lambda f: f"\\x{f[1]:0>2}", pattern)
    combined = re.ASCII
    for flag in flags:
        combined |= _FLAGS.get(flag, re.ASCII)
    return re.compile(pattern, combined)


_CLASSES = {"alpha": "[a-zA-Z]", "digit": "[0-9]", "alnum": "[a-zA-Z0-9]", "space": r"\s"}
