"""Configurations that the plugin ai-proxy does not take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.gateway import Gateway


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway(plugins=["ai-proxy"])


@pytest.mark.parametrize(
    ("conf", "why"),
    [
        ({"provider": None}, 'property "provider" is required'),
        ({"auth": None}, 'property "auth" is required'),
        (
            {"provider": "some-unique"},
            'property "provider" validation failed: matches none of the enum values',
        ),
        ({"auth": {"token": {}}}, "additional properties forbidden, found token"),
        ({"auth": {"header": {"A": 1}}}, "wrong type: expected string, got number"),
        (
            {"timeout": 600001},
            'property "timeout" validation failed: expected 600001 to be at most',
        ),
        ({"keepalive_timeout": 1}, "expected 1 to be at least 1000"),
        ({"keepalive_pool": 0}, "expected 0 to be at least 1"),
        ({"max_response_bytes": 0}, "expected 0 to be at least 1"),
        ({"max_stream_duration_ms": 0}, "expected 0 to be at least 1"),
        ({"max_req_body_size": 0}, "expected 0 to be at least 1"),
        ({"streaming_flush_interval_ms": -1}, "expected -1 to be at least 0"),
        ({"override": {"endpoint": ""}}, "string too short, expected at least 1, got 0"),
        ({"override": {"llm_options": {"max_tokens": 0}}}, "expected 0 to be at least 1"),
        ({"override": {"llm_options": {"other": 1}}}, "additional properties forbidden"),
        ({"override": {"request_body": {"none": {}}}}, "additional properties forbidden"),
        (
            {"provider": "vertex-ai"},
            "vertex-ai requires either provider_conf (project_id + region) or override.endpoint",
        ),
        (
            {"auth": {"gcp": {"service_account_json": "{"}}},
            "invalid gcp service_account_json: ",
        ),
        ({"auth": {"aws": {"access_key_id": "a"}}}, 'property "secret_access_key" is required'),
    ],
)
def test_refused(gateway: Gateway, conf: dict[str, Any], why: str) -> None:
    whole = {"provider": "openai", "auth": {"header": {"A": "b"}}, **conf}
    given = {name: value for name, value in whole.items() if value is not None}
    assert why in gateway.complaint({"ai-proxy": given})
