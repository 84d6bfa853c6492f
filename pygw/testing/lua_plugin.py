"""Owns one Lua plugin under test: it is loaded from its file and stands alone on a route."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pygw.testing.gateway import Gateway, GatewayError
from pygw.testing.messages import Answer

_CHECK = """
local conf = require("apisix.core.json").decode([==[%s]==])
local ok, err = require("apisix.plugin.check").check_schema({ ["%s"] = conf })
return ok and "" or tostring(err)
"""


class LuaPlugin:
    """A plugin on a route of its own.

    gateway: the whole gateway around it, with `upstream`, `clock` and more. path: the route's.
    Raises GatewayError when the plugin does not load or refuses the configuration.
    """

    def __init__(self, gateway: Gateway, name: str, conf: Mapping[str, Any] | None) -> None:
        self.gateway, self.name = gateway, name
        if not gateway.inside.has_plugin(name):
            raise GatewayError(
                f"the plugin {name} is not loaded; the gateway's log:\n{gateway.log}"
            )
        self.path = gateway.route({name: dict(conf)}) if conf is not None else ""

    def configure(self, conf: Mapping[str, Any]) -> None:
        """Give it another configuration. Raises GatewayError when it refuses that."""
        if self.path:
            self.gateway.put(f"routes/{self.path[6:]}", self._route(conf))
        else:
            self.path = self.gateway.route({self.name: dict(conf)})

    def check(self, conf: Mapping[str, Any]) -> str | None:
        """What its schema says against a configuration; None when it takes it."""
        text: str = self.gateway.inside.lua(_CHECK % (json.dumps(conf), self.name))
        return text or None

    def request(self, method: str, target: str = "", **options: Any) -> Answer:
        """Send a request to its route; target: what follows the route's path. See Gateway."""
        if not self.path:
            self.configure({})
        return self.gateway.request(method, self.path + target, **options)

    def get(self, target: str = "", **options: Any) -> Answer:
        """request("GET", …)"""
        return self.request("GET", target, **options)

    def post(self, target: str = "", **options: Any) -> Answer:
        """request("POST", …)"""
        return self.request("POST", target, **options)

    @property
    def ctx(self) -> dict[str, Any]:
        """`api_ctx` of the last request, as its log phase found it."""
        return self.gateway.inside.context()

    @property
    def log(self) -> list[str]:
        """The lines of the error log that its code has written."""
        mark = f" {self.name}.lua:"
        return [line for line in self.gateway.log.splitlines() if mark in line]

    def shared(self, name: str) -> dict[str, Any]:
        """The entries of a shared dictionary. Raises KeyError when there is none of that name."""
        return self.gateway.inside.shared(name)

    @property
    def timers(self) -> int:
        """How many timers wait or run, the gateway's own among them."""
        return self.gateway.inside.open().timers

    def _route(self, conf: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "uris": [self.path, f"{self.path}/*"],
            "plugins": {self.name: dict(conf)},
            "upstream": {"type": "roundrobin", "nodes": {self.gateway.upstream.node: 1}},
        }


def config_for(file: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """config.yaml of a gateway that loads the plugin in `file`, beside what `config` says.

    Raises GatewayError when there is no such file.
    """
    if not file.is_file():
        raise GatewayError(f"no such plugin: {file}")
    whole = dict(config)
    own = dict(whole.get("pygw") or {})
    own["plugin_dirs"] = [str(file.resolve().parent), *own.get("plugin_dirs", [])]
    names = [file.stem, *whole.get("plugins", [])]
    return {**whole, "plugins": list(dict.fromkeys(names)), "pygw": own}
