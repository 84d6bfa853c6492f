"""Owns the file of a configuration that was given over the Admin API: where it is, its writing.

It stands beside the pid file, readable by its owner alone: it may hold keys. Must never be seen
half written.
"""

from __future__ import annotations

import os
from pathlib import Path

from pygw.config.model import Settings


def pushed_file(settings: Settings) -> Path:
    """Where it is kept."""
    return settings.pid_file.with_name("standalone.json")


def write_pushed(path: Path, content: bytes) -> None:
    """Replace the file at once; when this returns it is on disk. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
