"""Owns the files that a block asks for in user_files: their names, texts and times.

Must never write anything but these.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

_NAME = re.compile(r">>> (\S+)(?:\s+(.+))?")


def write(section: Any, directory: Path, expand: Callable[[str], str]) -> None:
    """Write the files of a section. directory: where relative names begin."""
    for name, text, stamp in _files(section):
        path = directory / os.fsdecode(name.encode("latin-1"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(expand(text).encode("latin-1"))
        if stamp:
            seconds = _time(stamp)
            os.utime(path, (seconds, seconds))


def _time(stamp: str) -> float:
    """A time as `touch -t` has it: 199801171935.33, in UTC."""
    form = "%Y%m%d%H%M.%S" if "." in stamp else "%Y%m%d%H%M"
    return datetime.strptime(stamp.strip(), form).replace(tzinfo=timezone.utc).timestamp()


def _files(section: Any) -> Iterator[tuple[str, str, str]]:
    """Name, text and time of each: of ">>> NAME TIME" lines, or of a list of [name, text, time]."""
    if isinstance(section, list):
        for name, *rest in section:
            text, stamp = [*rest, None, None][:2]
            yield name, text or "", stamp or ""
        return
    name, stamp = "", ""
    lines: list[str] = []
    for line in re.findall(r"[^\n]*\n|[^\n]+", section or ""):
        if found := _NAME.search(line):
            if name:
                yield name, "".join(lines), stamp
            name, stamp, lines = found[1], found[2] or "", []
        else:
            lines.append(line)
    if name:
        yield name, "".join(lines), stamp
