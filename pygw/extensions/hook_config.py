"""Owns the keys that hooks add to config.yaml: defaults, checks, what hooks see of it.

Must never touch a key of pygw's or APISIX's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from typing import Any

import pluggy

from pygw.config.checks import shown
from pygw.config.model import Settings
from pygw.config.schema import ROOT
from pygw.config.yamlfile import ConfigError, Document, KeyPath, read_file
from pygw.hookspecs import ConfigKey

_TYPES = {
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}


class HookConfigError(Exception):
    """A key that config.yaml must not hold so, or a hook that declares what it must not."""


def config_of(manager: pluggy.PluginManager, settings: Settings) -> dict[str, Any]:
    """What hooks see: config.yaml with all defaults. Raises HookConfigError."""
    config: dict[str, Any] = deepcopy(dict(settings.merged))
    keys = _declared(manager)
    if not keys:
        return config
    for path, reason in chain(_unknown(config, keys), _filled(config, keys)):
        raise HookConfigError(str(_located(settings, path, reason)))
    return config


def _declared(manager: pluggy.PluginManager) -> dict[tuple[str, ...], ConfigKey]:
    found: dict[tuple[str, ...], ConfigKey] = {}
    for implementation in manager.hook.pygw_config_schema.get_hookimpls():
        who = f"pygw_config_schema of {implementation.plugin_name}"
        try:
            declared: Any = implementation.function()
            for name, key in declared.items():
                path = tuple(name.split("."))
                _check_declared(path, key, found)
                found[path] = key
        except Exception as error:
            raise HookConfigError(f"{who}: {error}") from error
    return found


def _check_declared(path: tuple[str, ...], key: Any, found: Mapping[Any, Any]) -> None:
    name = ".".join(path)
    if len(path) < 2 or not all(path):
        raise ValueError(f'"{name}" must be "section.key"')
    if path[0] in ROOT.keys:
        raise ValueError(f'"{name}": {path[0]} is a section of pygw\'s own')
    if not isinstance(key, ConfigKey) or key.type not in _TYPES:
        names = ", ".join(each.__name__ for each in _TYPES)
        raise ValueError(f'"{name}" must be a pygw.hookspecs.ConfigKey of {names}')
    for other in found:
        if other[: len(path)] == path or path[: len(other)] == other:
            raise ValueError(f'"{name}" is declared already, as "{".".join(other)}"')


def _unknown(config: Mapping[str, Any], keys: Mapping[Any, Any]) -> Iterator[tuple[KeyPath, str]]:
    """What stands in a section of a hook's and was not declared."""
    for section in {path[0] for path in keys}:
        yield from _unknown_below(config.get(section), (section,), keys)


def _unknown_below(
    value: Any, path: tuple[str, ...], keys: Mapping[Any, Any]
) -> Iterator[tuple[KeyPath, str]]:
    if path in keys or value is None:
        return
    known = {each[len(path)] for each in keys if each[: len(path)] == path}
    if not known:
        return
    if not isinstance(value, dict):
        yield path, f"must be a table, not {shown(value)}"
        return
    for name, below in value.items():
        if name not in known:
            near = get_close_matches(str(name), known, 1)
            yield (*path, name), "unknown key" + (f"; did you mean {near[0]}?" if near else "")
        else:
            yield from _unknown_below(below, (*path, name), keys)


def _filled(
    config: dict[str, Any], keys: Mapping[tuple[str, ...], ConfigKey]
) -> Iterator[tuple[KeyPath, str]]:
    """Fill in the defaults; yield what is wrong with what was given."""
    for path, key in keys.items():
        table = config
        for part in path[:-1]:
            if table.get(part) is None:
                table[part] = {}
            table = table[part]
        if path[-1] not in table:
            table[path[-1]] = deepcopy(key.default)
            continue
        value = table[path[-1]]
        if not _is_of(value, key.type):
            yield path, f"must be {_TYPES[key.type]}, not {shown(value)}"
        elif key.check is not None:
            try:
                key.check(value)
            except ValueError as error:
                yield path, str(error)


def _is_of(value: Any, wanted: type) -> bool:
    if isinstance(value, bool):
        return wanted is bool
    return isinstance(value, (int, float) if wanted is float else wanted)


def _located(settings: Settings, path: KeyPath, reason: str) -> ConfigError:
    """With the line, which the settings have not kept."""
    try:
        document = read_file(Path(settings.source))
    except (ConfigError, OSError):
        document = Document(settings.source)
    return document.error(path, reason)
