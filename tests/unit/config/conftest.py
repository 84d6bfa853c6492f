"""A Lua runtime with the parts of the worker that configuration modules ask for."""

import json
from typing import Any

import pytest


@pytest.fixture
def gateway_lua(lua: Any) -> Any:
    """The `lua` fixture with a local configuration, and a log kept in the global `logged`."""
    conf = json.dumps(
        {"apisix": {}, "deployment": {"config_provider": "etcd"}, "etcd": {"prefix": "/apisix/"}}
    )
    lua.globals().conf_text = conf
    lua.execute(
        """
        local bridge = require "server.bridge"
        bridge.call.local_conf = function() return conf_text end
        told = {}
        bridge.call.config_changed = function(directory, id, value, revision)
            told[#told + 1] = directory .. " " .. id .. " " .. tostring(value) .. " " .. revision
            return true
        end
        logged = {}
        local function note(level)
            return function(...)
                local words = { level }
                for i = 1, select("#", ...) do
                    words[#words + 1] = tostring((select(i, ...)))
                end
                logged[#logged + 1] = table.concat(words, " ")
            end
        end
        package.loaded["apisix.core.log"] = {
            error = note "error", warn = note "warn", notice = note "notice",
            info = note "info", debug = note "debug", crit = note "crit",
        }
        """
    )
    return lua
