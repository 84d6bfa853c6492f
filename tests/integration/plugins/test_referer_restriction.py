"""The plugin referer-restriction as clients meet it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.gateway import Gateway


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway(plugins=["referer-restriction"])


def ask(gateway: Gateway, conf: dict[str, Any], referer: str | None) -> tuple[int, str]:
    """Status and body of a request from that page."""
    headers = {"Referer": referer} if referer is not None else {}
    answer = gateway.ask(gateway.route({"referer-restriction": conf}), headers)
    return answer.status, answer.text


REFUSED = (403, '{"message":"Your referer host is not allowed"}\n')
PASSED = (200, "hello")


@pytest.mark.parametrize(
    ("referer", "matches"),
    [
        ("http://xx.com/page?x=1", True),
        ("https://xx.com:8443/", True),
        ("//xx.com/", True),
        ("http://www.yy.com/", True),
        ("http://a.b.yy.com", True),
        ("http://yy.com/", False),
        ("http://www.xx.com/", False),
        ("http://xx.com.evil.org/", False),
    ],
)
def test_the_lists(gateway: Gateway, referer: str, matches: bool) -> None:
    listed = ["xx.com", "*.yy.com"]
    assert ask(gateway, {"whitelist": listed}, referer) == (PASSED if matches else REFUSED)
    assert ask(gateway, {"blacklist": listed}, referer) == (REFUSED if matches else PASSED)


@pytest.mark.parametrize("referer", [None, "www.xx.com", "nonsense", "ftp://xx.com/"])
def test_a_missing_or_malformed_one(gateway: Gateway, referer: str | None) -> None:
    for conf in ({"whitelist": ["xx.com"]}, {"blacklist": ["xx.com"]}):
        assert ask(gateway, conf, referer) == REFUSED
        assert ask(gateway, {**conf, "bypass_missing": True}, referer) == PASSED


def test_the_message_may_be_chosen(gateway: Gateway) -> None:
    conf = {"whitelist": ["xx.com"], "message": "You are not allowed"}
    assert ask(gateway, conf, None) == (403, '{"message":"You are not allowed"}\n')


@pytest.mark.parametrize(
    ("conf", "complaint"),
    [
        ({}, "value should match only one schema, but matches none"),
        ({"whitelist": ["a.b"], "blacklist": ["b.c"]}, "value should match only one schema"),
        ({"whitelist": []}, 'property "whitelist" validation failed: expect array to have at'),
        ({"blacklist": ["a b"]}, 'failed to match pattern "'),
        ({"whitelist": ["a.b"], "message": ""}, 'property "message" validation failed'),
        ({"whitelist": ["a.b"], "bypass_missing": 1}, "wrong type: expected boolean, got number"),
    ],
)
def test_a_wrong_configuration(gateway: Gateway, conf: Any, complaint: str) -> None:
    assert complaint in gateway.complaint({"referer-restriction": conf})
