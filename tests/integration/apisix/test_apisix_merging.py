"""What bears on a request besides its route: service, plugin config, consumer, group."""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture(scope="module")
def gateway(module_start: Callable[..., Any], upstreams: list[Any]) -> Any:
    one, two = ({"type": "roundrobin", "nodes": {upstream.node: 1}} for upstream in upstreams)

    def by(mark: str, *names: str) -> dict[str, Any]:
        return {"plugins": {name: {"mark": mark} for name in names}}

    secured: dict[str, Any] = {"plugins": {"t-auth": {}, "t-order": {"mark": "route"}}}
    return module_start(
        {
            "services/s": {"name": "serv", "upstream": one, **by("service", "t-order", "t-late")},
            "routes/plain": {"uri": "/plain", "service_id": "s"},
            "routes/wins": {"uri": "/wins", "service_id": "s", "upstream": two,
                            **by("route", "t-order")},
            "plugin_configs/p": {"id": "p", **by("config", "t-order", "t-late")},
            "routes/config": {"uri": "/config", "plugin_config_id": "p", "upstream": one,
                              **by("route", "t-order")},
            "routes/all": {"uri": "/all", "plugin_config_id": "p", "service_id": "s"},
            "routes/nosvc": {"uri": "/nosvc", "service_id": "absent"},
            "routes/noconf": {"uri": "/noconf", "plugin_config_id": "absent", "upstream": one},
            "routes/auth": {"uri": "/auth", "upstream": one, **secured},
            "routes/guest": {"uri": "/guest", "upstream": one,
                             "plugins": {"t-auth": {"anonymous_consumer": "guest"}}},
            "consumers/jack": {"username": "jack", "labels": {"custom_id": "007"},
                               "plugins": {"t-auth": {"key": "j"}}},
            "consumers/ann": {"username": "ann", "plugins": {
                "t-auth": {"key": "a"}, "t-late": {"mark": "consumer"}}},
            "consumers/bob": {"username": "bob", "group_id": "g", "plugins": {
                "t-auth": {"key": "b"}, "t-order": {"mark": "consumer"}}},
            "consumer_groups/g": {"id": "g", **by("group", "t-order", "t-late")},
            "consumers/lost": {"username": "lost", "group_id": "absent",
                               "plugins": {"t-auth": {"key": "l"}}},
            "consumers/guest": {"username": "guest", "plugins": {"t-late": {"mark": "guest"}}},
            "consumers/cred": {"username": "cred"},
            "consumers/cred/credentials/c1": {"plugins": {"t-auth": {"key": "c"}}},
            "consumers/env": {"username": "env", "plugins": {"t-auth": {"key": "$env://PYGW_TEST_KEY"}}},
            "consumers/unset": {"username": "unset", "plugins": {"t-auth": {"key": "$ENV://PYGW_NOT_SET"}}},
        }
    )  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _environment() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYGW_TEST_KEY", "secret")
        yield


def order(answer: Any) -> list[str]:
    return str(answer.headers["X-Order"]).split()


def conf(answer: Any) -> list[str]:
    return str(answer.headers["X-Conf"]).split()


def test_a_route_takes_the_plugins_and_the_upstream_of_its_service(
    gateway: Any, upstreams: list[Any]
) -> None:
    answer = gateway.ask("/plain")
    assert order(answer)[:4] == [
        "service.rewrite",
        "service.rewrite",
        "service.access",
        "service.access",
    ]
    assert conf(answer)[:2] == ["route&service", "plain&s"]
    assert answer.json["node"] == upstreams[0].node


def test_what_the_route_says_wins_over_its_service(gateway: Any, upstreams: list[Any]) -> None:
    answer = gateway.ask("/wins")
    assert order(answer)[:2] == ["route.rewrite", "service.rewrite"]
    assert answer.json["node"] == upstreams[1].node


def test_a_plugin_config_fills_in_what_the_route_has_not(gateway: Any) -> None:
    answer = gateway.ask("/config")
    assert order(answer)[:2] == ["route.rewrite", "config.rewrite"]
    assert "#" in conf(answer)[2]


def test_a_plugin_config_wins_over_the_service(gateway: Any) -> None:
    assert order(gateway.ask("/all"))[:2] == ["config.rewrite", "config.rewrite"]


@pytest.mark.parametrize(("path", "status"), [("/nosvc", 404), ("/noconf", 503)])
def test_what_is_referred_to_must_exist(gateway: Any, path: str, status: int) -> None:
    assert gateway.ask(path).status == status


def test_a_caller_is_known_to_the_upstream(gateway: Any) -> None:
    seen = gateway.ask("/auth", X_User="j", X_Credential_Identifier="forged").seen
    assert (seen["x-consumer-username"], seen["x-consumer-custom-id"]) == ("jack", "007")
    assert "x-credential-identifier" not in seen


@pytest.mark.parametrize("key", ["nobody", "", "$ENV://PYGW_NOT_SET", "$env://PYGW_TEST_KEY"])
def test_an_unknown_caller_is_turned_away(gateway: Any, key: str) -> None:
    assert gateway.ask("/auth", X_User=key).status == 401


def test_plugins_of_a_consumer_join_the_route_after_its_rewrite(gateway: Any) -> None:
    answer = gateway.ask("/auth", X_User="a")
    assert order(answer) == [
        "route.rewrite", "consumer.rewrite", "route.access", "consumer.access",
        "route.before_proxy", "consumer.before_proxy",
        "route.header_filter", "consumer.header_filter",
    ]  # fmt: skip
    assert conf(answer)[:2] == ["route&consumer", "auth&ann"]


def test_consumer_wins_over_its_group_and_both_over_the_route(gateway: Any) -> None:
    answer = gateway.ask("/auth", X_User="b")
    assert order(answer)[:4] == [
        "route.rewrite",
        "group.rewrite",
        "consumer.access",
        "group.access",
    ]
    assert conf(answer)[:2] == ["route&consumer&consumer_group", "auth&bob&g"]


def test_a_missing_group_is_a_503(gateway: Any) -> None:
    assert gateway.ask("/auth", X_User="l").status == 503


def test_requests_without_credentials_may_have_a_consumer_too(gateway: Any) -> None:
    answer = gateway.ask("/guest")
    assert answer.seen["x-consumer-username"] == "guest"
    assert "guest.access" in order(answer)


def test_a_credential_stands_for_its_consumer(gateway: Any) -> None:
    seen = gateway.ask("/auth", X_User="c").seen
    assert (seen["x-consumer-username"], seen["x-credential-identifier"]) == ("cred", "c1")


def test_a_key_may_come_from_the_environment(gateway: Any) -> None:
    assert gateway.ask("/auth", X_User="secret").seen["x-consumer-username"] == "env"


def test_consumers_follow_their_changes(gateway: Any) -> None:
    gateway.put("consumers/new", {"username": "new", "plugins": {"t-auth": {"key": "n"}}})
    gateway.until(lambda: gateway.ask("/auth", X_User="n").status == 200)
    gateway.delete("consumers/new")
    gateway.until(lambda: gateway.ask("/auth", X_User="n").status == 401)
    assert gateway.ask("/auth", X_User="j").status == 200
