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

from pygw.extensions.schema import KINDS, is_typed, json_schema
from pygw.plugin import PHASES, Plugin

_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_ARGUMENTS: dict[str, tuple[str, ...]] = dict.fromkeys(PHASES, ("conf", "ctx")) | {
    "body_filter": ("conf", "ctx", "chunk", "last")
}
_GENERATOR = ("conf", "ctx", "chunks")


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
    name = getattr(cls, "name", None)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield f"`name` must be letters, digits, `-`, `_` and `.`, not {name!r}"
    for attribute in ("priority", "version"):
        value = getattr(cls, attribute, None)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            if attribute == "version" and isinstance(value, str):
                continue
            yield f"`{attribute}` must be a number, not {value!r}"
    for kind in KINDS:
        schema = getattr(cls, kind, None)
        if kind == "schema" or schema is not None:
            yield from _schema_faults(kind, schema)
    if not cls.phases() and cls.api is Plugin.api and cls.control_api is Plugin.control_api:
        yield f"it has no phase: define at least one of {', '.join(PHASES)}, api, control_api"
    yield from timeout_faults(cls.timeout, cls.on_timeout)
    for phase in cls.phases():
        yield from _phase_faults(phase, getattr(cls, phase))


def timeout_faults(timeout: Any, on_timeout: Any) -> Iterator[str]:
    """What is wrong with a plugin's `timeout` and `on_timeout`."""
    is_number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
    if timeout is not None and not (is_number and timeout > 0):
        yield f"`timeout` must be seconds above 0, or None for no end, not {timeout!r}"
    if on_timeout not in ("fail", "pass"):
        yield f'`on_timeout` must be "fail" or "pass", not {on_timeout!r}'


def _schema_faults(kind: str, schema: Any) -> Iterator[str]:
    if not (isinstance(schema, dict) or is_typed(schema)):
        yield (
            f"`{kind}` must be a JSON Schema, a dict, or a msgspec Struct or pydantic type,"
            f" not {schema!r}"
        )
        return
    try:
        made = json_schema(schema)
        json.dumps(made)
    except Exception as error:
        yield f"`{kind}` is no JSON: {error}"
        return
    if "_meta" in (made.get("properties") or {}):
        yield f"`{kind}` must not define `_meta`: every plugin has it, and pygw defines it"


def _phase_faults(phase: str, function: Any) -> Iterator[str]:
    arguments = _ARGUMENTS[phase]
    if not inspect.isfunction(function):
        yield f"`{phase}` must be a method, not {function!r}"
    elif is_async(function):
        yield (
            f"`{phase}` is `async def`, and no asyncio loop runs here: write `def` and call what"
            " blocks; gevent suspends this request alone"
        )
    elif inspect.isgeneratorfunction(function) and phase == "body_filter":
        if not _takes(function, 1 + len(_GENERATOR)):
            given = f"{phase}{inspect.signature(function)}"
            yield f"`{given}` has a `yield` and must take `{phase}(self, {', '.join(_GENERATOR)})`"
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
