"""An unmodified APISIX boots on pygw, and its own plugins serve requests.

    pytest tests/conformance/apisix_boot --apisix-tree DIR --lua-tree DIR [--lua-tree DIR]

DIR: a checkout of APISIX 3.9.1, and the LuaRocks trees (share/lua/5.1, lib/lua/5.1) of its
dependencies. Everything that is asked of it goes through its own Admin API.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conformance.apisix_boot.conftest import Answer, Apisix, ask
from support.upstream import Conversation, Upstream, running_upstream

Route = Callable[[dict[str, Any]], str]

PLUGINS = ("key-auth", "limit-count", "proxy-rewrite", "response-rewrite", "cors", "prometheus")


def echo(conversation: Conversation) -> None:
    """Answer a request with its own head."""
    head = conversation.request()
    conversation.socket.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + head)
    conversation.socket.close()


@pytest.fixture(scope="module")
def echoing() -> Iterator[Upstream]:
    with running_upstream(echo) as upstream:
        yield upstream


@pytest.fixture
def route(apisix: Apisix, echoing: Upstream, request: pytest.FixtureRequest) -> Route:
    """Put a route with these plugins by APISIX's Admin API; returns its path once it is served."""

    def put(plugins: dict[str, Any], path: str = "") -> str:
        name = request.node.name
        path = f"/{name}"
        upstream = {"type": "roundrobin", "nodes": {f"127.0.0.1:{echoing.port}": 1}}
        document = {"uri": path, "plugins": plugins, "upstream": upstream}
        answer = apisix.admin("PUT", f"routes/{name}", document)
        assert answer.status in (200, 201), answer.body
        assert answer.json["value"]["plugins"].keys() == plugins.keys()
        return path

    return put


def served(apisix: Apisix, path: str, status: int = 200, **headers: str) -> Answer:
    return apisix.ask_until(status, path, **headers)


def test_it_starts_with_its_default_plugins_but_those_whose_library_is_not_there(
    apisix: Apisix,
) -> None:
    assert ask(apisix.port, "/nothing").status == 404
    for name in PLUGINS:
        assert f'"{name}":true' in apisix.log
    errors = [line for line in apisix.log.splitlines() if "[error]" in line]
    lacking = re.compile(r"failed to load plugin \[\S+\] err: \S+: module '[^']+' not found")
    assert [line for line in errors if not lacking.search(line)] == []


def test_its_admin_api_refuses_what_is_wrong(apisix: Apisix) -> None:
    answer = apisix.admin("PUT", "routes/wrong", {"uri": "/x", "plugins": {"limit-count": {}}})
    assert answer.status == 400
    assert "failed to check the configuration of plugin limit-count" in answer.json["error_msg"]


def test_a_route_is_served_and_can_be_deleted(apisix: Apisix, route: Route) -> None:
    path = route({})
    answer = served(apisix, path)
    assert answer.headers["Server"] == "APISIX/3.9.1"
    assert answer.body.startswith(f"GET {path} HTTP/1.1\r\n".encode())
    assert b"X-Forwarded-For: 127.0.0.1" in answer.body
    name = path.removeprefix("/")
    assert apisix.admin("GET", f"routes/{name}").json["value"]["uri"] == path
    assert apisix.admin("DELETE", f"routes/{name}").status == 200
    served(apisix, path, 404)


def test_key_auth(apisix: Apisix, route: Route) -> None:
    consumer = {"username": "jack", "plugins": {"key-auth": {"key": "of-jack"}}}
    assert apisix.admin("PUT", "consumers", consumer).status == 201
    path = route({"key-auth": {}})
    assert served(apisix, path, apikey="of-jack").body.startswith(b"GET /")
    refused = served(apisix, path, 401)
    assert refused.json == {"message": "Missing API key found in request"}
    assert served(apisix, path, 401, apikey="wrong").json["message"].startswith("Invalid API key")


def test_limit_count(apisix: Apisix, route: Route) -> None:
    path = route({"limit-count": {"count": 3, "time_window": 600, "rejected_code": 429}})
    first = served(apisix, path)
    answers = [first, *(ask(apisix.port, path) for _ in range(3))]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    remaining = [answer.headers["X-RateLimit-Remaining"] for answer in answers]
    assert remaining == ["2", "1", "0", "0"]


def test_proxy_rewrite(apisix: Apisix, route: Route) -> None:
    path = route(
        {
            "proxy-rewrite": {
                "regex_uri": ["^/(.*)$", "/re/$1?a=b c"],
                "host": "other.example",
                "method": "POST",
                "headers": {"set": {"X-Api": "v2"}, "remove": ["User-Agent"]},
            }
        }
    )
    head = served(apisix, path).body.decode()
    assert head.startswith(f"POST /re{path}?a=b%20c HTTP/1.1\r\n")
    assert "\r\nHost: other.example\r\n" in head
    assert "\r\nX-Api: v2\r\n" in head
    assert "User-Agent" not in head


def test_response_rewrite(apisix: Apisix, route: Route) -> None:
    conf = {"status_code": 201, "body": "new", "headers": {"set": {"X-Was": "$status"}}}
    answer = served(apisix, route({"response-rewrite": conf}), 201)
    assert (answer.body, answer.headers["X-Was"]) == (b"new", "201")


def test_response_rewrite_filters(apisix: Apisix, route: Route) -> None:
    rule = {"regex": "HTTP/1.[01]", "replace": "SPDY", "scope": "once"}
    answer = served(apisix, route({"response-rewrite": {"filters": [rule]}}))
    assert b" SPDY\r\n" in answer.body


def test_cors(apisix: Apisix, route: Route) -> None:
    path = route({"cors": {"allow_origins": "https://a.example", "allow_methods": "GET"}})
    answer = served(apisix, path, Origin="https://a.example")
    assert answer.headers["Access-Control-Allow-Origin"] == "https://a.example"
    other = served(apisix, path, Origin="https://b.example")
    assert "Access-Control-Allow-Origin" not in other.headers
    preflight = ask(apisix.port, path, "OPTIONS", Origin="https://a.example")
    assert (preflight.status, preflight.body) == (200, b"")
    assert preflight.headers["Access-Control-Allow-Methods"] == "GET"


def test_prometheus(apisix: Apisix, route: Route) -> None:
    path = route({"prometheus": {}})
    served(apisix, path)
    text = ask(apisix.metrics_port, "/apisix/prometheus/metrics").body.decode()
    name = path.removeprefix("/")
    assert f'apisix_http_status{{code="200",route="{name}"' in text
    assert "apisix_etcd_reachable 1" in text
    assert 'apisix_nginx_http_current_connections{state="active"}' in text
    assert 'apisix_http_latency_count{type="request"' in text


def test_its_control_api_shows_the_schema(apisix: Apisix) -> None:
    schema = ask(apisix.control_port, "/v1/schema").json
    assert set(PLUGINS) <= set(schema["plugins"])
    assert schema["main"]["route"]["properties"]["uri"]
