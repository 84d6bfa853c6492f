"""Whatever is sent to whatever resource is answered, never with a 500, and the next request too."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.anything import BODIES, IDS, METHODS, QUERIES, UPSTREAM

from pygw.admin.resources import RESOURCES

RELAXED = settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.parametrize("resource", sorted(RESOURCES))
def test_anything_is_answered(client: Any, resource: str, checker_log: Any) -> None:
    if resource in ("credentials", "graphql_cost_decorations"):
        resource = {"credentials": "consumers"}.get(resource, "services")

    @RELAXED
    @given(METHODS, IDS, BODIES, QUERIES)
    def ask(method: str, item_id: str, body: bytes, query: dict[str, str]) -> None:
        answer = client.ask(method, f"{resource}/{item_id}", body, **query)
        assert answer.status < 500, answer
        json.dumps(answer.body if isinstance(answer.body, dict) else None, ensure_ascii=False)
        listed = client.ask("GET", resource)
        assert listed.status == 200 or resource == "stream_routes"

    ask()
    assert client.made("routes/after", {"uri": "/after", "upstream": UPSTREAM})["id"] == "after"


@RELAXED
@given(
    st.sampled_from(["schema/validate/routes", "schema/validate/ssls", "configs/validate"]),
    BODIES,
)
def test_any_body_is_judged(client: Any, path: str, body: bytes) -> None:
    assert client.ask("POST", path, body).status in (200, 400)
