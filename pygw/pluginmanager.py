"""Owns the loading of Python extensions: hook modules and plugin classes named in config.yaml.

Must never know of requests; `pygw.vm.python_plugins` runs the plugins.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import pluggy

from pygw import hookspecs
from pygw.plugin import Plugin, PluginError, check_plugin


class ExtensionError(Exception):
    """An extension that cannot be used; the message names it, where it is and why."""


def load_extensions(names: Iterable[str], base: Path) -> pluggy.PluginManager:
    """Import and register the modules named: dotted names, or paths of files relative to `base`.

    Raises ExtensionError; also when a module implements a hook that does not exist.
    """
    manager = pluggy.PluginManager("pygw")
    manager.add_hookspecs(hookspecs)
    for name in names:
        module = _import(name, base)
        manager.register(module, name)
        _check_hooks(module, name)
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise ExtensionError(str(error)) from None
    return manager


def find_plugins(manager: pluggy.PluginManager) -> dict[str, Plugin]:
    """Make an object of every plugin class: those in the modules, and those of `pygw_plugins`."""
    classes: list[type[Plugin]] = []
    for _, module in manager.list_name_plugin():
        classes += [
            value
            for value in vars(module).values()
            if isinstance(value, type)
            and issubclass(value, Plugin)
            and value.__module__ == getattr(module, "__name__", None)
        ]
    for found in manager.hook.pygw_plugins():
        classes += found
    plugins: dict[str, Plugin] = {}
    for cls in dict.fromkeys(classes):
        try:
            check_plugin(cls)
        except PluginError as error:
            raise ExtensionError(str(error)) from None
        if cls.name in plugins:
            raise ExtensionError(
                f'two Python plugins have the name "{cls.name}": {_where(type(plugins[cls.name]))}'
                f" and {_where(cls)}"
            )
        plugins[cls.name] = cls()
    return plugins


def _where(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _check_hooks(module: ModuleType, name: str) -> None:
    """A function called pygw_… that is no hook is a mistake, marked as one or not."""
    known = {hook for hook in vars(hookspecs) if hook.startswith("pygw_")}
    for attribute in vars(module):
        if attribute.startswith("pygw_") and attribute not in known:
            raise ExtensionError(
                f"{name}: there is no hook `{attribute}`; the hooks are {', '.join(sorted(known))}"
            )


def _import(name: str, base: Path) -> ModuleType:
    try:
        if name.endswith(".py") or "/" in name:
            return _import_file((base / name).resolve())
        return importlib.import_module(name)
    except ExtensionError:
        raise
    except Exception as error:
        raise ExtensionError(
            f"pygw.python_plugins: cannot import {name!r}: {type(error).__name__}: {error}"
        ) from error


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ExtensionError(f"pygw.python_plugins: there is no file {path}")
    module_name = f"pygw_extension_{path.stem}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    spec.loader.exec_module(module)
    return module
