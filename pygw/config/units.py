"""Owns durations and sizes as nginx writes them ("60s", "1h30m", "10m").

Mirrors nginx's ngx_parse_time and ngx_parse_size; must never guess at what those refuse.
"""

import re

_SECONDS = {
    "ms": 0.001,
    "s": 1,
    "m": 60,
    "h": 3600,
    "d": 86400,
    "w": 7 * 86400,
    "M": 30 * 86400,
    "y": 365 * 86400,
}
_ORDER = ["y", "M", "w", "d", "h", "m", "s", "ms"]
_PART = re.compile(r"(\d+)(ms|[smhdwMy])?\s*")
_SIZE = re.compile(r"(\d+)([kKmMgG])?")
_FACTOR = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def parse_duration(value: str | int | float) -> float:
    """Return seconds for "60s", "500ms", "1h 30m" or a plain number of seconds.

    Units stand from the largest to the smallest, each once; a number without a unit is
    seconds and comes last. Raises ValueError.
    """
    if isinstance(value, int | float):
        if value < 0:
            raise ValueError(f"a duration cannot be negative: {value}")
        return float(value)
    text, position, last, total = value.strip(), 0, -1, 0.0
    while match := _PART.match(text, position):
        rank = _ORDER.index(match[2] or "s")
        if rank <= last:
            break
        total += int(match[1]) * _SECONDS[match[2] or "s"]
        position, last = match.end(), rank if match[2] else len(_ORDER)
    if not text or position != len(text):
        raise ValueError(f'not a duration such as "60s" or "500ms": "{value}"')
    return total


def parse_size(value: str | int) -> int:
    """Return bytes for "10m", "64k", "1g" or a plain number of bytes. Raises ValueError."""
    if isinstance(value, int):
        if value < 0:
            raise ValueError(f"a size cannot be negative: {value}")
        return value
    match = _SIZE.fullmatch(value.strip())
    if not match:
        raise ValueError(f'not a size such as "64k" or "10m": "{value}"')
    return int(match[1]) * _FACTOR[(match[2] or "").lower()]
