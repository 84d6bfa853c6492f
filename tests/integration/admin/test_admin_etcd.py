"""The Admin API on a real etcd, beside etcdctl; and without a store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

Document = dict[str, Any]


@pytest.fixture(scope="module")
def gateway(module_start: Any, etcd: Any) -> Any:
    for directory in ("routes", "upstreams"):  # as `apisix init` leaves them
        etcd.ctl("put", f"/apisix/{directory}/", "init_dir")
    return module_start({"etcd": {"host": [etcd.url], "timeout": 5}})


def test_etcdctl_sees_what_apisix_would_have_written(
    gateway: Any, etcd: Any, upstream: Document
) -> None:
    answer = gateway.admin("PUT", "routes/1", {"uri": "/a", "upstream": upstream})
    assert answer.status == 201
    key, value = etcd.ctl("get", "/apisix/routes/1").splitlines()
    assert key == answer.json["key"]
    assert json.loads(value) == answer.json["value"]
    assert set(json.loads(value)) == {"id", "uri", "upstream", "create_time", "update_time"}
    assert gateway.until("/a", 200).json == ["/a", None]
    assert gateway.admin("DELETE", "routes/1").status == 200
    assert etcd.ctl("get", "/apisix/routes/1") == ""
    gateway.until("/a", 404)


def test_what_etcdctl_writes_is_served_and_shown(
    gateway: Any, etcd: Any, upstream: Document
) -> None:
    value = {"id": "2", "uri": "/b", "upstream": upstream, "create_time": 1, "update_time": 1}
    etcd.ctl("put", "/apisix/routes/2", json.dumps(value))
    assert gateway.until("/b", 200).json == ["/b", None]
    assert gateway.admin("GET", "routes/2").json["value"] == value
    listed = gateway.admin("GET", "routes").json
    assert "/apisix/routes/2" in [item["key"] for item in listed["list"]]  # beside other tests' own
    replaced = gateway.admin("PUT", "routes/2", {"uri": "/b2", "upstream": upstream})
    assert (replaced.status, replaced.json["value"]["create_time"]) == (200, 1)
    gateway.until("/b2", 200)
    gateway.admin("DELETE", "routes/2")


def test_indexes_are_the_revisions_of_etcd(gateway: Any, etcd: Any, upstream: Document) -> None:
    gateway.admin("PUT", "upstreams/1", upstream)
    gateway.admin("PUT", "upstreams/1", upstream)
    shown = gateway.admin("GET", "upstreams/1").json
    (kv,) = json.loads(etcd.ctl("get", "/apisix/upstreams/1", "-w", "json"))["kvs"]
    assert shown["createdIndex"] == kv["create_revision"]
    assert shown["modifiedIndex"] == kv["mod_revision"]


def test_a_ttl_is_a_lease(gateway: Any, etcd: Any, upstream: Document) -> None:
    route = {"uri": "/leased", "upstream": upstream}
    assert gateway.admin("PUT", "routes/leased?ttl=600", route).status == 201
    (kv,) = json.loads(etcd.ctl("get", "/apisix/routes/leased", "-w", "json"))["kvs"]
    granted = json.loads(etcd.ctl("lease", "timetolive", f"{kv['lease']:x}", "-w", "json"))
    assert granted["granted-ttl"] == 600
    assert gateway.admin("PUT", "routes/leased", route).status == 200
    (kv,) = json.loads(etcd.ctl("get", "/apisix/routes/leased", "-w", "json"))["kvs"]
    assert "lease" not in kv


def test_while_etcd_is_away_the_answer_is_503_and_then_all_is_well(
    gateway: Any, etcd: Any, upstream: Document
) -> None:
    gateway.admin("PUT", "routes/away", {"uri": "/away", "upstream": upstream})
    gateway.until("/away", 200)
    etcd.kill()
    for method, body in (("GET", None), ("PUT", {"uri": "/away", "upstream": upstream})):
        answer = gateway.admin(method, "routes/away", body)
        assert answer.status == 503
        assert "etcd" in answer.json["error_msg"]
    assert "Traceback" not in gateway.log()
    assert gateway.get("/away").status == 200
    etcd.start()
    while gateway.admin("GET", "routes/away").status == 503:
        pass
    assert gateway.admin("PATCH", "routes/away", {"uri": "/back"}).status == 200
    gateway.until("/back", 200)


@pytest.fixture(scope="module")
def standalone(module_start: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    path: Path = tmp_path_factory.mktemp("standalone") / "apisix.yaml"
    path.write_text("routes: []\n#END\n")
    return module_start(
        {
            "role": "traditional",
            "role_traditional": {"config_provider": "yaml"},
            "yaml": {"path": str(path)},
        }
    )


def test_with_apisix_yaml_the_answer_names_the_file(standalone: Any) -> None:
    answer = standalone.admin("PUT", "routes/1", {})
    assert answer.status == 404
    assert answer.json["error_msg"].endswith("/apisix.yaml, or /apisix/admin/configs")
    assert standalone.admin("GET", "plugins/list").json == ["t-key", "t-stamp", "t-hello"]
