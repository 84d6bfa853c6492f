"""The Control API of a gateway in several processes: what it shows, and what it lets one do."""

from __future__ import annotations

import socket
from typing import Any

import pytest

UPSTREAM = {"type": "roundrobin", "nodes": {"127.0.0.1:1": 1}}
CHECKS = {"active": {"http_path": "/status", "type": "http"}}
PLUGIN = """
local core = require "apisix.core"
local schema = { type = "object" }
local _M = { version = 0.1, priority = 10, name = "greeting", schema = schema }
function _M.check_schema(conf)
    return core.schema.check(schema, conf)
end
function _M.access()
    return %d, ngx.worker.pid()
end
function _M.control_api()
    return { { methods = { "GET" }, uris = { "/v1/plugin/greeting" }, handler = function()
        return 200, { status = %d }
    end } }
end
return _M
"""

DISCOVERY = """
return {
    init_worker = function() end,
    nodes = function() end,
    dump_data = function()
        return { services = { a = { "127.0.0.1" } } }
    end,
    check_discovery_ready = function()
        local file = io.open("filled")
        if file then
            file:close()
            return true
        end
        return false, "list is empty"
    end,
    control_api = function()
        return {
            { methods = { "GET" }, uris = { "count" }, handler = function()
                return 200, { count = 1 }
            end },
            { methods = { "GET" }, uris = { "/v1/list/plain" }, handler = function()
                return 200, "plain"
            end },
        }
    end,
}
"""
BROKEN = """
return {
    version = 0.1, priority = 1, name = "broken", schema = { type = "object" },
    check_schema = function() return true end,
    control_api = function() return { { methods = { "GET" }, handler = print } } end,
}
"""


@pytest.fixture(scope="module")
def gateway(module_start: Any) -> Any:
    gateway = module_start(
        files={"greeting.lua": PLUGIN % (201, 201)},
        plugins=["greeting", "example-plugin"],
        pygw={"plugin_dirs": ["."]},
    )
    items = {
        "upstreams/u": {**UPSTREAM, "checks": CHECKS},
        "services/s": {"upstream_id": "u"},
        "routes/r": {"uri": "/r", "service_id": "s"},
        "routes/g": {"uri": "/g", "plugins": {"greeting": {}}},
        "plugin_metadata/example-plugin": {"skey": "a", "ikey": 1},
    }
    for path, item in items.items():
        assert gateway.admin("PUT", path, item).status == 201, path
    assert gateway.control("/v1/config/settled").status == 200
    return gateway


@pytest.mark.parametrize(
    ("many", "one", "name"),
    [("routes", "route", "r"), ("services", "service", "s"), ("upstreams", "upstream", "u")],
)
def test_items_are_shown_as_the_worker_has_them(
    gateway: Any, many: str, one: str, name: str
) -> None:
    every = gateway.control(f"/v1/{many}")
    assert every.headers["Content-Type"] == "application/json"
    found = next(item for item in every.json if item["value"]["id"] == name)
    assert found["key"] == f"/apisix/{many}/{name}"
    assert found["modifiedIndex"] > 0
    assert gateway.control(f"/v1/{one}/{name}").json == found
    missing = gateway.control(f"/v1/{one}/none")
    assert (missing.status, missing.json) == (404, {"error_msg": f"{one}[none] not found"})


def test_plugin_metadata_is_shown(gateway: Any) -> None:
    value = gateway.control("/v1/plugin_metadata/example-plugin").json
    assert value == {"id": "example-plugin", "skey": "a", "ikey": 1}
    assert gateway.control("/v1/plugin_metadatas").json == [value]
    missing = gateway.control("/v1/plugin_metadata/none")
    assert missing.json == {"error_msg": "plugin metadata[none] not found"}
    assert missing.status == 404


def test_the_schema_of_everything(gateway: Any) -> None:
    schema = gateway.control("/v1/schema").json
    assert {"route", "service", "upstream", "consumer", "ssl", "plugins"} <= set(schema["main"])
    assert schema["plugins"]["greeting"]["version"] == 0.1
    assert schema["plugins"]["example-plugin"]["metadata_schema"]


