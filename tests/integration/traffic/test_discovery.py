"""Upstreams whose nodes a service discovery tells: DNS, with a real name server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from support import nameserver
from support.gateway import running_gateway

from pygw.hub.clock import VirtualClock
from pygw.testing.upstream import Upstream


@pytest.fixture(scope="module")
def names() -> Iterator[nameserver.Nameserver]:
    with nameserver.running() as server:
        yield server


@pytest.fixture(scope="module")
def config(names: nameserver.Nameserver) -> dict[str, Any]:
    dns = {"servers": [f"127.0.0.1:{names.port}"]}
    return {"plugins": ["key-auth"], "discovery": {"dns": dns, "nacos": {}}}


def route(site: Any, service: str, **upstream: Any) -> str:
    whole = {"type": "roundrobin", "discovery_type": "dns", "service_name": service, **upstream}
    path: str = site.gateway.route({}, upstream=whole)
    return path


def test_a_name_with_a_port(site: Any, nodes: Any) -> None:
    (node,) = nodes(1)
    assert site.shares(route(site, f"here.test:{node.port}"), 3) == {node.address: 3}


def test_an_answer_is_kept_as_long_as_it_holds(site: Any, nodes: Any, names: Any) -> None:
    (node,) = nodes(1)
    path = route(site, f"here.test:{node.port}")
    site.shares(path, 1)
    names.asked.clear()
    site.shares(path, 3)
    site.clock.advance(50)
    site.shares(path, 1)
    assert not names.asked
    site.clock.advance(11)
    site.shares(path, 1)
    assert [name for _, name, _ in names.asked] == ["here.test"], "and its type is known"


def test_types_are_asked_in_order(site: Any, names: Any) -> None:
    names.asked.clear()
    route_of_alias = route(site, "unknown.test:80")
    assert site.gateway.ask(route_of_alias).status == 503
    assert [kind for _, _, kind in names.asked] == ["33", "1", "28", "5"]
    assert "no valid upstream node: failed to query the DNS server: dns server error: 3" in (
        site.gateway.log
    )


def test_a_service_tells_ports(site: Any) -> None:
    """Of SRV records: here two addresses that nobody has, at port 8080."""
    path = route(site, "srv.test", timeout={"connect": 0.1, "send": 1, "read": 1}, retries=0)
    before = len(site.gateway.log)
    job = gevent.spawn(site.gateway.ask, path)
    site.pass_until(job.ready)
    assert job.get().status in (502, 504)
    assert ":8080" in site.gateway.log[before:]


def test_a_discovery_that_is_not_here(site: Any) -> None:
    assert site.gateway.ask(route(site, "s", discovery_type="nacos")).status == 503
    log = site.gateway.log
    assert "discovery nacos is not here: there is no Lua module apisix.discovery.nacos" in log
    assert "failed to set upstream: discovery nacos is uninitialized" in log


@pytest.mark.parametrize(
    ("dns", "message"),
    [
        ({}, "invalid discovery.dns: value should match only one schema"),
        ({"servers": []}, "expect array to have at least 1 items"),
        ({"resolv_conf": "/no/such/file"}, "failed to init the dns client: /no/such/file: "),
        ({"servers": ["127.0.0.1"], "order": ["MX"]}, "matches none of the enum values"),
    ],
)
def test_configurations_that_are_refused(tmp_path: Path, dns: Any, message: str) -> None:
    upstream = Upstream()
    config = {"plugins": ["key-auth"], "discovery": {"dns": dns}}
    with running_gateway(tmp_path, upstream, config, VirtualClock()) as gateway:
        described = {"type": "roundrobin", "discovery_type": "dns", "service_name": "s"}
        assert gateway.ask(gateway.route({}, upstream=described)).status == 503
        assert "failed to start discovery dns: " in gateway.log
        assert message in gateway.log
    upstream.stop()


def test_a_resolv_conf(tmp_path: Path, nodes: Any) -> None:
    """Its name server is asked at port 53: here nobody answers."""
    (tmp_path / "resolv.conf").write_text("# comment\nnameserver 127.0.0.1\n")
    upstream = Upstream()
    dns = {"resolv_conf": str(tmp_path / "resolv.conf"), "order": ["A"]}
    config = {"plugins": ["key-auth"], "discovery": {"dns": dns}}
    with running_gateway(tmp_path, upstream, config) as gateway:
        described = {"type": "roundrobin", "discovery_type": "dns", "service_name": "s.test"}
        assert gateway.ask(gateway.route({}, upstream=described)).status == 503
        assert "failed to start discovery" not in gateway.log
    upstream.stop()
