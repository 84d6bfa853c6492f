"""GraphQL cost decorations, which stand below services; stream routes, below one another."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from pygw.admin.api import Api
from pygw.config.model import Settings
from pygw.vm.checker import Checker

NODES = {"type": "roundrobin", "nodes": {"127.0.0.1:1980": 1}}
COST = {"field_path": "Query.users", "add_value": 2}
BELOW = "services/s/graphql_cost_decorations"


@pytest.fixture
def service(client: Any) -> Any:
    client.made("services/s", {"upstream": NODES})
    return client


def test_a_decoration_belongs_to_the_service_of_its_url(service: Any) -> None:
    answer = service.ask("PUT", f"{BELOW}/d", COST)
    assert (answer.status, answer.body["key"]) == (201, f"/apisix/{BELOW}/d")
    assert service.stored(f"{BELOW}/d").items() >= {**COST, "id": "d", "service_id": "s"}.items()
    posted = service.ask("POST", BELOW, {"field_path": "Query.posts"})
    assert (posted.status, posted.body["value"]["service_id"]) == (201, "s")
    assert service.ask("GET", BELOW).body["total"] == 2
    assert service.ask("GET", "services").body["total"] == 1
    patched = service.ask("PATCH", f"{BELOW}/d", {"mul_value": 3})
    assert patched.body["value"].items() >= {**COST, "mul_value": 3}.items()
    assert service.ask("DELETE", f"{BELOW}/d").status == 200
    assert service.ask("GET", BELOW).body["total"] == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "refusal"),
    [
        ("PUT", "services/t/graphql_cost_decorations/d", COST, (404, "service not found")),
        ("POST", "services/t/graphql_cost_decorations", COST, (404, "service not found")),
        (
            "PUT",
            f"{BELOW}/e",
            {**COST, "service_id": "t"},
            (400, "wrong service_id, it is taken from the path"),
        ),
        (
            "POST",
            BELOW,
            COST,
            (400, "field_path Query.users is already decorated on this service by [d]"),
        ),
        ("PATCH", f"{BELOW}/d", {"service_id": "t"}, (400, "service_id can not be patched")),
        ("PATCH", f"{BELOW}/d/service_id", "t", (400, "service_id can not be patched")),
        ("PUT", f"{BELOW}/e", [], (400, "invalid configuration")),
        ("GET", "graphql_cost_decorations", None, (404, None)),
    ],
)
def test_what_a_decoration_may_not_be(
    service: Any, method: str, path: str, body: Any, refusal: tuple[int, str | None]
) -> None:
    service.made(f"{BELOW}/d", COST)
    status, words = service.refused(method, path, body)
    assert (status, refusal[1] and words) == refusal


def test_a_decoration_is_held_to_its_schema(service: Any) -> None:
    for document in ({"field_path": "Query..x"}, {**COST, "add_value": -1}):
        status, words = service.refused("PUT", f"{BELOW}/d", document)
        assert (status, words.split(": ")[0]) == (400, "invalid configuration")


def test_a_service_takes_its_decorations_along_unless_it_stays(service: Any) -> None:
    service.made(f"{BELOW}/d", COST)
    service.made("routes/r", {"uri": "/", "service_id": "s"})
    assert service.refused("DELETE", "services/s")[0] == 400
    assert service.stored(f"{BELOW}/d")
    assert service.ask("DELETE", "services/s", force="true").status == 200
    assert service.stored(f"{BELOW}/d") is None


# Stream routes


@pytest.fixture
def stream(client: Any, settings: Settings, checker: Checker) -> Any:
    """A client of an API whose proxy_mode has streams."""
    merged = dict(settings.merged)
    merged["apisix"] = {**merged["apisix"], "proxy_mode": "http&stream"}
    client.api = Api(dataclasses.replace(settings, merged=merged), client.store, checker)
    return client


def test_a_stream_route_is_stored_and_found(stream: Any) -> None:
    route = {"server_port": 9100, "remote_addr": "10.0.0.0/8", "upstream": NODES}
    assert stream.ask("PUT", "stream_routes/1", route).status == 201
    assert stream.stored("stream_routes/1").items() >= {**route, "id": "1"}.items()
    stream.made("upstreams/u", NODES)
    assert stream.ask("POST", "stream_routes", {"upstream_id": "u"}).status == 201
    assert stream.ask("GET", "stream_routes").body["total"] == 2
    assert stream.ask("GET", "stream_routes", filter="upstream_id=u").body["total"] == 1
    assert stream.ask("DELETE", "stream_routes/1").status == 200


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"server_port": "x"}, "invalid configuration: "),
        ({"upstream_id": "u"}, "failed to fetch upstream info by upstream id [u], response code:"),
        ({"service_id": "v"}, "failed to fetch service info by service id [v], response code: 404"),
        ({"plugins": {"mqtt-proxy": {}}}, "unknown plugin [mqtt-proxy]"),
        ({"protocol": {"name": "redis"}}, "unknown protocol [redis]"),
    ],
)
def test_what_a_stream_route_may_not_say(stream: Any, document: Any, words: str) -> None:
    status, said = stream.refused("PUT", "stream_routes/1", document)
    assert status == 400
    assert said.startswith(words)


def test_a_stream_route_that_others_stand_below_stays(stream: Any) -> None:
    stream.store.put(b"/apisix/stream_routes/1", b"{}")
    stream.store.put(b"/apisix/stream_routes/2", b'{"protocol":{"superior_id":1}}')
    words = "can not delete this stream route directly, stream route [2] is still using it"
    assert stream.refused("DELETE", "stream_routes/1") == (400, f"{words} as superior_id")
    assert stream.ask("DELETE", "stream_routes/1", force="true").status == 200
