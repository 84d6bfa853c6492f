"""Owns Perl's regular expressions as Python's, which write a few things in another way."""

from __future__ import annotations

import re
from collections.abc import Iterable

_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE}
_CLASSES = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "xdigit": "0-9a-fA-F",
    "word": r"\w",
    "space": r"\s",
    "blank": r" \t",
    "cntrl": r"\x00-\x1f\x7f",
    "print": r"\x20-\x7e",
    "graph": r"\x21-\x7e",
    "punct": r"!-/:-@\[-`{-~",
}
_ESCAPES = {"z": r"\Z", "Z": r"(?=\n?\Z)", "h": r"[ \t]"}

# What is written in another way; an escape is taken as a whole, so that \\z stays what it is.
_OTHERS = re.compile(
    r"\(\?\^(?P<flags>[a-z]*):"
    r"|\(\?<(?P<group>[A-Za-z_]\w*)>"
    r"|\\k[<{](?P<back>\w+)[>}]"
    r"|\\x\{(?P<hex>[0-9a-fA-F]{1,2})\}"
    r"|\[:(?P<cls>\w+):\]"
    r"|\\(?P<escape>.)",
    re.DOTALL,
)


def _written(found: re.Match[str]) -> str:
    kind, text = found.lastgroup, found[found.lastgroup or 0]
    if kind == "flags":
        return f"(?{text}:" if text else "(?:"
    if kind == "group":
        return f"(?P<{text}>"
    if kind == "back":
        return f"(?P={text})"
    if kind == "hex":
        return rf"\x{text:0>2}"
    if kind == "cls":
        return _CLASSES.get(text, found[0])
    return _ESCAPES.get(text, found[0])


def regex(pattern: str, flags: Iterable[str] = "") -> re.Pattern[str]:
    """A Perl pattern, compiled. Raises re.error where Python has not what it asks for."""
    combined = re.ASCII
    for flag in flags:
        combined |= _FLAGS.get(flag, re.ASCII)
    return re.compile(_OTHERS.sub(_written, pattern), combined)
