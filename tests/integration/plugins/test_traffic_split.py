"""The plugin traffic-split: requests are shared between upstreams by conditions and weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.gateway import Gateway

from pygw.testing.upstream import Upstream

IS_V2 = [{"vars": [["http_x_version", "==", "v2"]]}]
V2 = {"X-Version": "v2"}


class Named:
    """Upstreams beside the route's own, each known by what it answers."""

    def __init__(self) -> None:
        self.servers = {name: Upstream() for name in "abc"}

    def describe(self, name: str, **more: Any) -> dict[str, Any]:
        return {"type": "roundrobin", "nodes": {self.servers[name].node: 1}, **more}

    def asked(self) -> Counter[str]:
        """How often each was asked since this was last asked."""
        counts = Counter({name: len(server.requests) for name, server in self.servers.items()})
        for server in self.servers.values():
            server.requests.clear()
        return +counts


@pytest.fixture(scope="module")
def others() -> Iterator[Named]:
    named = Named()
    yield named
    for server in named.servers.values():
        server.stop()


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway], others: Named) -> Gateway:
    gateway = start_gateway(plugins=["traffic-split", "key-auth"])
    for name in "ab":
        gateway.put(f"upstreams/{name}", {"id": name, **others.describe(name)})
    return gateway


@pytest.fixture(autouse=True)
def _from_zero(others: Named) -> None:
    others.asked()


def split(gateway: Gateway, *rules: dict[str, Any]) -> str:
    return gateway.route({"traffic-split": {"rules": list(rules)}})


def asked(
    gateway: Gateway, others: Named, path: str, count: int, headers: dict[str, str] | None = None
) -> dict[str, int]:
    """Ask so often; who got the requests: "own" is the route's upstream."""
    before = len(gateway.upstream.requests)
    assert {gateway.ask(path, headers).status for _ in range(count)} == {200}
    own = len(gateway.upstream.requests) - before
    return {**others.asked(), **({"own": own} if own else {})}


def test_weights(gateway: Gateway, others: Named) -> None:
    upstreams = [
        {"upstream": others.describe("a"), "weight": 3},
        {"upstream": others.describe("b"), "weight": 2},
        {"weight": 1},
    ]
    path = split(gateway, {"weighted_upstreams": upstreams})
    assert asked(gateway, others, path, 24) == {"a": 12, "b": 8, "own": 4}


def test_the_weight_is_1_unless_it_is_said(gateway: Gateway, others: Named) -> None:
    path = split(gateway, {"weighted_upstreams": [{"upstream": others.describe("a")}, {}]})
    assert asked(gateway, others, path, 8) == {"a": 4, "own": 4}


def test_a_weight_of_0_gets_nothing(gateway: Gateway, others: Named) -> None:
    upstreams = [{"upstream": others.describe("a"), "weight": 0}, {"weight": 5}]
    path = split(gateway, {"weighted_upstreams": upstreams})
    assert asked(gateway, others, path, 10) == {"own": 10}


def test_upstreams_by_id(gateway: Gateway, others: Named) -> None:
    upstreams = [{"upstream_id": "a", "weight": 2}, {"upstream_id": "b"}, {"weight": 1}]
    path = split(gateway, {"weighted_upstreams": upstreams})
    assert asked(gateway, others, path, 12) == {"a": 6, "b": 3, "own": 3}


def test_ids_and_descriptions_side_by_side(gateway: Gateway, others: Named) -> None:
    upstreams = [{"upstream_id": "a"}, {"upstream": others.describe("c")}]
    path = split(gateway, {"weighted_upstreams": upstreams})
    assert asked(gateway, others, path, 8) == {"a": 4, "c": 4}


@pytest.mark.parametrize("weight", [0, 1])
def test_an_id_that_is_not_there(gateway: Gateway, weight: int) -> None:
    upstreams = [{"upstream_id": "absent", "weight": weight}, {"weight": 1}]
    answer = gateway.ask(split(gateway, {"weighted_upstreams": upstreams}))
    assert answer.status == 500
    assert answer.text == "failed to fetch upstream info by upstream id: absent"


# conditions


def test_a_condition(gateway: Gateway, others: Named) -> None:
    rule = {"match": IS_V2, "weighted_upstreams": [{"upstream": others.describe("a")}]}
    path = split(gateway, rule)
    assert asked(gateway, others, path, 2, V2) == {"a": 2}
    assert asked(gateway, others, path, 2) == {"own": 2}


