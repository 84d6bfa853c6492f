"""Owns the reasons for which a block is not run, as far as its sections tell them.

Must never judge a block that runs; `checks` does.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

from pygw.testing.tfiles import sections
from pygw.testing.tfiles.spec import Block, Spec

_Version = tuple[int, ...]
_NGINX = (1, 27, 1)  # the nginx that blocks are told they run on
_OPENSSL = (3, 0, 0)
_ONE = r"([<>]=?)\s*([0-9.]+)"
_COMPARE: dict[str, Callable[[_Version, _Version], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_BY_VERSION = {
    "skip_nginx": _NGINX,
    "skip_nginx2": _NGINX,
    "skip_openssl": _OPENSSL,
    "todo_nginx": _NGINX,
}


def reason(spec: Spec, block: Block) -> str | None:
    """Why a block is not run at all; None when it is."""
    if block.skipped:
        return block.skipped
    if spec.env.get("TEST_NGINX_USE_HUP") and not spec.settings.get("apisix"):
        return "HUP of nginx itself"
    if why := spec.settings.get("unsupported"):
        return f"{why} in the file's preamble is not supported here: Perl code that judges blocks"
    return _section(block) or _version(block)


def _section(block: Block) -> str | None:
    for name, why in sections.SKIPPED.items():
        if block.has(name):
            return f"section {name} is not supported here: {why}"
    for name in sorted(sections.SUPPORTED):
        if _is_code(block.sections.get(name)):
            return f"section {name} is not supported here as Perl code"
    if block.has("todo"):
        return f"todo: {block.text('todo').partition(':')[2].strip()}"
    return None


def _is_code(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_is_code, value))
    return isinstance(value, dict) and "unsupported" in value


def _version(block: Block) -> str | None:
    for name, have in _BY_VERSION.items():
        if _says(block.text(name), have):
            return f"{name}: {block.text(name).strip()}"
    return None


def _says(text: str, have: _Version) -> bool:
    """Whether "COUNT: OP VERSION", or two of these with "and" or "or" between, is true."""
    found = re.search(rf"{_ONE}(?:\s*(or|and)\s*{_ONE})?", text)
    if not found:
        return False
    first = _compare(found[1], found[2], have)
    if not found[3]:
        return first
    second = _compare(found[4], found[5], have)
    return first and second if found[3] == "and" else first or second


def _compare(sign: str, version: str, have: _Version) -> bool:
    return _COMPARE[sign](have, tuple(int(each) for each in version.split(".") if each))
