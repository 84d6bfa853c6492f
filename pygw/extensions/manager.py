"""Owns the loading of Python extensions: hook modules and plugin classes named in config.yaml.

Whatever is wrong with one is said here, before anything is served. Must never know of requests;
`pygw.vm.python_plugins` runs the plugins.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from pygw import hookspecs
from pygw.config.model import Settings
from pygw.extensions.hook_config import HookConfigError, config_of
from pygw.extensions.importing import ExtensionError as ExtensionError
from pygw.extensions.importing import describe_error, import_named
from pygw.extensions.plugin_check import PluginError, check_plugin, is_async, timeout_faults, where
from pygw.paths import find_lua_plugin
from pygw.plugin import Plugin, Route
from pygw.vm.python_describe import Broken

_HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("pygw_"))


class Extensions:
    """What a configuration names and the installed distributions offer, as far as it can be used.

    config: what hooks see of config.yaml. faults: what cannot be used, one line each. broken:
    plugins that have a name and are stood in for. Raises ExtensionError for hooks that are none.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.faults: list[str] = []
        self.broken: list[Broken] = []
        self._classes: list[Any] = []
        self.manager = pluggy.PluginManager("pygw")
        self.manager.add_hookspecs(hookspecs)
        for name in settings.python_plugins:
            if ":" in name:
                self._add_class(name)
            else:
                self._add_module(name)
        if settings.entry_points:
            for entry in entry_points(group="pygw"):
                self._add_entry_point(entry)
        self.config = self.check_config(settings)

    def check_config(self, settings: Settings) -> hookspecs.Config:
        """What hooks see of these settings. Raises ExtensionError for what they refuse."""
        try:
            return config_of(self.manager, settings)
        except HookConfigError as error:
            raise ExtensionError(str(error)) from None

    def find_plugins(self) -> dict[str, Plugin]:
        """Make an object of every plugin class that can be used; others go to `faults`."""
        plugins = self._made()
        attributes = self._settings.merged.get("plugin_attr") or {}
        for name, plugin in list(plugins.items()):
            file = self._lua_file(name)
            if file is not None:
                self.faults.append(
                    f'plugin {where(type(plugin))}: "{name}" is the Lua plugin {file}, which'
                    " runs: take that out of `plugins:` in config.yaml, or rename yours"
                )
                del plugins[name]
                continue
            try:
                set_attributes(plugin, attributes.get(name))
            except ExtensionError as error:
                self.faults.append(str(error))
                self.broken.append(broken_of(plugin, str(error)))
                del plugins[name]
        return plugins

    def _made(self) -> dict[str, Plugin]:
        plugins: dict[str, Plugin] = {}
        for cls in dict.fromkeys(self._found()):
            try:
                check_plugin(cls)
                _check_name(cls, plugins)
                plugins[cls.name] = _make(cls)
            except (PluginError, ExtensionError) as error:
                self.faults.append(str(error))
                name = getattr(cls, "name", None)
                if isinstance(name, str) and name not in plugins:
                    self.broken.append(broken_of(cls, str(error)))
        return plugins

    def _found(self) -> list[Any]:
        """Whatever was given for a plugin class."""
        found: list[Any] = []
        for _, module in self.manager.list_name_plugin():
            found += _classes(module)
        try:
            for classes in self.manager.hook.pygw_plugins():
                found += classes
        except Exception as error:
            self.faults.append(f"a pygw_plugins hook failed: {describe_error(error)}")
        return found + self._classes

    def _lua_file(self, name: str) -> Path | None:
        settings = self._settings
        if name not in settings.plugins:
            return None
        return find_lua_plugin(name, settings.lua_paths, settings.plugin_dirs)

    def _add_module(self, name: str) -> None:
        try:
            module = import_named(name, self._settings.base)
        except ExtensionError as error:
            self.faults.append(str(error))
        else:
            _register(self.manager, module, name, f"pygw.python_plugins: {name}")

    def _add_class(self, name: str) -> None:
        module, _, attribute = name.partition(":")
        try:
            self._classes.append(getattr(import_named(module, self._settings.base), attribute))
        except AttributeError as error:
            self.faults.append(f"{name} cannot be imported: {error}")
        except ExtensionError as error:
            self.faults.append(str(error))

    def _add_entry_point(self, entry: EntryPoint) -> None:
        title = f"the entry point {entry.name} = {entry.value}"
        try:
            found = entry.load()
        except (Exception, SystemExit) as error:
            self.faults.append(f"{title} cannot be imported: {describe_error(error)}")
            return
        if isinstance(found, type):
            self._classes.append(found)
        elif not self.manager.is_registered(found):
            _register(self.manager, found, f"{entry.name} ({entry.value})", title)


