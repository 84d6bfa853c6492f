"""Owns the loading of Python extensions: hook modules and plugin classes named in config.yaml.

Whatever is wrong with one is said here, before anything is served. Must never know of requests;
`pygw.vm.python_plugins` runs the plugins.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from pygw import hookspecs
from pygw.plugin import Plugin
from pygw.plugincheck import PluginError, check_plugin, is_async, where

_HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("pygw_"))


class ExtensionError(Exception):
    """An extension that cannot be used; the message names it, where it is and why."""


def load_extensions(names: Iterable[str], base: Path) -> pluggy.PluginManager:
    """Import and register the modules named: dotted names, or paths of files relative to `base`.

    Raises ExtensionError.
    """
    manager = pluggy.PluginManager("pygw")
    manager.add_hookspecs(hookspecs)
    for name in names:
        module = _import(name, base)
        for fault in _hook_faults(module):
            raise ExtensionError(f"pygw.python_plugins: {name}: {fault}")
        try:
            manager.register(module, name)
        except pluggy.PluginValidationError as error:
            raise ExtensionError(
                f"pygw.python_plugins: {name}: {'; '.join(str(error).splitlines())}"
            ) from None
        except ValueError:
            raise ExtensionError(f"pygw.python_plugins: {name} stands there twice") from None
        if not (manager.get_hookcallers(module) or _classes(module)):
            raise ExtensionError(f"pygw.python_plugins: {name} has neither a plugin nor a hook")
    return manager


def find_plugins(manager: pluggy.PluginManager) -> dict[str, Plugin]:
    """Make an object of every plugin class: those in the modules, and those of `pygw_plugins`.

    Raises ExtensionError.
    """
    classes: list[Any] = []
    for _, module in manager.list_name_plugin():
        classes += _classes(module)
    try:
        for found in manager.hook.pygw_plugins():
            classes += found
    except Exception as error:
        raise ExtensionError(f"a pygw_plugins hook failed: {_describe(error)}") from error
    plugins: dict[str, Plugin] = {}
    for cls in dict.fromkeys(classes):
        try:
            check_plugin(cls)
        except PluginError as error:
            raise ExtensionError(str(error)) from None
        if cls.name in plugins:
            raise ExtensionError(
                f'two Python plugins have the name "{cls.name}": {where(type(plugins[cls.name]))}'
                f" and {where(cls)}"
            )
        plugins[cls.name] = _make(cls)
    return plugins


def start_plugins(plugins: Iterable[Plugin]) -> None:
    """Call `init` of each. Raises ExtensionError."""
    for plugin in plugins:
        try:
            plugin.init()
        except Exception as error:
            raise ExtensionError(
                f"plugin {where(type(plugin))}: init failed: {_describe(error)}"
            ) from error


def start_hooks(manager: pluggy.PluginManager, worker_id: int) -> None:
    """Call the pygw_worker_start hooks. Raises ExtensionError."""
    try:
        manager.hook.pygw_worker_start(worker_id=worker_id)
    except Exception as error:
        raise ExtensionError(f"a pygw_worker_start hook failed: {_describe(error)}") from error


def _classes(module: Any) -> list[type[Plugin]]:
    """The plugin classes that the module itself defines; a leading underscore marks a base."""
    return [
        value
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, Plugin)
        and value.__module__ == module.__name__
        and not name.startswith("_")
    ]


def _make(cls: type[Plugin]) -> Plugin:
    try:
        return cls()
    except Exception as error:
        raise ExtensionError(f"plugin {where(cls)}: cannot be made: {_describe(error)}") from error


def _hook_faults(module: ModuleType) -> Iterator[str]:
    """A function called pygw_… is meant as a hook: it must be one, and be marked."""
    for name, value in vars(module).items():
        if not name.startswith("pygw_") or not inspect.isfunction(value):
            continue
        if name not in _HOOKS:
            yield f"there is no hook `{name}`; the hooks are {', '.join(_HOOKS)}"
        elif not hasattr(value, "pygw_impl"):
            yield f"`{name}` lacks its mark: put @pygw.hookspecs.hookimpl above it"
        elif is_async(value):
            yield f"`{name}` is `async def`, and no asyncio loop runs here: write `def`"


def _import(name: str, base: Path) -> ModuleType:
    try:
        if name.endswith(".py") or "/" in name:
            return _import_file((base / name).resolve())
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise ExtensionError(
            f"pygw.python_plugins: cannot import {name}: {_describe(error)}"
        ) from error


def _import_file(path: Path) -> ModuleType:
    module_name = "pygw_extension" + re.sub(r"\W", "_", str(path.with_suffix("")))
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise ImportError("a Python file ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
    return module


def _describe(error: BaseException) -> str:
    """The error in one line, with the place in the extension where it was raised."""
    text = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if isinstance(error, (SyntaxError, FileNotFoundError)):  # they say where themselves
        return text
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{frame.filename}:{frame.lineno}" for frame in frames if not _is_ours(frame)]
    return f"{text} ({places[-1]})" if places else text


def _is_ours(frame: traceback.FrameSummary) -> bool:
    return frame.filename in (__file__, importlib.__file__) or frame.filename.startswith("<frozen")
