"""APISIX's own plugins, unchanged from a checkout, on live requests.

    pytest tests/conformance/apisix_plugins --apisix DIR

Those that pygw has too are tested at length, with both sources, in tests/integration/plugins:

    pytest tests/integration/plugins --apisix DIR
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.gateway import Gateway

from pygw.testing.messages import Answer

# The ten, and what none of them needs but their parts do.
PLUGINS = {
    "key-auth": {},
    "limit-count": {"count": 2, "time_window": 60},
    "proxy-rewrite": {"uri": "/x"},
    "response-rewrite": {"body": "x"},
    "cors": {},
    "ip-restriction": {"blacklist": ["10.0.0.0/8"]},
    "request-id": {},
    "fault-injection": {"abort": {"http_status": 400}},
    "redirect": {"uri": "/x"},
    "uri-blocker": {"block_rules": ["x"]},
}


def ask(gateway: Gateway, plugins: dict[str, Any], tail: str = "", **request: Any) -> Answer:
    """One request to a new route with these plugins."""
    return gateway.ask(gateway.route(plugins) + tail, **request)


@pytest.mark.parametrize("name", PLUGINS)
def test_the_file_that_runs_is_the_checkouts(gateway: Gateway, checkout: Path, name: str) -> None:
    function = f"""return function()
        local plugin = require "apisix.plugins.{name}"
        ngx.say(debug.getinfo(plugin.check_schema).source)
        ngx.exit(200)
    end"""
    answer = ask(gateway, {"serverless-pre-function": {"functions": [function]}})
    assert answer.text.strip().startswith(f"@{checkout}/apisix/plugins/")


def test_all_of_them_load_without_a_complaint(gateway: Gateway) -> None:
    for name, conf in PLUGINS.items():
        gateway.route({name: conf})
        assert f"failed to load plugin [{name}]" not in gateway.log
    assert "unknown plugin" not in gateway.log


# key-auth, limit-count, proxy-rewrite, response-rewrite: one walk through each


def test_key_auth(gateway: Gateway) -> None:
    gateway.put("consumers/jack", {"username": "jack", "plugins": {"key-auth": {"key": "k"}}})
    path = gateway.route({"key-auth": {}})
    assert gateway.ask(path).json() == {"message": "Missing API key in request"}
    assert gateway.ask(path, {"apikey": "k"}).status == 200
    assert gateway.upstream.last.headers.get("X-Consumer-Username") == "jack"


def test_limit_count(gateway: Gateway) -> None:
    path = gateway.route({"limit-count": PLUGINS["limit-count"]})
    answers = [gateway.ask(path) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 503]
    remaining = [answer.headers.get("X-RateLimit-Remaining") for answer in answers]
    assert remaining == ["1", "0", "0"]


def test_proxy_rewrite(gateway: Gateway) -> None:
    headers = {"set": {"X-A": "$1"}, "remove": ["X-B"]}
    conf = {"regex_uri": ["^/r\\d+/(.*)", "/new/$1"], "headers": headers, "host": "up.com"}
    ask(gateway, {"proxy-rewrite": conf}, "/me?x=1", headers={"X-B": "b"})
    seen = gateway.upstream.last
    assert seen.target == "/new/me?x=1"
    assert [seen.headers.get(name) for name in ("X-A", "X-B", "Host")] == ["me", None, "up.com"]


def test_response_rewrite(gateway: Gateway) -> None:
    filters = [{"regex": "hello", "replace": "bye"}]
    conf = {"status_code": 201, "filters": filters, "headers": {"add": ["A: $remote_addr"]}}
    answer = ask(gateway, {"response-rewrite": conf})
    assert (answer.status, answer.text) == (201, "bye")
    assert answer.headers.get("A") == "127.0.0.1"


# refused configurations, by the plugins' own checks


@pytest.mark.parametrize(
    ("name", "conf", "reason"),
    [
        ("cors", {"allow_credential": True}, "you can not set '*' for other option when"),
        ("cors", {"allow_origins_by_regex": ["([a-Z]+"]}, "failed"),
        ("ip-restriction", {}, "value should match only one schema, but matches none"),
        (
            "ip-restriction",
            {"blacklist": ["127.0.0.256"]},
            'property "blacklist" validation failed',
        ),
        ("request-id", {"algorithm": "x"}, 'property "algorithm" validation failed'),
        ("fault-injection", {"abort": {}}, 'property "http_status" is required'),
        ("redirect", {"uri": "/a", "http_to_https": True}, "value should match only one schema"),
        ("redirect", {"regex_uri": ["(", "/"]}, "invalid regex_uri ((, /), err:"),
        ("uri-blocker", {"block_rules": [".+("]}, 'pcre_compile() failed: missing ) in ".+("'),
    ],
)
def test_configurations_that_are_refused(
    gateway: Gateway, name: str, conf: dict[str, Any], reason: str
) -> None:
    log = gateway.complaint({name: conf})
    assert f"failed to check the configuration of plugin {name} err: " in log
    assert reason in log
