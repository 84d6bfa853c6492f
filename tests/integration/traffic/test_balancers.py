"""Which node a request goes to: by hash, by load, by speed, and past those that fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
import pytest

CLOSED = "127.0.0.1:1"  # nobody listens there


@pytest.fixture
def trio(nodes: Callable[[int], list[Any]]) -> list[Any]:
    return nodes(3)


def hashed(site: Any, trio: list[Any], key: str | None = "arg_id", **more: Any) -> str:
    keyed = {"key": key} if key else {}
    path: str = site.route(trio, type="chash", **keyed, **more)
    return path


# by hash


def test_a_key_always_comes_to_the_same_node(site: Any, trio: list[Any]) -> None:
    path = hashed(site, trio)
    owners = set()
    for number in range(30):
        (owner,) = site.shares(f"{path}?id={number}", 2)
        owners.add(owner)
    assert owners == {node.address for node in trio}


@pytest.mark.parametrize(
    ("conf", "header", "form"),
    [
        ({"hash_on": "header", "key": "X-Session"}, "X-Session", "{}"),
        ({"hash_on": "cookie", "key": "session"}, "Cookie", "session={}"),
        ({"hash_on": "vars_combinations", "key": "$http_x_a$uri"}, "X-A", "{}"),
    ],
)
def test_what_is_hashed(site: Any, trio: list[Any], conf: Any, header: str, form: str) -> None:
    path = site.route(trio, type="chash", **conf)
    owners = set()
    for number in range(30):
        headers = {header: form.format(number)}
        (owner,) = site.shares(path, 2, **headers)
        owners.add(owner)
    assert owners == {node.address for node in trio}


def test_the_consumer_is_hashed(site: Any, trio: list[Any]) -> None:
    upstream = {
        "type": "chash", "hash_on": "consumer", "nodes": {node.address: 1 for node in trio}
    }  # fmt: skip
    path = site.gateway.route({"key-auth": {}}, upstream=upstream)
    owners = set()
    for number in range(12):
        name = f"c{number}"
        plugins = {"key-auth": {"key": name}}
        site.gateway.put(f"consumers/{name}", {"username": name, "plugins": plugins})
        (owner,) = site.shares(path, 2, apikey=name)
        owners.add(owner)
    assert len(owners) > 1


@pytest.mark.parametrize("conf", [{"hash_on": "header", "key": "x-none"}, {"key": "arg_none"}])
def test_without_the_key_the_client_s_address_is_hashed(
    site: Any, trio: list[Any], conf: Any
) -> None:
    path = site.route(trio, type="chash", **conf)
    assert len(site.shares(path, 10)) == 1
    assert (
        "chash_key fetch is nil, use default chash_key remote_addr: 127.0.0.1" in site.gateway.log
    )


def test_most_keys_stay_when_a_node_goes(site: Any, trio: list[Any]) -> None:
    def owners(path: str) -> list[str]:
        return [next(iter(site.shares(f"{path}?id={number}", 1))) for number in range(40)]

    before, after = owners(hashed(site, trio)), owners(hashed(site, trio[:2]))
    gone = trio[2].address
    assert all(a == b for a, b in zip(before, after, strict=True) if a != gone)
    assert gone in before


def test_a_retry_goes_on_round_the_ring(site: Any, trio: list[Any]) -> None:
    addresses = {CLOSED: 10, "127.0.0.1:2": 10, trio[0].address: 1}
    path = site.route(addresses, type="chash", key="arg_id")
    for number in range(10):
        assert site.shares(f"{path}?id={number}", 1) == {trio[0].address: 1}


def test_weights_of_0_alone(site: Any, trio: list[Any]) -> None:
    nodes = {node.address: 0 for node in trio}
    assert site.shares(site.route(nodes, type="chash", key="uri"), 1) == {"502": 1}


# by load


def test_equal_nodes_take_turns(site: Any, trio: list[Any]) -> None:
    path = site.route(trio, type="least_conn")
    assert site.shares(path, 6) == {node.address: 2 for node in trio}


def test_the_heavier_node_is_taken_while_it_is_idle(site: Any, trio: list[Any]) -> None:
    nodes = {trio[0].address: 3, trio[1].address: 2}
    path = site.route(nodes, type="least_conn")
    assert site.shares(path, 6) == {trio[0].address: 6}


def test_nodes_with_requests_under_way_are_passed_over(site: Any, trio: list[Any]) -> None:
    slow, quick = trio[:2]
    slow.hangs = True
    path = site.route([slow, quick], type="least_conn")
    gateway = site.gateway
    jobs = []
    for _ in range(2):  # one of them, or both, meet the slow one
        jobs.append(gevent.spawn(gateway.ask, path))
        gateway.until(lambda: bool(slow.requests) or jobs[-1].ready())
    assert len(slow.requests) == 1
    assert site.shares(path, 5) == {quick.address: 5}
    slow.stop()
    gevent.joinall(jobs)


def test_connections_count_on_when_the_nodes_change(site: Any, trio: list[Any]) -> None:
    """Of two nodes the first has requests under way from a time when it was the only one."""
    slow, quick = trio[:2]
    slow.hangs = True
    gateway = site.gateway
    path = site.route([slow], type="least_conn")
    jobs = [gevent.spawn(gateway.ask, path) for _ in range(3)]
    gateway.until(lambda: len(slow.requests) == 3)
    upstream = {"type": "least_conn", "nodes": {slow.address: 1, quick.address: 1}}
    gateway.put(f"routes{path}", gateway.describe(path, {}, upstream=upstream))
    assert site.shares(path, 3) == {quick.address: 3}
    slow.stop()
    gevent.joinall(jobs)


def test_the_least_loaded_is_retried_elsewhere(site: Any, trio: list[Any]) -> None:
    path = site.route({CLOSED: 100, trio[0].address: 1}, type="least_conn")
    assert site.shares(path, 3) == {trio[0].address: 3}
    assert "released a connection never picked" not in site.gateway.log


# by speed


def test_the_slower_node_is_avoided(site: Any, trio: list[Any]) -> None:
    slow, quick = trio[:2]
    slow.hangs = True
    path = site.route([slow, quick], type="ewma", retries=0)
    gateway = site.gateway

    def meets_the_slow_one() -> bool:
        job = gevent.spawn(gateway.ask, path)
        gateway.until(lambda: job.ready() or bool(slow.requests))
        if job.ready():
            return False
        site.clock.advance(5)
        slow.stop()
        job.get(timeout=20)
        return True

    gateway.until(meets_the_slow_one)
    slow.hangs = False
    slow.come_back()
    assert site.shares(path, 10) == {quick.address: 10}


def test_the_faster_of_two_is_retried_elsewhere(site: Any, trio: list[Any]) -> None:
    path = site.route({CLOSED: 1, "127.0.0.1:2": 1, trio[0].address: 1}, type="ewma")
    assert site.shares(path, 6) == {trio[0].address: 6}


# whichever way


@pytest.mark.parametrize("kind", ["roundrobin", "chash", "least_conn", "ewma"])
def test_all_nodes_are_tried_once(site: Any, kind: str) -> None:
    closed = {f"127.0.0.1:{port}": 1 for port in (1, 2, 3)}
    path = site.route(closed, type=kind, key="uri")
    answer = site.gateway.ask(path)
    assert answer.status == 502
    assert answer.headers.get("X-APISIX-Upstream-Status") == "502, 502, 502"


@pytest.mark.parametrize("kind", ["roundrobin", "chash", "least_conn", "ewma"])
def test_retries_beyond_the_nodes(site: Any, kind: str) -> None:
    closed = {f"127.0.0.1:{port}": 1 for port in (1, 2)}
    before = len(site.gateway.log)
    assert site.gateway.ask(site.route(closed, type=kind, key="uri", retries=5)).status == 502
    assert "all upstream servers tried" in site.gateway.log[before:]


@pytest.mark.parametrize("kind", ["roundrobin", "chash", "least_conn", "ewma"])
def test_the_next_priority_when_all_have_failed(site: Any, trio: list[Any], kind: str) -> None:
    listed = [{"host": "127.0.0.1", "port": port, "weight": 1, "priority": 1} for port in (1, 2)]
    listed.append({"host": "127.0.0.1", "port": trio[0].port, "weight": 1, "priority": 0})
    path = site.route(listed, type=kind, key="uri")
    assert site.shares(path, 3) == {trio[0].address: 3}
