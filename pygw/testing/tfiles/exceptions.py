"""Owns what a block may ask for that only nginx has: libraries, lines of its debug log.

The lines stand in debug_lines.yaml beside it.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).with_name("debug_lines.yaml")

# What a failed block's log says when it asked for what is not there.
_LACKING = {
    r"module 'resty\.mysql' not found": "lua-resty-mysql",
    r"module 'resty\.rsa' not found": "lua-resty-rsa",
    r"module 'jit\.bcsave' not found": "LuaJIT's jit.bcsave, which comes with LuaJIT alone",
    r"module 'ngx\.delayed_load' not found": "a fake module of nginx's own tests",
    r"timed out.*\(198\.18\.1\.1\)": "needs the internet",
    r"undefined symbol: (?:ngx|lua|ndk)_\w+": "nginx's C API",
    r"/bin/sh: \d+: (\S+): not found": r"the program \1",
}


@cache
def _debug_lines() -> list[str]:
    loaded: list[str] = yaml.safe_load(FILE.read_text())
    return loaded


def is_debug(pattern: Any) -> bool:
    """Whether a text or regex that a block looks for in the log is of nginx's debug lines."""
    text = pattern.pattern if isinstance(pattern, re.Pattern) else str(pattern)
    plain = re.sub(r"\\([^\w])", r"\1", text)
    return any(line in text or line in plain or plain in line for line in _debug_lines() if plain)


def lacking(log: str) -> str | None:
    """Why a block that failed could not have passed, from its log; None: it failed."""
    for text, why in _LACKING.items():
        if found := re.search(text, log):
            return found.expand(why)
    return None
