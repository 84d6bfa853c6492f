"""apisix-client, a client of APISIX's Admin API from PyPI, used as an operator would use it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from apisix_client import ApisixClient
from apisix_client.common import Pagging
from apisix_client.consumer.models import Consumer
from apisix_client.plugin import KeyAuth, KeyAuthSettings, LimitCount
from apisix_client.route.models import Route
from apisix_client.service.models import Service
from apisix_client.upstream.models import Node, Upstream

ADMIN_KEY, VIEWER_KEY = "integration-admin-key", "integration-viewer-key"


@pytest.fixture(scope="module")
def gateway(module_start: Any) -> Any:
    return module_start(config_changes={"plugins": ["key-auth", "limit-count"]})


def connect(gateway: Any, key: str) -> Iterator[ApisixClient]:
    client = ApisixClient(f"http://127.0.0.1:{gateway.admin_port}/", key)
    yield client
    client._httpx_client.close()


@pytest.fixture
def client(gateway: Any) -> Iterator[ApisixClient]:
    yield from connect(gateway, ADMIN_KEY)


@pytest.fixture
def viewer(gateway: Any) -> Iterator[ApisixClient]:
    yield from connect(gateway, VIEWER_KEY)


@pytest.fixture
def node(upstream: dict[str, Any]) -> Node:
    (address,) = upstream["nodes"]
    host, port = address.split(":")
    return Node(host=host, port=port, weight=1)


def test_a_route_written_by_it_is_served(gateway: Any, client: ApisixClient, node: Node) -> None:
    assert client.upstream.create_or_update(Upstream(name="u", nodes=[node]), "u") == "u"
    service = client.service.create_with_id_generation(Service(name="s", upstream_id="u"))
    assert service
    route = Route(name="r", uri="/client", service_id=service)
    assert client.route.create_or_update(route, "r") == "r"
    assert gateway.until("/client", 200).json == ["/client", None]

    found = client.route.get("r")
    assert found is not None
    assert (found.key, found.value.uri, found.value.id) == ("/apisix/routes/r", "/client", "r")
    assert found.value.create_time == found.value.update_time
    assert client.route.count() >= 1
    assert "u" in [each.value.name for each in client.upstream.get_all(Pagging(1, 10))]

    assert client.route.create_or_update(Route(name="r", uri="/moved", upstream_id="u"), "r") == "r"
    gateway.until("/moved", 200)
    gateway.until("/client", 404)
    assert client.route.delete("r") is True
    gateway.until("/moved", 404)
    assert client.route.get("r") is None
    assert client.route.delete("r") is False


def test_what_it_is_refused(client: ApisixClient, viewer: ApisixClient, node: Node) -> None:
    assert client.route.create_with_id_generation(Route(uri="/x", upstream_id="nobody")) is None
    assert client.route.create_with_id_generation(Route(uri="/x", methods=["NO"])) is None
    assert viewer.upstream.create_or_update(Upstream(nodes=[node]), "v") is None
    assert client.upstream.get("v") is None


def test_consumers_and_plugins_by_it(gateway: Any, client: ApisixClient, node: Node) -> None:
    assert {"key-auth", "limit-count"} < set(client.plugin.get_available())
    assert client.consumer.create_or_update(
        Consumer(username="jack", plugins=[KeyAuth(key="jacks")])
    )
    client.upstream.create_or_update(Upstream(nodes=[node]), "p")
    plugins = [KeyAuthSettings(), LimitCount(count=1, time_window=3600, key="remote_addr")]
    route = Route(uri="/guarded", upstream_id="p", plugins=plugins)
    assert client.route.create_with_id_generation(route)
    gateway.until("/guarded", 401)
    gateway.until("/guarded", 200, apikey="jacks")
    gateway.until("/guarded", 503, apikey="jacks")
    assert client.consumer.count() == 1
    assert client.consumer.delete("jack") == 1
    gateway.until("/guarded", 401, apikey="jacks")