def _register(manager: pluggy.PluginManager, module: Any, name: str, title: str) -> None:
    for fault in _hook_faults(module):
        raise ExtensionError(f"{title}: {fault}")
    try:
        manager.register(module, name)
    except pluggy.PluginValidationError as error:
        raise ExtensionError(f"{title}: {'; '.join(str(error).splitlines())}") from None
    except ValueError:
        raise ExtensionError(f"{title} stands there twice") from None
    if not (manager.get_hookcallers(module) or _classes(module)):
        raise ExtensionError(f"{title} has neither a plugin nor a hook")


def _check_name(cls: type[Plugin], plugins: Mapping[str, Plugin]) -> None:
    if cls.name in plugins:
        first = where(type(plugins[cls.name]))
        raise PluginError(
            f'two Python plugins have the name "{cls.name}": {first} and {where(cls)}'
        )


def broken_of(plugin: Any, fault: str) -> Broken:
    """What is stood in for: a plugin, or its class, that has a name at least."""
    priority, version = getattr(plugin, "priority", 0), getattr(plugin, "version", 0)
    return Broken(
        plugin.name,
        fault,
        version if isinstance(version, (int, float, str)) else 0,
        priority if isinstance(priority, (int, float)) else 0,
        getattr(plugin, "consumer_schema", None) is not None,
    )


def set_attributes(plugin: Plugin, attributes: Any) -> None:
    """Let config.yaml's plugin_attr of the plugin hold. Raises ExtensionError."""
    given = attributes if isinstance(attributes, dict) else {}
    plugin.attr = given
    timeout = given.get("timeout", plugin.timeout)
    on_timeout = given.get("on_timeout", plugin.on_timeout)
    for fault in timeout_faults(timeout, on_timeout):
        raise ExtensionError(f"plugin_attr.{plugin.name}: {fault}")
    vars(plugin).update(timeout=timeout, on_timeout=on_timeout)


def start_plugin(plugin: Plugin) -> dict[str, list[Route]]:
    """Call its `init`, then ask what it serves. Raises ExtensionError."""
    routes: dict[str, list[Route]] = {}
    doing = "init"
    try:
        plugin.init()
        for doing in ("api", "control_api"):
            routes[doing] = list(getattr(plugin, doing)())
            for route in routes[doing]:
                _check_route(route)
    except Exception as error:
        raise ExtensionError(
            f"plugin {where(type(plugin))}: {doing} failed: {describe_error(error)}"
        ) from error
    return routes


def _check_route(route: Any) -> None:
    if not isinstance(route, Route):
        raise TypeError(f"it gave {route!r}: give pygw.plugin.Route")
    if isinstance(route.methods, str) or not route.uri.startswith("/"):
        raise ValueError(f'{route!r}: methods are a list, such as ["GET"], and uri begins with /')
    if is_async(route.handler):
        raise TypeError(f"the handler of {route.uri} is `async def`: write `def`")


def start_hooks(manager: pluggy.PluginManager, worker_id: int, config: hookspecs.Config) -> None:
    """Call the pygw_worker_start hooks. Raises ExtensionError."""
    try:
        manager.hook.pygw_worker_start(worker_id=worker_id, config=config)
    except Exception as error:
        raise ExtensionError(f"a pygw_worker_start hook failed: {describe_error(error)}") from error


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
        raise ExtensionError(
            f"plugin {where(cls)}: cannot be made: {describe_error(error)}"
        ) from error


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
