"""Plugins that change while workers and Admin API run: both know the new code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from .conftest import VIEWER_KEY

PLUGIN = """
local core = require "apisix.core"
local schema = { type = "object", properties = { word = { type = "%s" } } }
local _M = { version = 0.1, priority = 10, name = "greeting", schema = schema }
function _M.check_schema(conf)
    return core.schema.check(schema, conf)
end
function _M.access(conf)
    return %d, ngx.worker.pid()
end
return _M
"""


def test_plugins_are_reloaded_on_request_from_config_yaml_as_it_is(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    for name, status in (("greeting", 201), ("farewell", 301)):
        text = PLUGIN.replace('"greeting"', f'"{name}"').replace("10,", f"{status},")
        (tmp_path / f"{name}.lua").write_text(text % ("string", status))
    pygw = {"plugin_dirs": [str(tmp_path)], "watch_plugins": False}
    gateway = start(config_changes={"plugins": ["greeting"], "pygw": pygw})
    farewell = {"uri": "/f", "plugins": {"farewell": {}}}
    assert gateway.admin("PUT", "routes/f", farewell).status == 400
    gateway.admin("PUT", "routes/g", {"uri": "/g", "plugins": {"greeting": {}}})
    gateway.until("/g", 201)
    config = gateway.directory / "config.yaml"
    config.write_text(config.read_text().replace("- greeting", "- greeting\n- farewell"))
    (tmp_path / "greeting.lua").write_text(PLUGIN % ("number", 202))
    done = gateway.admin("PUT", "plugins/reload")
    assert (done.status, done.body) == (200, b"done\n")
    assert gateway.admin("GET", "plugins/list").json == ["farewell", "greeting"]
    assert gateway.admin("PUT", "routes/f", farewell).status == 201
    gateway.until("/f", 301)
    gateway.until("/g", 202)


def test_how_plugins_are_not_reloaded(start: Callable[..., Any]) -> None:
    gateway = start()
    for method in ("GET", "POST", "DELETE", "PATCH"):
        answer = gateway.admin(method, "plugins/reload")
        assert answer.status == 405
        assert answer.json["error_msg"] == (
            f"please use PUT method to reload the plugins, {method} method is not allowed."
        )
    assert gateway.admin("PUT", "plugins/reload", key=VIEWER_KEY).status == 401
    (gateway.directory / "config.yaml").write_text("plugins: [")
    assert gateway.admin("PUT", "plugins/reload").status == 503
    assert "t-key" in gateway.admin("GET", "plugins/list").json


def test_a_new_schema_counts_for_the_admin_api_and_every_worker(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    file = tmp_path / "greeting.lua"
    file.write_text(PLUGIN % ("string", 201))
    pygw = {"plugin_dirs": [str(tmp_path)], "watch_plugins": True}
    gateway = start(config_changes={"plugins": ["greeting"], "pygw": pygw})
    route = {"uri": "/", "plugins": {"greeting": {}}}
    assert gateway.admin("PUT", "routes/1", route).status == 201
    gateway.until("/", 201)
    other = {"uri": "/x", "plugins": {"greeting": {"word": 5}}}
    assert gateway.admin("PUT", "routes/2", other).status == 400
    file.write_text(PLUGIN % ("number", 202))
    while gateway.admin("PUT", "routes/2", other).status == 400:
        pass
    answered: dict[bytes, int] = {}
    while len(answered) < 2 or set(answered.values()) != {202}:
        answer = gateway.get("/")
        answered[answer.body] = answer.status
