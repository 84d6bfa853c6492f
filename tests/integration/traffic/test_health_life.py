"""Health checks live as long as what they are for, and tell what they know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from support.checks import active, answered_by, begin


def test_probes_end_with_the_route(site: Any, pair: list[Any]) -> None:
    path = begin(site, pair, checks={"active": active()})
    site.gateway.delete(f"routes{path}")
    ends(site, pair)


def test_probes_end_with_the_checks(site: Any, pair: list[Any]) -> None:
    path = begin(site, pair, checks={"active": active()})
    gateway = site.gateway
    upstream = {"nodes": {node.address: 1 for node in pair}}
    gateway.put(f"routes{path}", gateway.describe(path, {}, upstream=upstream))
    ends(site, pair)


def ends(site: Any, pair: list[Any]) -> None:
    """See that nobody probes the nodes any more, after the moment that it takes."""
    site.clock.advance(3)
    site.settle()
    for node in pair:
        node.probes.clear()
    site.clock.advance(10)
    site.settle()
    assert not any(node.probes for node in pair)


def test_a_node_more_is_probed_and_the_others_are_known(
    site: Any, nodes: Callable[[int], list[Any]]
) -> None:
    pair, (third,) = nodes(2), nodes(1)
    checks = {"active": active()}
    path = begin(site, pair, checks=checks)
    pair[1].status = 500
    site.pass_until(answered_by(site, path, pair[0]))
    gateway = site.gateway
    upstream = {"nodes": {node.address: 1 for node in (*pair, third)}, "checks": checks}
    gateway.put(f"routes{path}", gateway.describe(path, {}, upstream=upstream))
    assert pair[1].address not in site.shares(path)
    site.pass_until(answered_by(site, path, pair[0], third))
    site.pass_until(lambda: bool(third.probes))


def test_other_checks_without_a_request(site: Any, pair: list[Any]) -> None:
    path = begin(site, pair, checks={"active": active()})
    gateway = site.gateway
    nodes = {node.address: 1 for node in pair}
    checks = {"active": active(http_path="/status", req_headers=["X-New: yes"])}
    upstream = {"nodes": nodes, "checks": checks}
    gateway.put(f"routes{path}", gateway.describe(path, {}, upstream=upstream))
    site.pass_until(lambda: pair[0].probes[-1].headers.get("X-New") == "yes")


def test_an_upstream_that_routes_share(site: Any, pair: list[Any]) -> None:
    upstream = {"nodes": {node.address: 1 for node in pair}, "checks": {"active": active()}}
    site.gateway.put("upstreams/shared", {"id": "shared", "type": "roundrobin", **upstream})
    one, two = "/shared/one", "/shared/two"
    for name, path in {"s1": one, "s2": two}.items():
        site.gateway.put(f"routes/{name}", {"uri": path, "upstream_id": "shared"})
    site.gateway.ask(one)
    pair[1].status = 500
    site.pass_until(answered_by(site, one, pair[0]))
    assert set(site.shares(two)) == {pair[0].address}


def test_an_upstream_of_a_service(site: Any, pair: list[Any]) -> None:
    upstream = {"nodes": {node.address: 1 for node in pair}, "checks": {"active": active()}}
    site.gateway.put("services/s", {"id": "s", "upstream": upstream})
    path = "/of-a-service"
    site.gateway.put("routes/s3", {"uri": path, "service_id": "s"})
    site.gateway.ask(path)
    pair[1].status = 500
    site.pass_until(answered_by(site, path, pair[0]))


def test_without_checks_nobody_probes(site: Any, pair: list[Any]) -> None:
    site.shares(site.route(pair))
    ends(site, pair)


# what is told


def test_the_state_of_all_checkers(site: Any, pair: list[Any]) -> None:
    code = """return function()
        local core = require "apisix.core"
        local infos = require("apisix.control.v1").get_health_checkers()
        core.response.exit(200, core.json.encode(infos))
    end"""
    plugins = {"serverless-pre-function": {"phase": "access", "functions": [code]}}
    told = site.gateway.route(plugins)

    def nodes() -> dict[int, dict[str, Any]]:
        infos = {info["name"]: info for info in site.gateway.ask(told).json()}
        assert infos[f"/apisix/routes{path}"]["type"] == "http"
        return {node["port"]: node for node in infos[f"/apisix/routes{path}"]["nodes"]}

    path = begin(site, pair, checks={"active": active(unhealthy={"http_failures": 2})})
    good, bad = pair
    assert {node["status"] for node in nodes().values()} == {"healthy"}
    bad.status = 500
    site.pass_until(lambda: nodes()[bad.port]["status"] == "mostly_healthy")
    assert nodes()[bad.port]["counter"]["http_failure"] == 1
    site.pass_until(lambda: nodes()[bad.port]["status"] == "unhealthy")
    assert nodes()[good.port] == {
        "ip": "127.0.0.1", "port": good.port, "hostname": "127.0.0.1", "status": "healthy",
        "counter": {"success": 0, "http_failure": 0, "tcp_failure": 0, "timeout_failure": 0},
    }  # fmt: skip
