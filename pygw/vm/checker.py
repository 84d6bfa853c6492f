"""Owns a Lua VM that checks configuration: the plugins of config.yaml, loaded, and no server.

Plugins say themselves what they accept, so whoever takes configuration from somebody asks here
first. No event loop drives this VM: timers that plugins start never fire. Must never read or write
the store.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pygw.config.model import Settings
from pygw.hub.clock import Clock
from pygw.hub.epoll import EpollHub
from pygw.hub.guard import no_switch
from pygw.hub.timers import NgxTimers
from pygw.paths import LUA_DIR
from pygw.plugin import Plugin
from pygw.vm.bridge import Bridge
from pygw.vm.luajit import LuaError
from pygw.vm.python_describe import Broken, checker_of, describe
from pygw.vm.runtime import create_runtime
from pygw.vm.worker import StartError, boot_config

log = logging.getLogger(__name__)

_APPLICATION = LUA_DIR / "apisix/admin/application.lua"


# Where a text stands in a document (keys, and indices of arrays), and what to put there.
Change = tuple[list[str | int], str]


class CheckFailedError(Exception):
    """A plugin raised an error instead of judging; its traceback is in the error log."""


class Checker:
    """Judges configuration documents (JSON texts) as `lua/apisix/admin/check.lua` does.

    plugins: the Python plugins by name, broken: those that cannot be used; they
    are asked for their schema only, never started.
    error_fd: where Lua's log lines go. Every method may be called from any greenlet and none waits.
    Raises StartError when Lua cannot start; a plugin that cannot be loaded is in the log.
    """

    def __init__(
        self,
        settings: Settings,
        plugins: Mapping[str, Plugin] | None = None,
        broken: Iterable[Broken] = (),
        *,
        error_fd: int = 2,
    ) -> None:
        self._clock = Clock()
        self._hub = EpollHub(self._clock)
        timers = NgxTimers(self._hub, settings.max_pending_timers, settings.max_running_timers)
        runtime = create_runtime(settings.lua_paths, settings.lua_cpaths, settings.plugin_dirs)
        described = describe((plugins or {}).values(), broken, refuse=True)
        failures: list[str | None] = []
        self._bridge = Bridge(
            runtime,
            self._hub,
            timers,
            {
                "local_conf": settings.to_json,
                "started": failures.append,
                "python_plugins": lambda: described,
                "python_check": checker_of(plugins or {}),
            },
            {},
        )
        config = boot_config(settings, 0, [], str(_APPLICATION), error_fd)
        with no_switch():
            self._bridge.entries["start"](self._bridge.to_lua(config))
        if failures != [None]:
            self.close()
            raise StartError(failures[0] if failures else "a plugin waited while it was loaded")

    def check(
        self,
        resource: str,
        item_id: str | None,
        document: bytes,
        metadata: Callable[[str], Any] | None = None,
    ) -> str | None:
        """What is wrong with an item of a directory such as "routes"; None when nothing is.

        item_id: its short key; of a secret "<manager>/<id>", of a credential its own.
        metadata: gives the value of /plugin_metadata of a plugin, or None; called for those alone
        that look at it. Raises CheckFailedError.
        """
        key = None if item_id is None else item_id.encode()
        fault: str | None = self._ask("check", resource, key, document)
        asked = self._ask("asked_metadata") if metadata else ""
        if metadata and asked:
            values = {name: metadata(name) for name in asked.split("\n")}
            known = json.dumps({name: value for name, value in values.items() if value})
            fault = self._ask("check", resource, key, document, known.encode())
        return fault

    def fault(self, schema: str, document: bytes) -> str | None:
        """What is wrong with a document by the schema of this name ("route") alone."""
        fault: str | None = self._ask("fault", schema.encode(), document)
        return fault

    def syntax_error(self, text: bytes) -> str | None:
        """Why Lua cannot read a text as JSON; None when it can."""
        error: str | None = self._ask("syntax_error", text)
        return error

    def schema(self, name: str) -> Any:
        """The schema of this name; None when there is none."""
        return _read(self._ask("schema", name.encode()))

    def plugin_schema(self, name: str, kind: str | None) -> tuple[bool, Any]:
        """Whether a plugin is loaded, and its schema (None without one); kind "consumer": that."""
        text = self._ask("plugin_schema", name.encode(), kind.encode() if kind else None)
        return text is not None, _read(text)

    def plugin_names(self) -> list[str]:
        """The loaded plugins, the one that runs first in front."""
        names: list[str] = _read(self._ask("plugin_names"))
        return names

    def plugins(self) -> dict[str, Any]:
        """The loaded plugins' version, priority, schemas, type and scope, by name."""
        plugins: dict[str, Any] = _read(self._ask("plugins"))
        return plugins

    def has_secrecy(self) -> bool:
        """Whether the configuration holds a key, so that secrets are encrypted in the store."""
        return bool(self._ask("has_secrecy"))

    def sealed(self, resource: str, item_id: str, document: bytes) -> list[Change]:
        """What to change in a document that was checked, before it is stored."""
        return self._changes("sealed", resource, item_id, document)

    def opened(self, resource: str, item_id: str, document: bytes) -> list[Change]:
        """What to change in a stored document to read it."""
        return self._changes("opened", resource, item_id, document)

    def reload(self) -> str:
        """Load plugins again whose files have changed; one that does not load stays as it was.

        Returns the directories that they come from, one in a line.
        """
        directories: str = self._ask("reload")
        return directories

    def load_plugins(self, names: list[str]) -> None:
        """Load these plugins in place of those that are loaded, new code and all."""
        self._ask("load_plugins", json.dumps(names).encode())

    def close(self) -> None:
        """Let go of the VM and its descriptors. Again is harmless."""
        self._hub.stop()
        self._bridge.let_go()

    def _changes(
        self, operation: str, resource: str, item_id: str, document: bytes
    ) -> list[Change]:
        changes: list[Change] = _read(self._ask(operation, resource, item_id.encode(), document))
        return changes

    def _ask(self, operation: str, *arguments: Any) -> Any:
        self._clock.update()
        try:
            with no_switch():
                answer = self._bridge.entries[operation](*arguments)
        except LuaError as error:
            raise CheckFailedError(_text(str(error))) from None
        return _text(answer) if isinstance(answer, str) else answer


def _text(lua_string: str) -> str:
    return lua_string.encode("latin-1", "replace").decode("utf-8", "replace")


def _read(text: str | None) -> Any:
    return None if text is None else json.loads(text)
