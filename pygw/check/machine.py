"""Owns the Lua VM that is asked while something is checked: a worker's, without a server.

No event loop drives it: timers never fire, and whoever waits while it is loaded waits for ever.
Must never be used for more than one plugin to be loaded and looked at.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pygw.config.settings import Settings
from pygw.hub.clock import Clock
from pygw.hub.epoll import EpollHub
from pygw.hub.guard import no_switch
from pygw.hub.timers import NgxTimers
from pygw.paths import LUA_DIR
from pygw.vm.bridge import Bridge
from pygw.vm.runtime import create_runtime
from pygw.vm.worker import StartError, boot_config

# What a worker asks of its process and has no answer to: nobody is there to do it.
_UNHEARD = ("want_agent", "quit", "stopped", "config_changed")

_APPLICATION = LUA_DIR / "apisix/check/application.lua"


class Waits(Exception):  # noqa: N818 - it says what the plugin does
    """The plugin waits while it is loaded, which no worker can let it do."""


class Machine:
    """A booted VM. Raises StartError.

    error_fd: where its error log goes; it must outlive this. python_plugins: what `describe` of
    pygw.vm.python_describe says of them. python_check: what checks their typed schemas.
    """

    def __init__(
        self,
        settings: Settings,
        error_fd: int,
        application: Path = _APPLICATION,
        python_plugins: Sequence[dict[str, Any]] = (),
        python_check: Callable[[str, str, str], str | None] = lambda *_: None,
    ) -> None:
        self._hub = hub = EpollHub(Clock())
        timers = NgxTimers(hub, settings.max_pending_timers, settings.max_running_timers)
        runtime = create_runtime(settings.lua_paths, settings.lua_cpaths, settings.plugin_dirs)
        heard: list[str | None] = []
        calls: dict[str, Callable[..., Any]] = {
            "local_conf": settings.to_json,
            "started": heard.append,
            "python_plugins": lambda: list(python_plugins),
            "python_check": python_check,
            "debug_config": lambda: ("{}", 0),
            **dict.fromkeys(_UNHEARD, lambda *_: None),
        }
        self._bridge = Bridge(runtime, hub, timers, calls, {})
        config = boot_config(settings, 0, [], str(application), error_fd)
        with no_switch():
            self._bridge.entries["start"](self._bridge.to_lua(config))
        if heard != [None]:
            self.close()
            raise StartError(heard[0] if heard and heard[0] else "it waits while it starts")

    def load(self, name: str, file: str) -> dict[str, Any]:
        """What lua/apisix/check/loading.lua says of the plugin. Raises Waits."""
        answer: dict[str, Any] = self._ask("check_load", {"name": name, "file": file})
        return answer

    def find(self, wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What lua/apisix/check/surface.lua says of each path. Raises Waits."""
        answer: list[dict[str, Any]] = self._ask("check_find", wanted) if wanted else []
        return answer

    def call(self, entry: str, *texts: str) -> str:
        """What an entry of the application answers, a text."""
        with no_switch():
            answer: str = self._bridge.entries[entry](*(text.encode() for text in texts))
        return answer.encode("latin-1").decode("utf-8", "replace")

    def close(self) -> None:
        """Let go of the VM and its descriptors. Again is harmless."""
        self._hub.stop()
        self._bridge.let_go()

    def _ask(self, question: str, value: Any) -> Any:
        with no_switch():
            answer = self._bridge.entries[question](json.dumps(value).encode())
        if answer is None:
            raise Waits
        found = json.loads(answer.encode("latin-1").decode("utf-8", "replace"))
        if isinstance(found, dict) and "raised" in found:
            raise RuntimeError(found["raised"])
        return found
