"""The status of a gateway: that it runs, and whether every worker has its configuration."""

from __future__ import annotations

from typing import Any

from support.etcd_server import EtcdServer

from .conftest import ask

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
    while (reply := ask(gateway.status_port, "GET", "/status/ready")).status != 200:
        assert reply.json["status"] == "error"
    assert reply.json == READY
