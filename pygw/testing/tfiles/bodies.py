"""Owns what happens to a response's body, and to the expected one, before the two are compared.

Texts are bytes as latin-1. Must never compare them; `checks` does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from pygw.testing.tfiles.spec import Block


class UnknownFilter(Exception):
    """response_body_filters names what is none."""


_FILTERS: dict[str, Callable[[str], str]] = {
    "md5_hex": lambda text: hashlib.md5(text.encode("latin-1")).hexdigest(),
    "sha1_hex": lambda text: hashlib.sha1(text.encode("latin-1")).hexdigest(),
    "length": lambda text: str(len(text)),
    "uc": lambda text: _ascii(text, str.upper),
    "lc": lambda text: _ascii(text, str.lower),
    "ucfirst": lambda text: _ascii(text[:1], str.upper) + text[1:],
    "lcfirst": lambda text: _ascii(text[:1], str.lower) + text[1:],
}


def _ascii(text: str, change: Callable[[str], str]) -> str:
    return "".join(change(char) if char.isascii() else char for char in text)


def filtered(block: Block, body: str, index: int) -> str:
    """A body after the response_body_filters of the request of that index. Raises UnknownFilter."""
    for name in _names(block.sections.get("response_body_filters"), index):
        if name not in _FILTERS:
            raise UnknownFilter(f"response_body_filters: there is no {name!r}")
        body = _FILTERS[name](body)
    return body


def _names(given: Any, index: int) -> list[Any]:
    """Names of filters: words, a list of them, or a list of lists, one for each request."""
    if isinstance(given, str):
        return given.split()
    if given and isinstance(given[0], list):
        return list(given[index]) if index < len(given) else []
    return list(given or [])


def ordered(body: str) -> str:
    """A body that is JSON with its keys in order, and a line feed; any other as it is."""
    try:
        value = json.loads(body, strict=False, parse_float=_number)
    except ValueError:
        return body
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"


def _number(text: str) -> float | int:
    """A number as Perl writes it again: 1.50 is 1.5, 1.0 is 1."""
    value = float(f"{float(text):.15g}")
    return int(value) if value.is_integer() else value


def encoded(text: str, charset: str) -> str:
    """A text in UTF-8 as it is in a charset; "": as it is."""
    if not charset.strip():
        return text
    return text.encode("latin-1").decode("utf-8").encode(charset.strip()).decode("latin-1")
