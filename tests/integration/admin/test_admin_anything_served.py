"""Whatever is sent to the Admin API of a gateway with all plugins: all goes on."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.anything import BODIES, IDS, METHODS, QUERIES

from pygw.admin.resources import RESOURCES
from pygw.config.build import stock_plugins

PATHS = sorted(
    {"credentials": "consumers/x/credentials", "graphql_cost_decorations": "services/x"}.get(
        name, name
    )
    for name in RESOURCES
)


@pytest.fixture(scope="module")
def gateway(module_start: Any) -> Any:
    return module_start(config_changes={"plugins": sorted(stock_plugins())})


@settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(PATHS), METHODS, IDS, BODIES, QUERIES)
def test_the_gateway_goes_on(
    gateway: Any, path: str, method: str, item_id: str, body: bytes, query: dict[str, str]
) -> None:
    answer = gateway.admin(method, f"{path}/{quote(item_id)}?{urlencode(query)}", body)
    assert answer.status < 500, answer.body
    if answer.body:
        json.loads(answer.body)
    assert gateway.admin("GET", "routes").status == 200
    assert gateway.get("/x").status  # whatever was accepted has not stopped the workers


def test_nothing_of_it_is_an_error_of_ours(gateway: Any, upstream: dict[str, Any]) -> None:
    for path in ("global_rules", "routes"):  # of random ones, /fine may be another's
        for item in gateway.admin("GET", path).json["list"]:
            name = item["key"].removeprefix("/apisix/")
            gateway.admin("DELETE", quote(name))
    gateway.admin("PUT", "routes/1", {"uri": "/fine", "upstream": upstream})
    gateway.until("/fine", 200)
    assert "Traceback" not in gateway.log()
    assert "stack traceback" not in gateway.log()