def test_all_of_one_conditions_variables_must_hold(gateway: Gateway, others: Named) -> None:
    match = [
        {"vars": [["arg_name", "==", "jack"], ["arg_age", ">", "23"], ["http_x", "~~", "[a-z]+"]]}
    ]
    path = split(gateway, {"match": match, "weighted_upstreams": [{"upstream_id": "a"}]})
    full = f"{path}?name=jack&age=30"
    assert asked(gateway, others, full, 1, {"X": "hello"}) == {"a": 1}
    assert asked(gateway, others, full, 1, {"X": "1"}) == {"own": 1}
    assert asked(gateway, others, f"{path}?name=jack&age=3", 1, {"X": "hello"}) == {"own": 1}


def test_one_of_several_conditions_is_enough(gateway: Gateway, others: Named) -> None:
    match = [{"vars": [["arg_name", "==", name]]} for name in ("jack", "rose")]
    path = split(gateway, {"match": match, "weighted_upstreams": [{"upstream_id": "a"}]})
    for name in ("jack", "rose"):
        assert asked(gateway, others, f"{path}?name={name}", 1) == {"a": 1}
    assert asked(gateway, others, path, 1) == {"own": 1}


def test_conditions_with_or(gateway: Gateway, others: Named) -> None:
    match = [{"vars": ["OR", ["arg_a", "==", "1"], ["arg_b", "!", "==", "2"]]}]
    path = split(gateway, {"match": match, "weighted_upstreams": [{"upstream_id": "a"}]})
    assert asked(gateway, others, f"{path}?b=2", 1) == {"own": 1}
    assert asked(gateway, others, f"{path}?a=1&b=2", 1) == {"a": 1}


@pytest.mark.parametrize("match", [None, [{"vars": []}]])
def test_no_condition(gateway: Gateway, others: Named, match: Any) -> None:
    rule = {"weighted_upstreams": [{"upstream_id": "a"}], **({"match": match} if match else {})}
    assert asked(gateway, others, split(gateway, rule), 2) == {"a": 2}


def test_the_first_rule_that_holds(gateway: Gateway, others: Named) -> None:
    path = split(
        gateway,
        {"match": IS_V2, "weighted_upstreams": [{"upstream": others.describe("a")}]},
        {"match": IS_V2, "weighted_upstreams": [{"upstream": others.describe("b")}]},
        {"weighted_upstreams": [{"upstream": others.describe("c")}]},
    )
    assert asked(gateway, others, path, 2, V2) == {"a": 2}
    assert asked(gateway, others, path, 2) == {"c": 2}


def test_rules_with_weights_each(gateway: Gateway, others: Named) -> None:
    def to(name: str) -> list[dict[str, Any]]:
        return [{"upstream": others.describe(name)}, {"weight": 1}]

    path = split(
        gateway,
        {"match": IS_V2, "weighted_upstreams": to("a")},
        {"match": [{"vars": [["arg_id", "==", "1"]]}], "weighted_upstreams": to("b")},
    )
    assert asked(gateway, others, path, 6, V2) == {"a": 3, "own": 3}
    assert asked(gateway, others, f"{path}?id=1", 6) == {"b": 3, "own": 3}


def test_without_weighted_upstreams_the_route_s_own_is_used(
    gateway: Gateway, others: Named
) -> None:
    assert asked(gateway, others, split(gateway, {"match": IS_V2}), 2, V2) == {"own": 2}


def test_without_rules_nothing_is_split(gateway: Gateway, others: Named) -> None:
    assert asked(gateway, others, gateway.route({"traffic-split": {}}), 2) == {"own": 2}


# upstreams


def test_nodes_of_an_upstream_share_its_requests(gateway: Gateway, others: Named) -> None:
    nodes = {others.servers[name].node: 1 for name in "ab"}
    upstreams = [{"upstream": {"type": "roundrobin", "nodes": nodes}}]
    path = split(gateway, {"weighted_upstreams": upstreams})
    assert asked(gateway, others, path, 8) == {"a": 4, "b": 4}


def test_nodes_in_a_list(gateway: Gateway, others: Named) -> None:
    host, port = others.servers["a"].node.split(":")
    nodes = [{"host": host, "port": int(port), "weight": 1}]
    path = split(gateway, {"weighted_upstreams": [{"upstream": {"nodes": nodes}}]})
    assert asked(gateway, others, path, 2) == {"a": 2}


