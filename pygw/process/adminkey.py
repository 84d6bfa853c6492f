"""Owns the Admin API's key when config.yaml gives none: made once, kept beside the pid file.

APISIX makes one too, but writes it into config.yaml; that file is its owner's alone.
"""

from __future__ import annotations

import copy
import os
import secrets
from pathlib import Path
from typing import Any

from pygw.config.build import build
from pygw.config.model import Settings
from pygw.config.yamlfile import Document


def key_file(settings: Settings) -> Path | None:
    """Where the key is kept, or None when config.yaml gives every key or none is needed."""
    admin = settings.admin
    if not admin.enabled or not admin.key_required or all(key.key for key in admin.keys):
        return None
    return settings.pid_file.with_name("admin.key")


def with_key(settings: Settings) -> Settings:
    """The settings with the kept key wherever an admin key is empty. Raises OSError."""
    path = key_file(settings)
    if path is None:
        return settings
    key = _read_or_make(path)
    merged: dict[str, Any] = copy.deepcopy(dict(settings.merged))
    for entry in merged["deployment"]["admin"]["admin_key"]:
        entry["key"] = entry.get("key") or key
    return build(merged, Document(settings.source), settings.base, settings.warnings)


def _read_or_make(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with open(fd, "w") as file:
        key = secrets.token_urlsafe(24)
        file.write(f"{key}\n")
    return key
