"""The plugin ip-restriction as clients meet it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.gateway import Gateway

REFUSED = {"message": "Your IP address is not allowed"}


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway(plugins=["ip-restriction"])


def ask(gateway: Gateway, **conf: Any) -> tuple[int, Any]:
    """Status of a request from 127.0.0.1, and what is said when it is refused."""
    answer = gateway.ask(gateway.route({"ip-restriction": conf}))
    return answer.status, answer.json() if answer.status != 200 else None


@pytest.mark.parametrize(
    ("listed", "contains"),
    [
        (["127.0.0.1"], True),
        (["127.0.0.0/24"], True),
        (["10.0.0.0/8", "127.0.0.1/32"], True),
        (["0.0.0.0/0"], True),
        (["127.0.0.2"], False),
        (["10.0.0.0/8", "::1", "fe80::/16"], False),
    ],
)
def test_the_lists(gateway: Gateway, listed: list[str], contains: bool) -> None:
    accepted, refused = (200, None), (403, REFUSED)
    assert ask(gateway, whitelist=listed) == (accepted if contains else refused)
    assert ask(gateway, blacklist=listed) == (refused if contains else accepted)


def test_the_message_and_the_status_may_be_chosen(gateway: Gateway) -> None:
    conf = {"blacklist": ["127.0.0.1"], "message": "Go away", "response_code": 404}
    assert ask(gateway, **conf) == (404, {"message": "Go away"})


@pytest.mark.parametrize(
    ("conf", "complaint"),
    [
        ({}, "value should match only one schema, but matches none"),
        (
            {"whitelist": ["1.1.1.1"], "blacklist": ["2.2.2.2"]},
            "value should match only one schema, but matches both schemas 1 and 2",
        ),
        ({"whitelist": []}, 'property "whitelist" validation failed: expect array to have at'),
        ({"whitelist": ["nobody"]}, 'property "whitelist" validation failed: failed to validate'),
        ({"blacklist": ["1.1.1.1/33"]}, "failed to validate item 1: object matches none of the"),
        ({"blacklist": ["1::2::3"]}, "failed to validate item 1: object matches none of the"),
        ({"blacklist": ["::1/129"]}, "invalid ip address: ::1/129"),
        ({"blacklist": ["1.1.1.1"], "message": ""}, 'property "message" validation failed'),
        ({"blacklist": ["1.1.1.1"], "response_code": 402}, "expected 402 to be at least 403"),
        ({"blacklist": ["1.1.1.1"], "response_code": 405}, "expected 405 to be at most 404"),
    ],
)
def test_a_wrong_configuration(gateway: Gateway, conf: Any, complaint: str) -> None:
    assert complaint in gateway.complaint({"ip-restriction": conf})
