"""Owns the judgement of a plugin class before it runs: what is wrong with it, said at the start.

Must never make an object of the class or call anything of it.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

from pygw.plugin import PHASES, Plugin

_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_ARGUMENTS: dict[str, tuple[str, ...]] = dict.fromkeys(PHASES, ("conf", "ctx")) | {
    "body_filter": ("conf", "ctx", "chunk", "last")
}


class PluginError(Exception):
    """A class that cannot be a plugin; the message says which, where and why."""


def check_plugin(cls: Any) -> None:
    """Raise PluginError unless `cls` is a class that can be a plugin."""
    if not (isinstance(cls, type) and issubclass(cls, Plugin)):
        raise PluginError(f"{cls!r} is no subclass of pygw.plugin.Plugin")
    for fault in _faults(cls):
        raise PluginError(f"plugin {where(cls)}: {fault}")


def where(cls: type) -> str:
    """The class and the file that defines it, for messages."""
    module = sys.modules.get(cls.__module__)
    return f"{cls.__qualname__} ({getattr(module, '__file__', None) or cls.__module__})"


def _faults(cls: type[Plugin]) -> Iterator[str]:
    name, schema = getattr(cls, "name", None), getattr(cls, "schema", None)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield f"`name` must be letters, digits, `-`, `_` and `.`, not {name!r}"
    for attribute in ("priority", "version"):
        value = getattr(cls, attribute, None)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            if attribute == "version" and isinstance(value, str):
                continue
            yield f"`{attribute}` must be a number, not {value!r}"
    yield from _schema_faults(schema)
    if not cls.phases():
        yield f"it has no phase: define at least one of {', '.join(PHASES)}"
    for phase in cls.phases():
        yield from _phase_faults(phase, getattr(cls, phase))


def _schema_faults(schema: Any) -> Iterator[str]:
    if not isinstance(schema, dict):
        yield f"`schema` must be a JSON Schema, a dict, not {schema!r}"
        return
    try:
        json.dumps(schema)
    except (TypeError, ValueError) as error:
        yield f"`schema` is no JSON: {error}"
    if "_meta" in (schema.get("properties") or {}):
        yield "`schema` must not define `_meta`: every plugin has it, and pygw defines it"


def _phase_faults(phase: str, function: Any) -> Iterator[str]:
    arguments = _ARGUMENTS[phase]
    if not inspect.isfunction(function):
        yield f"`{phase}` must be a method, not {function!r}"
    elif is_async(function):
        yield (
            f"`{phase}` is `async def`, and no asyncio loop runs here: write `def` and call what"
            " blocks; gevent suspends this request alone"
        )
    elif inspect.isgeneratorfunction(function):
        yield f"`{phase}` has a `yield`, so calling it would do nothing: return instead"
    elif not _takes(function, 1 + len(arguments)):
        given = f"{phase}{inspect.signature(function)}"
        yield f"`{given}` must take `{phase}(self, {', '.join(arguments)})`"


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling `function` gives something to await instead of doing the work."""
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _takes(function: Callable[..., Any], count: int) -> bool:
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    return True
