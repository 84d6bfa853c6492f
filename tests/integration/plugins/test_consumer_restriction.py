"""The plugin consumer-restriction: who gets through, and what the others are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.gateway import Gateway

from pygw.testing.messages import Answer

FORBIDDEN = {"message": "The consumer_name is forbidden."}


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    """With jack and rose (of the consumer group g1); their keys are their names."""
    gateway = start_gateway(plugins=["consumer-restriction", "key-auth"])
    gateway.put("consumer_groups/g1", {"id": "g1", "plugins": {}})
    for name, more in (("jack", {}), ("rose", {"group_id": "g1"})):
        plugins = {"key-auth": {"key": name}}
        gateway.put(f"consumers/{name}", {"username": name, "plugins": plugins, **more})
    return gateway


def restricted(gateway: Gateway, conf: dict[str, Any], **route: Any) -> str:
    return gateway.route({"key-auth": {}, "consumer-restriction": conf}, **route)


def ask(gateway: Gateway, path: str, name: str, method: str = "GET") -> Answer:
    return gateway.ask(path, {"apikey": name}, method=method)


@pytest.mark.parametrize(
    ("conf", "let_in", "kept_out"),
    [
        ({"whitelist": ["jack"]}, "jack", "rose"),
        ({"blacklist": ["jack"]}, "rose", "jack"),
        ({"type": "consumer_name", "whitelist": ["x", "rose"]}, "rose", "jack"),
        ({"blacklist": ["jack"], "whitelist": ["jack", "rose"]}, "rose", "jack"),
    ],
)
def test_by_name(gateway: Gateway, conf: dict[str, Any], let_in: str, kept_out: str) -> None:
    path = restricted(gateway, conf)
    assert ask(gateway, path, let_in).status == 200
    answer = ask(gateway, path, kept_out)
    assert answer.status == 403
    assert answer.json() == FORBIDDEN


def test_without_a_consumer(gateway: Gateway) -> None:
    answer = gateway.ask(gateway.route({"consumer-restriction": {"blacklist": ["jack"]}}))
    assert answer.status == 401
    message = "The request is rejected, please check the consumer_name for this request"
    assert answer.json() == {"message": message}


def test_by_methods(gateway: Gateway) -> None:
    conf = {"allowed_by_methods": [{"user": "jack", "methods": ["POST", "PUT"]}]}
    path = restricted(gateway, conf)
    assert ask(gateway, path, "jack", "POST").status == 200
    assert ask(gateway, path, "jack", "PUT").status == 200
    assert ask(gateway, path, "jack").json() == FORBIDDEN
    assert ask(gateway, path, "rose").status == 200, "whom nothing is said about may do all"


def test_the_whitelist_wins_over_methods(gateway: Gateway) -> None:
    methods = [{"user": "jack", "methods": ["POST"]}, {"user": "rose", "methods": ["POST"]}]
    path = restricted(gateway, {"whitelist": ["jack"], "allowed_by_methods": methods})
    assert ask(gateway, path, "jack").status == 200
    assert ask(gateway, path, "rose", "POST").status == 403


def test_the_blacklist_wins_over_methods(gateway: Gateway) -> None:
    methods = [{"user": "jack", "methods": ["POST"]}]
    path = restricted(gateway, {"blacklist": ["jack"], "allowed_by_methods": methods})
    assert ask(gateway, path, "jack", "POST").status == 403
    assert ask(gateway, path, "rose").status == 200


def test_the_first_entry_of_a_user_counts(gateway: Gateway) -> None:
    methods = [{"user": "jack", "methods": ["POST"]}, {"user": "jack", "methods": ["GET"]}]
    path = restricted(gateway, {"allowed_by_methods": methods})
    assert ask(gateway, path, "jack").status == 403


def test_status_and_message_of_ones_own(gateway: Gateway) -> None:
    conf = {"blacklist": ["jack"], "rejected_code": 451, "rejected_msg": "not you"}
    answer = ask(gateway, restricted(gateway, conf), "jack")
    assert answer.status == 451
    assert answer.json() == {"message": "not you"}


def test_by_group(gateway: Gateway) -> None:
    path = restricted(gateway, {"type": "consumer_group_id", "whitelist": ["g1"]})
    assert ask(gateway, path, "rose").status == 200
    answer = ask(gateway, path, "jack")
    assert answer.status == 401, "a consumer of no group"
    assert "check the consumer_group_id" in answer.json()["message"]
    path = restricted(gateway, {"type": "consumer_group_id", "blacklist": ["g1"]})
    assert ask(gateway, path, "rose").json() == {"message": "The consumer_group_id is forbidden."}


def test_by_service(gateway: Gateway) -> None:
    upstream = {"nodes": {gateway.upstream.node: 1}, "type": "roundrobin"}
    gateway.put("services/s1", {"id": "s1", "upstream": upstream})
    allowed = {"type": "service_id", "whitelist": ["s1", "s2"]}
    assert ask(gateway, restricted(gateway, allowed, service_id="s1"), "jack").status == 200
    forbidden = {"type": "service_id", "blacklist": ["s1"]}
    answer = ask(gateway, restricted(gateway, forbidden, service_id="s1"), "jack")
    assert answer.json() == {"message": "The service_id is forbidden."}
    answer = ask(gateway, restricted(gateway, allowed), "jack")
    assert answer.status == 401
    assert "check the service_id" in answer.json()["message"]


def test_by_route_on_a_consumer(gateway: Gateway) -> None:
    """A consumer brings along where it may go."""
    path = gateway.route({"key-auth": {}})
    route = f"r{path.removeprefix('/r')}"
    for kind, status in (("whitelist", 200), ("blacklist", 403)):
        conf = {"type": "route_id", kind: [route]}
        plugins = {"key-auth": {"key": "tom"}, "consumer-restriction": conf}
        gateway.put("consumers/tom", {"username": "tom", "plugins": plugins})
        answer = ask(gateway, path, "tom")
        assert answer.status == status
    assert answer.json() == {"message": "The route_id is forbidden."}


@pytest.mark.parametrize(
    ("conf", "reason"),
    [
        ({}, "object matches none of the required"),
        ({"type": "host", "whitelist": ["a"]}, 'property "type" validation failed'),
        ({"whitelist": []}, 'property "whitelist" validation failed'),
        ({"blacklist": [1]}, 'property "blacklist" validation failed'),
        ({"blacklist": ["a"], "rejected_code": 100}, 'property "rejected_code" validation failed'),
        ({"blacklist": ["a"], "rejected_msg": 1}, 'property "rejected_msg" validation failed'),
        (
            {"allowed_by_methods": [{"user": "a", "methods": ["SIT"]}]},
            'property "allowed_by_methods" validation failed',
        ),
    ],
)
def test_configurations_that_are_refused(
    gateway: Gateway, conf: dict[str, Any], reason: str
) -> None:
    log = gateway.complaint({"consumer-restriction": conf})
    assert f"configuration of plugin consumer-restriction err: {reason}" in log
