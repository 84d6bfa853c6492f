"""The plugin ua-restriction as clients meet it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.gateway import Gateway


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway(plugins=["ua-restriction"])


def ask(gateway: Gateway, conf: dict[str, Any], *agents: str) -> tuple[int, str]:
    """Status and body of a request with these User-Agent fields."""
    headers = [("User-Agent", agent) for agent in agents]
    answer = gateway.ask(gateway.route({"ua-restriction": conf}), headers)
    return answer.status, answer.text


REFUSED = (403, '{"message":"Not allowed"}\n')
PASSED = (200, "hello")


@pytest.mark.parametrize(
    ("agent", "matches"),
    [
        ("my-bot/1.0", True),
        ("  my-bot  ", True),
        ("Baidu(2024)", True),
        ("MY-BOT", False),
        ("curl/8", False),
    ],
)
def test_the_lists(gateway: Gateway, agent: str, matches: bool) -> None:
    listed = ["^my-bot(/\\d.*)?$", "(Baidu)\\((\\d+)\\)"]
    assert ask(gateway, {"allowlist": listed}, agent) == (PASSED if matches else REFUSED)
    assert ask(gateway, {"denylist": listed}, agent) == (REFUSED if matches else PASSED)


def test_an_expression_may_ignore_case(gateway: Gateway) -> None:
    assert ask(gateway, {"denylist": ["(?i)my-bot"]}, "MY-BOT") == REFUSED


def test_an_allowed_one_among_several_is_enough(gateway: Gateway) -> None:
    assert ask(gateway, {"allowlist": ["a"]}, "x", "a") == PASSED
    assert ask(gateway, {"allowlist": ["a"]}, "x", "y") == REFUSED


def test_none_at_all(gateway: Gateway) -> None:
    assert ask(gateway, {"allowlist": ["a"]}) == REFUSED
    assert ask(gateway, {"denylist": ["a"]}) == REFUSED
    assert ask(gateway, {"denylist": ["a"], "bypass_missing": True}) == PASSED
    assert ask(gateway, {"allowlist": ["a"], "bypass_missing": True}) == PASSED
    assert ask(gateway, {"allowlist": ["a"], "bypass_missing": True}, "b") == REFUSED


def test_the_message_may_be_chosen(gateway: Gateway) -> None:
    conf = {"denylist": ["a"], "message": "No robots"}
    assert ask(gateway, conf, "a") == (403, '{"message":"No robots"}\n')


@pytest.mark.parametrize(
    ("conf", "complaint"),
    [
        ({}, "value should match only one schema, but matches none"),
        ({"allowlist": ["a"], "denylist": ["b"]}, "value should match only one schema"),
        ({"allowlist": []}, 'property "allowlist" validation failed: expect array to have at'),
        ({"denylist": [""]}, "string too short, expected at least 1, got 0"),
        ({"denylist": ["(a"]}, "pcre_compile() failed: missing )"),
        ({"allowlist": ["a"], "message": ""}, 'property "message" validation failed'),
        ({"allowlist": ["a"], "bypass_missing": 1}, "wrong type: expected boolean, got number"),
    ],
)
def test_a_wrong_configuration(gateway: Gateway, conf: Any, complaint: str) -> None:
    assert complaint in gateway.complaint({"ua-restriction": conf})
