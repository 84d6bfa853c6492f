"""Upstreams with `checks`: nodes that are unwell are passed over, as probes and requests find."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gevent import ssl
from support.certificates import Authority
from support.checks import active, answered_by, begin, both

STATUSES = {"http_statuses": [200]}
PASSIVE = {
    "healthy": {"http_statuses": [200], "successes": 2},
    "unhealthy": {"http_statuses": [500], "http_failures": 2, "tcp_failures": 1, "timeouts": 1},
}


# active


@pytest.mark.parametrize("kind", ["roundrobin", "chash", "least_conn", "ewma"])
def test_a_node_that_fails_is_passed_over_until_it_is_well(
    site: Any, pair: list[Any], kind: str
) -> None:
    path = begin(site, pair, type=kind, key="arg_id", checks={"active": active()})
    good, bad = pair
    bad.status = 500

    def sharers() -> set[str]:
        return {next(iter(site.shares(f"{path}?id={number}", 1))) for number in range(12)}

    found = f"unhealthy http_failure increment (1/1) for '127.0.0.1(127.0.0.1:{bad.port})'"
    site.pass_until(lambda: found in site.gateway.log)  # by chance ewma asks the good one alone
    site.pass_until(lambda: "500" not in sharers())
    asked = len(bad.requests)
    assert sharers() == {good.address}
    assert len(bad.requests) == asked
    bad.status = 200
    site.pass_until(lambda: sharers() == both(pair))


def test_so_many_failures_and_so_many_successes(site: Any, pair: list[Any]) -> None:
    checks = {"active": active(healthy={"successes": 2}, unhealthy={"http_failures": 3})}
    path = begin(site, pair, checks=checks)
    bad = pair[1]
    bad.status = 500
    bad.probes.clear()
    site.pass_until(lambda: len(bad.probes) == 2)
    site.settle()
    assert "500" in site.shares(path)
    site.pass_until(lambda: len(bad.probes) >= 3 and "500" not in site.shares(path))
    bad.status = 200
    bad.probes.clear()
    site.pass_until(answered_by(site, path, *pair))
    assert len(bad.probes) >= 2
    assert f"unhealthy http_failure increment (3/3) for '127.0.0.1(127.0.0.1:{bad.port})'" in (
        site.gateway.log
    )


def test_all_are_used_when_all_are_unwell(site: Any, pair: list[Any]) -> None:
    checks = {"active": active(unhealthy={"http_statuses": [404]}, healthy=STATUSES)}
    for node in pair:
        node.status = 404
    before = len(site.gateway.log)
    path = begin(site, pair, checks=checks)
    site.pass_until(
        lambda: (
            bool(site.shares(path))
            and "all upstream nodes is unhealthy, use default" in site.gateway.log[before:]
        )
    )
    for node in pair:
        node.requests.clear()
    assert site.shares(path) == {"404": 4}
    assert all(len(node.requests) == 2 for node in pair)


def test_the_way_of_asking(site: Any, pair: list[Any]) -> None:
    conf = active(
        host="probe.com", req_headers=["User-Agent: checker", "X-A: b"], http_method="POST"
    )
    begin(site, pair, checks={"active": conf})
    site.pass_until(lambda: bool(pair[0].probes))
    probe = pair[0].probes[0]
    headers = probe.headers
    assert (probe.method, probe.target, probe.version) == ("POST", "/status", "HTTP/1.1")
    assert headers.get("Host") == "probe.com"
    assert headers.get("User-Agent") == "checker"
    assert headers.get("X-A") == "b"
    assert headers.get("Connection") == "close"


@pytest.mark.parametrize(
    ("upstream", "host"),
    [
        ({}, "127.0.0.1"),
        ({"pass_host": "rewrite", "upstream_host": "rewritten.com"}, "rewritten.com"),
        ({"pass_host": "node"}, "127.0.0.1"),
    ],
)
def test_the_host_of_a_probe(site: Any, pair: list[Any], upstream: Any, host: str) -> None:
    begin(site, pair, checks={"active": active()}, **upstream)
    site.pass_until(lambda: bool(pair[0].probes))
    assert pair[0].probes[0].headers.get("Host") == host


def test_a_node_with_a_domain_is_probed_by_it(site: Any, pair: list[Any]) -> None:
    path = site.route({f"localhost:{pair[0].port}": 1}, checks={"active": active()})
    site.gateway.ask(path)
    site.pass_until(lambda: bool(pair[0].probes))
    assert pair[0].probes[0].headers.get("Host") == "localhost"


def test_a_port_for_probes(site: Any, nodes: Callable[[int], list[Any]]) -> None:
    served, probed = nodes(2)
    other = nodes(1)[0]
    probed.status = 500
    path = site.route([served, other], checks={"active": active(port=probed.port)})
    before = len(site.gateway.log)
    site.shares(path)
    site.pass_until(
        lambda: (
            bool(site.shares(path))
            and "all upstream nodes is unhealthy, use default" in site.gateway.log[before:]
        )
    )
    assert not served.probes
    assert probed.probes


def test_a_node_that_nobody_listens_at(site: Any, pair: list[Any]) -> None:
    path = begin(site, pair, retries=0, checks={"active": active(type="tcp")})
    pair[1].go_away()
    site.pass_until(answered_by(site, path, pair[0]))
    assert not pair[0].probes, "it is connected to, no more"
    pair[1].come_back()
    site.pass_until(answered_by(site, path, *pair))


def test_a_node_that_does_not_answer_in_time(site: Any, pair: list[Any]) -> None:
    path = begin(site, pair, checks={"active": active(timeout=2)})
    pair[1].hangs = True
    site.pass_until(lambda: "unhealthy timeout_failure increment (1/1)" in site.gateway.log)
    assert set(site.shares(path)) == {pair[0].address}


@pytest.mark.parametrize("verify", [False, True])
def test_probes_over_tls(
    site: Any, nodes: Callable[..., list[Any]], tmp_path: Path, verify: bool
) -> None:
    certificate = Authority(tmp_path).issue("node.test")
    pair = nodes(2, certificate.server_context(ssl.SSLContext))
    conf = active(type="https", https_verify_certificate=verify)
    before = len(site.gateway.log)
    path = begin(site, pair, scheme="https", checks={"active": conf})
    if verify:
        site.pass_until(lambda: "failed SSL handshake with" in site.gateway.log[before:])
        return
    pair[1].status = 500
    site.pass_until(lambda: set(site.shares(path)) == {pair[0].address})


# passive


PASSIVE_ALONE = {"active": {"http_path": "/status"}, "passive": PASSIVE}  # without an interval


def test_what_requests_meet(site: Any, pair: list[Any]) -> None:
    path = site.route(pair, checks=PASSIVE_ALONE)
    site.gateway.ask(path)
    site.clock.advance(2)
    good, bad = pair
    bad.status = 500
    answers = site.shares(path, 20)
    assert answers == {good.address: 18, "500": 2}
    assert not bad.probes
    bad.status = 200
    assert site.shares(path) == {good.address: 4}, "nobody asks it any more"


def test_tries_that_fail(site: Any, pair: list[Any]) -> None:
    path = site.route(pair, checks=PASSIVE_ALONE)
    site.gateway.ask(path)
    site.clock.advance(2)
    good, bad = pair
    bad.go_away()
    assert site.shares(path, 6) == {good.address: 6}
    assert f"unhealthy tcp_failure increment (1/1) for '(127.0.0.1:{bad.port})'" in site.gateway.log


def test_successes_of_probes_end_what_requests_met(site: Any, pair: list[Any]) -> None:
    probes = active()
    probes["healthy"].pop("interval")  # only nodes that are unwell are probed
    path = site.route(pair, checks={"active": probes, "passive": PASSIVE})
    site.gateway.ask(path)
    site.clock.advance(2)
    pair[1].status = 500
    site.shares(path, 10)
    assert set(site.shares(path)) == {pair[0].address}
    pair[1].status = 200
    site.pass_until(answered_by(site, path, *pair))
