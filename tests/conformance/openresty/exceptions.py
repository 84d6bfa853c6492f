"""Owns the blocks that nothing but nginx can run, and why: nginx_only.yaml beside it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml

FILE = Path(__file__).with_name("nginx_only.yaml")

# Sections that ask for something of nginx's own.
SECTIONS = {
    "http2": "HTTP/2",
    "http3": "HTTP/3",
    "stream_server_config": "nginx's stream subsystem",
    "stream_config": "nginx's stream subsystem",
    "stream_server_config2": "nginx's stream subsystem",
    "reload_fails": "HUP of nginx itself",
    "init": "nginx's own test database",
}


@cache
def _table() -> dict[str, dict[str, str]]:
    """File name -> beginning of a block's name ("*": all) -> reason."""
    loaded: dict[str, dict[str, str]] = yaml.safe_load(FILE.read_text()) or {}
    return loaded


def reason(path: Path, block: str) -> str | None:
    """Why that block of that file is not run, or None."""
    blocks = _table().get("/".join(path.parts[1:]), {})
    for name, why in blocks.items():
        if name == "*" or block == name or block.startswith(name + ":"):
            return why
    return None
