"""Owns the blocks that nothing but nginx can run, and why: nginx_only.yaml beside it."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

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
    "http09": "HTTP/0.9",
}

# What a failed block's log says when it asked for what is not there.
_LACKING = {
    r"module 'resty\.mysql' not found": "lua-resty-mysql",
    r"module 'resty\.rsa' not found": "lua-resty-rsa",
    r"module 'jit\.bcsave' not found": "LuaJIT's jit.bcsave, which comes with LuaJIT alone",
    r"module 'ngx\.delayed_load' not found": "a fake module of nginx's own tests",
    r"timed out.*\(198\.18\.1\.1\)": "needs the internet",
    r"undefined symbol: (?:ngx|lua|ndk)_\w+": "nginx's C API",
}


@cache
def _table() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return loaded


def is_debug(pattern: Any) -> bool:
    """Whether a text or regex that a block looks for in the log is of nginx's debug lines."""
    text = pattern.pattern if isinstance(pattern, re.Pattern) else str(pattern)
    plain = re.sub(r"\\([^\w])", r"\1", text)
    lines = _table()["debug_lines"]
    return any(line in text or line in plain or plain in line for line in lines if plain)


def lacking(log: str) -> str | None:
    """Why a block that failed could not have passed, from its log; None: it failed."""
    return next((why for text, why in _LACKING.items() if re.search(text, log)), None)


def reason(path: Path, block: str) -> str | None:
    """Why that block of that file is not run, or None."""
    number = re.match(r"TEST (\d+)\b", block)
    name = "/".join(path.parts[1:])
    for why, files in _table()["blocks"].items():
        blocks = files.get(name)
        if blocks == "all" or (blocks and number and int(number[1]) in blocks):
            return str(why)
    return None
