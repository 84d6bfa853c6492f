"""Owns the JSON documents of resources: reading strictly, writing, merging, patching at a path.

Must never judge what a document says.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn


class PathError(ValueError):
    """A sub-path leads through something that is not an object."""


def read(text: bytes) -> Any:
    """The value of a JSON text. Raises ValueError with the reason.

    As in APISIX, strings may hold line breaks and other control characters: Lua code, say. Only
    what can be written again is accepted: no NaN, no number beyond a double, no half of a surrogate
    pair, no nesting that Python cannot follow.
    """
    try:
        value = json.loads(
            text.decode(), parse_constant=_no_constant, parse_float=_finite, strict=False
        )
        write(value)
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start + 1}") from None
    except UnicodeEncodeError:
        raise ValueError("half of a surrogate pair in a string") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def write(value: Any) -> bytes:
    """The value as JSON, UTF-8, without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def merge(document: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy with the changes: objects merge, null removes, all else replaces.

    An empty object replaces too, as with APISIX: it empties what stands there (RFC 7396 keeps it).
    """
    merged = dict(document)
    for key, value in changes.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict) and value:
            old = merged.get(key)
            merged[key] = merge(old if isinstance(old, dict) else {}, value)
        else:
            merged[key] = value
    return merged


def patch(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with `value` at a path such as "upstream/nodes"; null removes what is there.

    Objects on the way are made where they are absent. Raises PathError.
    """
    name, *rest = path.split("/", 1)
    patched = dict(document)
    if not rest:
        if value is None:
            patched.pop(name, None)
        else:
            patched[name] = value
        return patched
    inner = patched.get(name, {})
    if not isinstance(inner, dict):
        raise PathError(name)
    try:
        patched[name] = patch(inner, rest[0], value)
    except PathError as error:
        raise PathError(f"{name}/{error}") from None
    return patched


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"the number {text} is too large")
    return number
