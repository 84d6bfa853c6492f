"""The plugin public-api: APIs of plugins on routes of one's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.gateway import Gateway

API = """
local _M = { version = 0.1, priority = 1, name = "t-apis", schema = { type = "object" } }

function _M.check_schema()
    return true
end

local function show()
    ngx.req.read_body()
    return 200, { uri = ngx.var.uri, body = ngx.req.get_body_data() }
end

function _M.api()
    return {
        { methods = { "GET" }, uri = "/apisix/t/show", handler = show },
        { methods = { "POST", "PUT" }, uri = "/apisix/t/take", handler = show },
        { methods = { "GET" }, uri = "/apisix/t/below/*",
            handler = function() return 201, "below" end },
        { methods = { "GET" }, uri = "/apisix/t/silent",
            handler = function() ngx.say("said") end },
    }
end

return _M
"""


@pytest.fixture(scope="module")
def gateway(
    start_gateway: Callable[..., Gateway],
    plugin_source: Path | None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Gateway:
    """With a plugin that has APIs, and jack, whose key is "one"."""
    own = tmp_path_factory.mktemp("own")
    (own / "t-apis.lua").write_text(API)
    sources = [str(own), *([str(plugin_source)] if plugin_source else [])]
    gateway = start_gateway(
        plugins=["public-api", "key-auth", "t-apis"], pygw={"plugin_dirs": sources}
    )
    jack = {"username": "jack", "plugins": {"key-auth": {"key": "one"}}}
    gateway.put("consumers/jack", jack)
    return gateway


def expose(gateway: Gateway, path: str, /, **public: str) -> None:
    """A route at `path` with the plugin, and nothing else."""
    key = "routes/" + path.strip("/").replace("/", "-").replace("*", "all")
    gateway.put(key, {"uri": path, "plugins": {"public-api": public}})


def test_an_api_is_not_there_by_itself(gateway: Gateway) -> None:
    gateway.put("routes/other", {"uri": "/other", "plugins": {"public-api": {}}})
    assert gateway.ask("/apisix/t/below/none").status == 404


def test_the_routes_own_uri(gateway: Gateway) -> None:
    expose(gateway, "/apisix/t/show")
    answer = gateway.ask("/apisix/t/show")
    assert answer.status == 200
    assert answer.json() == {"uri": "/apisix/t/show"}
    assert answer.headers.get("Content-Type") == "application/json"


def test_another_uri(gateway: Gateway) -> None:
    expose(gateway, "/mine", uri="/apisix/t/silent")
    assert gateway.ask("/mine?a=b").text == "said\n"


def test_a_uri_below(gateway: Gateway) -> None:
    expose(gateway, "/deep", uri="/apisix/t/below/a/b")
    answer = gateway.ask("/deep")
    assert (answer.status, answer.text) == (201, "below")


def test_methods(gateway: Gateway) -> None:
    expose(gateway, "/take", uri="/apisix/t/take")
    assert gateway.ask("/take", method="PUT", body=b"data").json()["body"] == "data"
    assert gateway.ask("/take").status == 404


@pytest.mark.parametrize("public", [{}, {"uri": "/apisix/t/none"}])
def test_no_api_of_that_uri(gateway: Gateway, public: dict[str, str]) -> None:
    path = f"/nothing{len(public)}"
    expose(gateway, path, **public)
    assert gateway.ask(path).status == 404


def test_other_plugins_protect_it(gateway: Gateway) -> None:
    plugins = {"public-api": {"uri": "/apisix/t/silent"}, "key-auth": {}}
    gateway.put("routes/protected", {"uri": "/protected", "plugins": plugins})
    assert gateway.ask("/protected").status == 401
    assert gateway.ask("/protected", {"apikey": "one"}).text == "said\n"


def test_a_wrong_configuration(gateway: Gateway) -> None:
    why = 'property "uri" validation failed: wrong type: expected string, got number'
    assert why in gateway.complaint({"public-api": {"uri": 3}})
