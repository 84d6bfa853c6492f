"""The status of a gateway: that it runs, and whether every worker has its configuration."""

from __future__ import annotations

import time
from typing import Any

from support.etcd_server import EtcdServer

from .conftest import ask, ask_until

# Worker 1 reads one of its directories late.
SLOW = """
local core = require "apisix.core"
local etcd = require "apisix.core.etcd"
local _M = { version = 0.1, priority = 1, name = "slow", schema = { type = "object" } }
function _M.check_schema()
    return true
end
function _M.init()
    local slow = assert(core.config.new("/of/slow", { automatic = true }))
    if ngx.worker.id() ~= 1 then
        return
    end
    slow.etcd_cli = setmetatable({ readdir = function(_, prefix)
        local file = io.open("go")
        while not file do
            ngx.sleep(0.01)
            file = io.open("go")
        end
        file:close()
        return etcd.get_etcd_cli():readdir(prefix)
    end }, { __index = etcd.get_etcd_cli() })
end
return _M
"""
READY = {"status": "ok"}


def test_a_gateway_that_serves_is_ready(start: Any) -> None:
    gateway = start()
    for path in ("/status", "/status/ready"):
        reply = ask(gateway.status_port, "GET", path)
        assert (reply.status, reply.json) == (200, READY)
        assert reply.headers["Content-Type"] == "application/json"
    assert ask(gateway.status_port, "GET", "/none").status == 404
    assert ask(gateway.port, "GET", "/status").status == 404


def test_a_file_of_configuration_makes_it_ready(start: Any) -> None:
    role = {"role": "data_plane", "role_data_plane": {"config_provider": "yaml"}}
    gateway = start(files={"apisix.yaml": "routes: []\n#END\n"}, deployment=role)
    reply = ask(gateway.status_port, "GET", "/status/ready")
    assert (reply.status, reply.json) == (200, READY)
    reply = gateway.control("/v1/config/settled")
    assert reply.status == 400
    assert "without revisions" in reply.json["error_msg"]


def test_without_the_store_it_runs_and_says_which_workers_wait(
    start: Any, etcd: EtcdServer
) -> None:
    etcd.kill()
    role = {"role": "data_plane", "role_data_plane": {"config_provider": "etcd"}}
    gateway = start(
        deployment={**role, "etcd": {"host": [etcd.url], "timeout": 1, "startup_retry": 0}}
    )
    assert ask(gateway.status_port, "GET", "/status").json == READY
    reply = ask(gateway.status_port, "GET", "/status/ready")
    assert reply.status == 503
    waits = "worker id: {} has not received configuration"
    assert reply.json == {"status": "error", "error": f"{waits.format(0)}, {waits.format(1)}"}
    etcd.start()
    healthy = time.monotonic()
    while (reply := ask(gateway.status_port, "GET", "/status/ready")).status != 200:
        assert reply.json["status"] == "error"
    assert time.monotonic() - healthy < 1
    assert reply.json == READY


def test_ready_is_who_has_all_directories(start: Any) -> None:
    gateway = start(files={"slow.lua": SLOW}, plugins=["slow"], pygw={"plugin_dirs": ["."]})
    error = "worker id: 1 has not received configuration"
    ask_until(gateway.status_port, "/status/ready", lambda r: r.json.get("error") == error)
    assert ask(gateway.status_port, "GET", "/status/ready").json["error"] == error
    (gateway.directory / "go").touch()
    while (reply := ask(gateway.status_port, "GET", "/status/ready")).status != 200:
        assert reply.json["error"] == error
