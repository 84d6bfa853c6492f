"""Owns a specification file as Python sees it: its blocks, from a real perl that has read it.

Must never interpret a section's text itself: perl ran its filters, and the file's own preamble.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pygw.testing.tfiles.patterns import regex

_PATIENCE = 30.0  # seconds that perl gets to read a file
PERL_LIB = Path(__file__).with_name("perl")
_TIME = re.compile(r"\s*([0-9.]+)(ms)?")

_SERVER = ("config", "http_config", "main_config", "post_main_config")


class SpecError(Exception):
    """perl could not read the specification; the message is perl's."""


@dataclass
class Block:
    """One test. Sections are strings (bytes as latin-1), lists, dicts, compiled regexes.

    broken: what is wrong with a section, before anything runs; read: the sections that the file's
    own code has asked for.
    """

    name: str
    line: int
    sections: dict[str, Any]
    skipped: str | None
    broken: str | None = None
    read: frozenset[str] = frozenset()

    def has(self, name: str) -> bool:
        return self.sections.get(name) is not None

    def text(self, name: str) -> str:
        """A section's text; "" when it is not there."""
        value = self.sections.get(name)
        return value if isinstance(value, str) else ""

    def seconds(self, name: str, default: float) -> float:
        """A section's time in seconds; it says "1.5", "2s" or "50ms"."""
        return seconds(self.text(name), default)

    def at(self, name: str, index: int) -> Any:
        """A section's value for the request (or run) of that index."""
        value = self.sections.get(name)
        if isinstance(value, list):
            return value[index] if index < len(value) else None
        return value


def seconds(text: str, default: float) -> float:
    """A time as sections write it: "1.5", "2s", "50ms"; default when it is none."""
    found = _TIME.match(text)
    return float(found[1]) / (1000 if found[2] else 1) if found else default


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


def perl_trouble() -> str | None:
    """What is wrong with the perl that is to read specifications; None: nothing."""
    perl = shutil.which("perl")
    if not perl:
        return "needs perl, which reads the files"
    command = [perl, "-MJSON::PP", "-MIO::Socket::INET", "-e", "1"]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        return f"{perl} lacks what belongs to it (JSON::PP); on Debian: apt install perl"
    return None


def load(checkout: Path, path: Path, env: Mapping[str, str]) -> Spec:
    """Read a specification of a checkout with the variables `env`. Raises SpecError."""
    output, errors = _read(["perl", f"-I{PERL_LIB}", "-I.", str(path)], checkout, env)
    try:
        dump = json.loads(output)
    except ValueError:
        raise SpecError(errors) from None
    if "skip_all" in dump:
        return Spec(path, [], 1, {}, {}, dump["skip_all"])
    blocks = [_block(each) for each in dump["blocks"]]
    if not dump["settings"].get("apisix"):  # those say what stands around a block themselves
        _inherit(blocks)
    variables = {name: str(value) for name, value in dump["env"].items()}
    return Spec(path, blocks, dump["repeat"], dump["settings"], variables)


def _read(command: list[str], cwd: Path, env: Mapping[str, str]) -> tuple[bytes, str]:
    """What perl prints of a file, and its errors. A preamble may run programs that never end."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, **env},
        stdout=pipe,
        stderr=pipe,
        start_new_session=True,
    ) as perl:
        try:
            output, errors = perl.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            raise SpecError(
                f"{command[-1]}: its preamble has not ended within {_PATIENCE:g} s"
            ) from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(perl.pid, signal.SIGKILL)
    return output, errors.decode("utf-8", "replace")


def _block(dump: dict[str, Any]) -> Block:
    sections, broken = {}, dump["broken"]
    for name, value in dump["sections"].items():
        try:
            sections[name] = _plain(value)
        except re.error as error:
            broken = f"a pattern of section {name}: {error}"
    read = frozenset(dump["read"])
    return Block(dump["name"], dump["line"], sections, dump["skipped"], broken, read)


def _inherit(blocks: list[Block]) -> None:
    """A block without a config runs with the server of the one before."""
    before: dict[str, Any] = {}
    for block in blocks:
        if block.has("config"):
            before = {key: block.sections[key] for key in _SERVER if block.has(key)}
        elif not block.skipped:
            block.sections = {**block.sections, **before}


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        if value.keys() == {"pattern", "flags"}:
            return regex(value["pattern"], value["flags"])
        return {key: _plain(each) for key, each in value.items()}
    return value
