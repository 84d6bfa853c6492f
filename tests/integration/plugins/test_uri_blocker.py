"""The plugin uri-blocker as clients meet it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.gateway import Gateway


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway(plugins=["uri-blocker"])


def ask(gateway: Gateway, conf: dict[str, Any], tail: str) -> tuple[int, str]:
    """Status and body of a request for what is at `tail` below a new route."""
    answer = gateway.ask(gateway.route({"uri-blocker": conf}) + tail)
    return answer.status, answer.text


@pytest.mark.parametrize(
    ("tail", "blocked"),
    [
        ("/root.exe", True),
        ("/a/root.more/b", True),
        ("/?name=root.exe&x=1", True),
        ("/?name=select+from", True),
        ("/select.from", True),
        ("/ROOT.EXE", False),
        ("/root", False),
        ("/?name=%72oot.exe", False),
    ],
)
def test_the_rules_are_for_path_and_query(gateway: Gateway, tail: str, blocked: bool) -> None:
    conf = {"block_rules": ["root.exe", "root.m+", "select.from"]}
    status, body = ask(gateway, conf, tail)
    assert status == (403 if blocked else 200)
    assert (body == "hello") is not blocked


def test_the_path_is_looked_at_as_it_is_routed(gateway: Gateway) -> None:
    assert ask(gateway, {"block_rules": ["/root"]}, "/%72oot")[0] == 403
    assert ask(gateway, {"block_rules": ["/root"]}, "/a/../root")[0] == 403


def test_case_may_be_ignored(gateway: Gateway) -> None:
    conf = {"block_rules": ["alpha", "root.exe"], "case_insensitive": True}
    assert ask(gateway, conf, "/ROOT.exe")[0] == 403
    assert ask(gateway, conf, "/Alpha")[0] == 403


def test_status_and_message_may_be_chosen(gateway: Gateway) -> None:
    conf = {"block_rules": ["x"], "rejected_code": 406, "rejected_msg": "access is not allowed"}
    assert ask(gateway, conf, "/x") == (406, '{"error_msg":"access is not allowed"}\n')


def test_without_rules_everything_is_blocked(gateway: Gateway) -> None:
    assert ask(gateway, {"block_rules": []}, "/x")[0] == 403


@pytest.mark.parametrize(
    ("conf", "complaint"),
    [
        ({}, 'property "block_rules" is required'),
        ({"block_rules": ["a", "a"]}, "expected unique items but items 1 and 2 are equal"),
        ({"block_rules": [""]}, "string too short, expected at least 1, got 0"),
        ({"block_rules": ["(a"]}, "pcre_compile() failed: missing )"),
        ({"block_rules": ["a"], "rejected_code": 199}, "expected 199 to be at least 200"),
        ({"block_rules": ["a"], "rejected_msg": ""}, 'property "rejected_msg" validation failed'),
    ],
)
def test_a_wrong_configuration(gateway: Gateway, conf: Any, complaint: str) -> None:
    assert complaint in gateway.complaint({"uri-blocker": conf})