def test_nodes_with_a_domain(gateway: Gateway, others: Named) -> None:
    port = others.servers["a"].node.split(":")[1]
    described = {"type": "roundrobin", "nodes": {f"localhost:{port}": 1}, "pass_host": "node"}
    path = split(gateway, {"weighted_upstreams": [{"upstream": described}]})
    assert gateway.ask(path).status == 200
    assert others.servers["a"].last.headers.get("Host") == "localhost"


@pytest.mark.parametrize(
    ("more", "host"),
    [
        ({}, "test.com"),
        ({"pass_host": "pass"}, "test.com"),
        ({"pass_host": "rewrite", "upstream_host": "other.com"}, "other.com"),
    ],
)
def test_the_host_that_the_upstream_sees(
    gateway: Gateway, others: Named, more: dict[str, str], host: str
) -> None:
    path = split(gateway, {"weighted_upstreams": [{"upstream": others.describe("a", **more)}]})
    assert gateway.ask(path).status == 200
    assert others.servers["a"].last.headers.get("Host") == host


def test_an_upstream_that_hashes(gateway: Gateway, others: Named) -> None:
    nodes = {others.servers[name].node: 1 for name in "abc"}
    described = {"type": "chash", "key": "arg_id", "hash_on": "vars", "nodes": nodes}
    path = split(gateway, {"weighted_upstreams": [{"upstream": described}]})
    for number in range(8):
        assert len(asked(gateway, others, f"{path}?id={number}", 3)) == 1
    for number in range(30):
        gateway.ask(f"{path}?id={number}")
    assert set(others.asked()) == {"a", "b", "c"}


def test_changing_the_rules(gateway: Gateway, others: Named) -> None:
    path = split(gateway, {"weighted_upstreams": [{"upstream_id": "a"}]})
    assert asked(gateway, others, path, 1) == {"a": 1}
    rules = [{"weighted_upstreams": [{"upstream": others.describe("b")}]}]
    gateway.put(f"routes{path}", gateway.describe(path, {"traffic-split": {"rules": rules}}))
    assert asked(gateway, others, path, 1) == {"b": 1}


def test_a_consumer_with_rules_of_its_own(gateway: Gateway, others: Named) -> None:
    rules = [{"weighted_upstreams": [{"upstream_id": "b"}]}]
    plugins = {"key-auth": {"key": "k"}, "traffic-split": {"rules": rules}}
    gateway.put("consumers/jack", {"username": "jack", "plugins": plugins})
    path = gateway.route({"key-auth": {}})
    assert asked(gateway, others, path, 2, {"apikey": "k"}) == {"b": 2}


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"weighted_upstreams": []}, "expect array to have at least 1 items"),
        ({"weighted_upstreams": [{}] * 21}, "expect array to have at most 20 items"),
        ({"weighted_upstreams": [{"weight": -1}]}, "expected -1 to be at least 0"),
        ({"weighted_upstreams": [{"weight": "1"}]}, "wrong type: expected integer, got string"),
        ({"weighted_upstreams": [{"upstream": {"type": "roundrobin"}}]}, "value should match only"),
        ({"match": [{"vars": "a"}]}, 'property "vars" validation failed'),
        ({"match": [{"vars": [["arg_a", "nonsense", "b"]]}]},
         "failed to validate the 'vars' expression: invalid operator 'nonsense'"),
        ({"match": [{}]}, "failed to validate the 'vars' expression: "),
    ],
)  # fmt: skip
def test_configurations_that_are_refused(gateway: Gateway, rule: Any, message: str) -> None:
    assert message in gateway.complaint({"traffic-split": {"rules": [rule]}})


def test_nodes_without_a_port(gateway: Gateway, others: Named, plugin_source: Path | None) -> None:
    """They have the scheme's port; APISIX's own plugin has none for them and fails."""
    nodes = [{"host": "127.0.0.1", "weight": 1}]
    described = {"nodes": nodes, "timeout": {"connect": 1, "send": 1, "read": 1}}
    answer = gateway.ask(split(gateway, {"weighted_upstreams": [{"upstream": described}]}))
    assert answer.status in ((500, 502) if plugin_source else (200, 404, 502))
