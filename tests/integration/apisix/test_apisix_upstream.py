"""Where a request goes: nodes, retries, timeouts, and what the upstream is told."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

CLOSED = "127.0.0.1:1"  # nobody listens there


@pytest.fixture(scope="module")
def gateway(module_start: Callable[..., Any], upstreams: list[Any]) -> Any:
    one, two = (upstream.node for upstream in upstreams)

    def route(uri: str, nodes: Any, timeout: Any = None, **more: Any) -> dict[str, Any]:
        timeouts = {"timeout": timeout} if timeout else {}
        return {"uri": uri, "upstream": {"type": "roundrobin", "nodes": nodes, **more}, **timeouts}

    by_priority = [
        {"host": "127.0.0.1", "port": 1, "weight": 1, "priority": 10},
        {"host": "127.0.0.1", "port": int(two.split(":")[1]), "weight": 1},
    ]
    local = {f"localhost:{one.split(':')[1]}": 1}
    return module_start(
        {
            "routes/one": route("/*", {one: 1}),
            "routes/weights": route("/weights", {one: 3, two: 1}),
            "routes/retry": route("/retry", {CLOSED: 1000, two: 1}),
            "routes/noretry": route("/noretry", {CLOSED: 1000, two: 1}, retries=0),
            "routes/dead": route("/dead", {CLOSED: 1}),
            "routes/alldead": route("/alldead", {CLOSED: 1, "127.0.0.1:2": 1, "127.0.0.1:3": 1}),
            "routes/spent": route("/hang", {one: 1, two: 1}, {"connect": 1, "send": 1, "read": 0.1},
                                  retry_timeout=0.05),
            "routes/priority": route("/priority", by_priority),
            "routes/domain": route("/domain", local, pass_host="node"),
            "routes/nowhere": route("/nowhere", {"no-such-host.invalid:80": 1}),
            "routes/node": route("/node", {one: 1}, pass_host="node"),
            "routes/rewrite": route("/rewritten", {one: 1}, pass_host="rewrite",
                                    upstream_host="other.com"),
            "routes/empty": route("/empty", []),
            "routes/grpcs": route("/grpcs", {one: 1}, scheme="grpcs"),
            "routes/discovery": {"uri": "/discovery", "upstream": {
                "type": "roundrobin", "service_name": "s", "discovery_type": "dns"}},
            "routes/missing": {"uri": "/missing", "upstream_id": "absent"},
            "routes/none": {"uri": "/none", "plugins": {"t-order": {}}},
            "routes/type": route("/type", {one: 1, two: 1}, type="nope"),
            "upstreams/u": {"type": "roundrobin", "nodes": {two: 1}},
            "routes/byid": {"uri": "/byid", "upstream_id": "u"},
        }
    )  # fmt: skip


def test_requests_are_spread_by_weight(gateway: Any, upstreams: list[Any]) -> None:
    nodes = Counter(gateway.ask("/weights").json["node"] for _ in range(40))
    assert nodes == {upstreams[0].node: 30, upstreams[1].node: 10}


def test_a_node_that_fails_is_passed_over(gateway: Any, upstreams: list[Any]) -> None:
    assert {gateway.ask("/retry").json["node"] for _ in range(6)} == {upstreams[1].node}


def test_without_retries_the_first_failure_is_the_answer(gateway: Any) -> None:
    assert 502 in [gateway.ask("/noretry").status for _ in range(3)]


@pytest.mark.parametrize(("path", "tries"), [("/dead", 1), ("/alldead", 3)])
def test_when_every_node_fails_all_have_been_tried(gateway: Any, path: str, tries: int) -> None:
    answer = gateway.ask(path)
    assert answer.status == 502
    assert answer.headers["X-APISIX-Upstream-Status"] == ", ".join(["502"] * tries)


def test_retries_end_at_the_retry_timeout(gateway: Any) -> None:
    assert gateway.ask("/hang").status == 502
    assert "proxy retry timeout, retry count: 0" in gateway.log()


def test_nodes_of_lower_priority_stand_by(gateway: Any, upstreams: list[Any]) -> None:
    assert gateway.ask("/priority").json["node"] == upstreams[1].node


def test_a_domain_is_resolved_and_may_be_the_host(gateway: Any, upstreams: list[Any]) -> None:
    answer = gateway.ask("/domain")
    assert answer.seen["host"] == f"localhost:{upstreams[0].node.split(':')[1]}"


@pytest.mark.parametrize(
    ("path", "host"), [("/pass", "test.com:81"), ("/node", None), ("/rewritten", "other.com")]
)
def test_pass_host(gateway: Any, upstream: Any, path: str, host: str | None) -> None:
    assert gateway.ask(path, host="test.com:81").seen["host"] == (host or upstream.node)


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/empty", 503, "no valid upstream node"),
        ("/nowhere", 503, "no valid upstream node"),
        ("/none", 503, "missing upstream configuration in Route or Service"),
        ("/grpcs", 503, "upstream scheme 'grpcs' is not supported"),
        ("/discovery", 503, "discovery is uninitialized"),
        ("/missing", 502, "failed to find upstream by id: absent"),
        ("/type", 502, "invalid balancer type: nope"),
    ],
)
def test_no_way_to_go(gateway: Any, path: str, status: int, reason: str) -> None:
    assert gateway.ask(path).status == status
    assert reason in gateway.log()


def test_an_upstream_by_id_follows_its_changes(gateway: Any, upstreams: list[Any]) -> None:
    assert gateway.ask("/byid").json["node"] == upstreams[1].node
    gateway.put("upstreams/u", {"type": "roundrobin", "nodes": {upstreams[0].node: 1}})
    gateway.until(lambda: gateway.ask("/byid").json["node"] == upstreams[0].node)


def test_what_the_upstream_is_told_of_the_client(gateway: Any) -> None:
    seen = gateway.ask("/", host="test.com:99", X_Forwarded_Proto="https", X_Forwarded_Host="evil",
                       X_Forwarded_Port="1", Forwarded="for=evil", X_Forwarded_For="10.1.1.1",
                       X_Real_IP="10.2.2.2").seen  # fmt: skip
    assert (seen["x-forwarded-proto"], seen["x-forwarded-host"]) == ("http", "test.com:99")
    assert (seen["x-forwarded-port"], seen["x-real-ip"]) == ("99", "127.0.0.1")
    assert seen["x-forwarded-for"] == "10.1.1.1, 127.0.0.1"
    assert "forwarded" not in seen


def test_without_a_port_in_host_the_port_is_ours(gateway: Any) -> None:
    assert gateway.ask("/").seen["x-forwarded-port"] == str(gateway.port)


def test_the_request_arrives_as_it_was_sent(gateway: Any) -> None:
    told = gateway.ask("/some/path?a=1&b=%20", "POST", body="hello", X_Own="mine").json
    assert (told["method"], told["path"], told["query"]) == ("POST", "/some/path", "a=1&b=%20")
    assert (told["body"], told["headers"]["x-own"]) == ("hello", "mine")


def test_a_failure_of_the_upstream_shows_in_a_header(gateway: Any) -> None:
    answer = gateway.ask("/status/503")
    assert (answer.status, answer.headers["X-APISIX-Upstream-Status"]) == (503, "503")
    assert gateway.ask("/status/404").headers["X-APISIX-Upstream-Status"] is None


@pytest.mark.parametrize("trusted", [True, False])
def test_a_trusted_peer_may_speak_for_its_client(
    start: Callable[..., Any], upstream: Any, trusted: bool
) -> None:
    route = {"uri": "/*", "upstream": {"type": "roundrobin", "nodes": {upstream.node: 1}}}
    peers = ["127.0.0.0/8"] if trusted else ["10.0.0.0/8"]
    gateway = start({"routes/1": route}, {"apisix": {"trusted_addresses": peers}})
    seen = gateway.ask("/", X_Forwarded_Proto="https", X_Forwarded_For="10.1.1.1").seen
    assert seen["x-forwarded-proto"] == ("https" if trusted else "http")
    assert seen["x-forwarded-for"] == ("10.1.1.1, 127.0.0.1" if trusted else "127.0.0.1")
