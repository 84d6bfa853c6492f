"""The barrier: nobody passes before every worker has applied what the store holds."""

from __future__ import annotations

from typing import Any

import pytest

from pygw.control import ControlError, settled

from .conftest import Gateway

LATE = """
    local core = require "apisix.core"
    local schema = { type = "object" }
    local _M = { version = 0.1, priority = 1, name = "late", schema = schema }
    function _M.check_schema(conf)
        return core.schema.check(schema, conf)
    end
    function _M.init()
        if ngx.worker.id() == 1 then
            ngx.timer.at(0, function()
                core.config.fetch_created_obj("/routes"):close()
            end)
        end
    end
    return _M
"""


@pytest.fixture(scope="module", params=["embedded", "etcd"])
def gateway(module_start: Any, request: pytest.FixtureRequest) -> Any:
    deployment: dict[str, Any] = {}
    if request.param == "etcd":
        etcd = request.getfixturevalue("etcd")
        role = {"config_provider": "etcd"}
        deployment = {"role_traditional": role, "etcd": {"host": [etcd.url], "timeout": 5}}
        etcd.ctl("put", "/apisix/routes/", "init_dir")
    return module_start(deployment=deployment, plugins=["mocking"])


def route(status: int) -> dict[str, Any]:
    conf = {"response_status": status, "response_example": "x"}
    return {"uri": "/s", "plugins": {"mocking": conf}}


def written(gateway: Gateway, status: int) -> int:
    """Write a route; its revision."""
    assert gateway.admin("PUT", "routes/s", route(status)).status < 300
    revision: int = gateway.admin("GET", "routes/s").json["modifiedIndex"]
    return revision


def test_what_was_written_is_served_by_every_worker(gateway: Gateway) -> None:
    for status in range(210, 230):
        revision = written(gateway, status)
        found = settled(gateway.control_port, revision)
        assert found.settled
        assert found.late == ()
        assert set(found.workers) == {0, 1}
        assert min(found.workers.values()) >= revision
        assert {gateway.get("/s").status for _ in range(6)} == {status}


def test_a_deletion_is_waited_for(gateway: Gateway) -> None:
    for status in range(210, 220):
        settled(gateway.control_port, written(gateway, status))
        assert gateway.admin("DELETE", "routes/s").status == 200
        assert settled(gateway.control_port).settled
        assert {gateway.get("/s").status for _ in range(6)} == {404}


def test_a_revision_that_is_not_there_yet(gateway: Gateway) -> None:
    revision = written(gateway, 201)
    reply = gateway.control(f"/v1/config/settled?revision={revision + 1000}&timeout=0.05")
    assert reply.status == 504
    assert reply.json["settled"] is False
    assert reply.json["revision"] < revision + 1000
    found = settled(gateway.control_port, revision + 1000, timeout=0.05)
    assert not found.settled


@pytest.mark.parametrize("query", ["revision=x", "revision=-1", "timeout=x", "timeout=301"])
def test_arguments_that_make_no_sense(gateway: Gateway, query: str) -> None:
    reply = gateway.control(f"/v1/config/settled?{query}")
    assert reply.status == 400
    assert reply.json["error_msg"].startswith(f"invalid argument {query.split('=')[0]}")
    with pytest.raises(ControlError, match="invalid argument timeout"):
        settled(gateway.control_port, timeout=301)


def test_a_worker_that_stands_still_is_late(start: Any) -> None:
    gateway = start(
        files={"late.lua": LATE}, plugins=["mocking", "late"], pygw={"plugin_dirs": ["."]}
    )
    revision = written(gateway, 202)
    found = settled(gateway.control_port, revision, timeout=0.2)
    while found.late != (1,):  # worker 0 may not have seen it in this time
        assert not found.settled
        found = settled(gateway.control_port, revision, timeout=0.2)
    assert found.workers[0] >= revision > found.workers[1]