def test_health_checks_as_json_and_as_a_page(gateway: Any) -> None:
    (info,) = gateway.control("/v1/healthcheck").json
    assert (info["name"], info["type"]) == ("/apisix/upstreams/u", "http")
    assert gateway.control("/v1/healthcheck/upstreams/u").json == info
    page = gateway.control("/v1/healthcheck", Accept="text/html")
    assert page.headers["Content-Type"] == "text/html"
    assert b"<h1>APISIX upstream check status</h1>" in page.body


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("upstreams", 404, "missing src id for src type upstreams"),
        ("plants/1", 400, "invalid src type plants"),
        ("upstreams/none", 404, "upstreams[none] not found"),
        ("routes/g", 404, "no checker for routes[g]"),
    ],
)
def test_health_of_what_is_not_there(gateway: Any, path: str, status: int, message: str) -> None:
    reply = gateway.control(f"/v1/healthcheck/{path}")
    assert (reply.status, reply.json) == (status, {"error_msg": message})


def test_garbage_is_collected_on_request(gateway: Any) -> None:
    assert gateway.control("/v1/gc", "POST").status == 200
    assert gateway.control("/v1/gc").status == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/r"),
        ("GET", "/v1"),
        ("GET", "/v1/"),
        ("GET", "/v1/none"),
        ("GET", "/v1/route"),
        ("GET", "/v1/routes/r"),
        ("GET", "/v2/routes"),
        ("GET", "/apisix/admin/routes"),
        ("HEAD", "/v1/schema"),
        ("POST", "/v1/routes"),
        ("DELETE", "/v1/route/r"),
        ("GET", "/v1/plugins/reload"),
        ("POST", "/v1/plugins/reload"),
        ("PUT", "/v1/gc"),
        ("POST", "/v1/config/settled"),
    ],
)
def test_nothing_else_is_served(gateway: Any, method: str, path: str) -> None:
    assert gateway.control(path, method).status == 404


def test_any_host_is_fine(gateway: Any) -> None:
    assert gateway.control("/v1/route/r", Host="else.where").json["value"]["uri"] == "/r"


def test_noise_ends_no_worker(gateway: Any) -> None:
    before = {gateway.get("/g").body for _ in range(16)}
    for noise in (b"\0" * 5000, b"GET\r\n\r\n", b"GET /v1/%zz HTTP/1.1\r\n\r\n", b"\x16\x03\x01"):
        for _ in range(8):
            with socket.create_connection(("127.0.0.1", gateway.control_port)) as line:
                line.sendall(noise)
    long = "/v1/route/" + "x" * 6000
    assert gateway.control(long).status == 404
    assert gateway.control("/v1/route/%00").status in (400, 404)
    assert gateway.control("/v1/route/%25s%25d%ff").status == 404
    assert {gateway.get("/g").body for _ in range(16)} == before


def test_a_service_discovery_is_dumped(start: Any) -> None:
    gateway = start(
        files={"apisix/discovery/list.lua": DISCOVERY, "broken.lua": BROKEN},
        apisix={"extra_lua_path": "./?.lua"},
        discovery={"list": {}},
        plugins=["broken", "example-plugin"],
        pygw={"plugin_dirs": ["."]},
    )
    assert gateway.control("/v1/discovery/list/dump").json == {"services": {"a": ["127.0.0.1"]}}
    assert gateway.control("/v1/discovery/list/count").json == {"count": 1}
    assert gateway.control("/v1/list/plain").body == b"plain"
    assert gateway.control("/v1/discovery/dns/dump").status == 404
    # a plugin whose control_api() fails costs the others nothing
    assert gateway.control("/v1/plugin/example-plugin/hello").status == 200
    assert "of plugin broken is left out" in (gateway.directory / "error.log").read_text()
    reply = gateway.status("/status/ready")
    assert (reply.status, reply.json["error"]) == (503, "list is empty")
    (gateway.directory / "filled").touch()
    assert gateway.status("/status/ready").status == 200


def test_plugins_have_paths_of_their_own_and_are_loaded_again_by_all_workers(gateway: Any) -> None:
    assert gateway.control("/v1/plugin/greeting").json == {"status": 201}
    assert gateway.control("/v1/plugin/example-plugin/hello").status == 200
    (gateway.directory / "greeting.lua").write_text(PLUGIN % (202, 202))
    reply = gateway.control("/v1/plugins/reload", "PUT")
    assert (reply.status, reply.body.strip()) == (200, b"done")
    answered: dict[bytes, int] = {}
    while len(answered) < 2 or set(answered.values()) != {202}:
        seen = gateway.get("/g")
        answered[seen.body] = seen.status
    assert gateway.control("/v1/plugin/greeting").json == {"status": 202}


def test_it_can_be_turned_off(start: Any) -> None:
    gateway = start(apisix={"enable_control": False})
    assert gateway.control_port == 0
    assert gateway.status_port
