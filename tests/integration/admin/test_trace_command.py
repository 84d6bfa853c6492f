"""`pygw trace`: what plugins did to one request of a running gateway."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import PATIENCE

FAIL = "return function(conf, ctx) if ctx.var.uri == '/no' then error('oh no') end end"
EXIT = "return function(conf, ctx) if ctx.var.uri == '/exit' then ngx.exit(418) end end"
BODY = "return function(conf, ctx) ngx.arg[1] = ngx.arg[1] and ngx.arg[1] .. '!' end"

PHASES = ["rewrite", "access", "before_proxy", "header_filter", "body_filter", "log"]
ROUTE = {
    "name": "every plugin",
    "uris": ["/hello/*", "/no", "/exit"],
    "plugins": {
        "key-auth": {"_meta": {"filter": [["uri", "~~", "^/hello/"]]}},
        "proxy-rewrite": {"uri": "/t-api", "headers": {"set": {"X-A": "1"}, "remove": ["X-B"]}},
        "serverless-pre-function": {"phase": "access", "functions": [FAIL, EXIT]},
        "response-rewrite": {"headers": {"set": {"X-C": "2"}}, "vars": [["status", "==", 404]]},
    },
}


@pytest.fixture(scope="module")
def gateway(module_start: Callable[..., Any]) -> Any:
    plugins = ["key-auth", "proxy-rewrite", "serverless-pre-function", "response-rewrite"]
    gateway = module_start(
        config_changes={
            "apisix": {"node_listen": [{"ip": "127.0.0.1", "port": 0}], "enable_debug": True},
            "nginx_config": {"worker_processes": 1, "error_log": "error.log"},
            "plugins": plugins,
            "pygw": {},
        }
    )
    upstream = {"type": "roundrobin", "nodes": {f"127.0.0.1:{gateway.admin_port}": 1}}
    consumer = {"username": "jack", "plugins": {"key-auth": {"key": "k"}}}
    rule = {"plugins": {"serverless-pre-function": {"phase": "body_filter", "functions": [BODY]}}}
    assert gateway.admin("PUT", "global_rules/1", rule).status == 201
    assert gateway.admin("PUT", "consumers/jack", consumer).status == 201
    assert gateway.admin("PUT", "routes/1", {**ROUTE, "upstream": upstream}).status == 201
    deadline = time.monotonic() + PATIENCE
    while "X-C" not in gateway.get("/hello/x", apikey="k").headers:  # the rest came before
        assert time.monotonic() < deadline
    return gateway


def trace(gateway: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in the gateway's directory."""
    address = f"--address=127.0.0.1:{gateway.port}"
    command = [sys.executable, "-m", "pygw", "trace", address, *arguments]
    return subprocess.run(command, cwd=gateway.directory, capture_output=True, text=True)


def traced(gateway: Any, *arguments: str) -> dict[str, Any]:
    """The trace as JSON."""
    ran = trace(gateway, "--json", *arguments)
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def step(
    found: dict[str, Any], plugin: str, phase: str, *, everywhere: bool = False
) -> dict[str, Any]:
    """What that plugin did in that phase; everywhere: as a global rule."""
    return next(
        each
        for each in found["steps"]
        if (each["plugin"], each["phase"]) == (plugin, phase)
        and (each["scope"] == "global_rule") is everywhere
    )


def change(step: dict[str, Any], kind: str, name: str) -> tuple[Any, Any]:
    """What it made of one thing: before, after."""
    for each in step["changes"]:
        if (each["kind"], each["name"]) == (kind, name):
            return each.get("before"), each.get("after")
    raise AssertionError(f"no change of {kind} {name} in {step}")


def test_a_trace_names_plugins_in_order_with_what_they_changed(gateway: Any) -> None:
    found = traced(gateway, "-H", "apikey: k", "-H", "X-B: b", "GET", "/hello/x?y=1")
    assert (found["method"], found["uri"], found["status"]) == ("GET", "/hello/x?y=1", 404)
    assert [found[key] for key in ("route_id", "route_name", "consumer_name")] == [
        *("1", "every plugin", "jack")
    ]
    order = [
        (each["phase"], each["plugin"], each["scope"])
        for each in found["steps"]
        if each["changes"] or each.get("changes_body")
    ]
    assert order == [
        ("rewrite", "key-auth", "route"),
        ("rewrite", "proxy-rewrite", "route"),
        ("header_filter", "response-rewrite", "route&consumer"),
        ("body_filter", "serverless-pre-function", "global_rule"),
    ]
    phases = [each["phase"] for each in found["steps"]]
    assert phases == sorted(phases, key=PHASES.index)
    key_auth = step(found, "key-auth", "rewrite")
    assert change(key_auth, "request header", "X-Consumer-Username") == (None, "jack")
    assert change(key_auth, "ctx", "consumer_name") == (None, "jack")
    rewrite = step(found, "proxy-rewrite", "rewrite")
    assert change(rewrite, "request header", "X-A") == (None, "1")
    assert change(rewrite, "request header", "X-B") == ("b", None)
    assert change(rewrite, "variable", "upstream_uri") == (None, "/t-api?y=1")
    assert change(step(found, "response-rewrite", "header_filter"), "response header", "X-C")
    body = step(found, "serverless-pre-function", "body_filter", everywhere=True)
    assert body["bytes_out"] > body["bytes_in"]
    assert all(0 <= each["us"] <= found["us"] for each in found["steps"])


def test_the_upstream_does_not_see_that_it_is_traced(gateway: Any) -> None:
    found = traced(gateway, "-H", "apikey: k", "GET", "/hello/x")
    assert not [each for each in found["steps"] for c in each["changes"] if "Trace" in c["name"]]
    assert "X-Pygw-Trace" not in gateway.log()


def test_who_answered_stands_in_the_trace(gateway: Any) -> None:
    found = traced(gateway, "GET", "/hello/x")
    assert found["status"] == 401
    assert step(found, "key-auth", "rewrite")["answered"] == 401
    ended = traced(gateway, "GET", "/exit")
    assert ended["status"] == 418
    assert step(ended, "serverless-pre-function", "access")["runs"] == 0


def test_an_error_stands_in_the_trace(gateway: Any) -> None:
    found = traced(gateway, "GET", "/no")
    assert found["status"] == 500
    assert "oh no" in step(found, "serverless-pre-function", "access")["error"]


def test_the_tree_is_for_people(gateway: Any) -> None:
    ran = trace(gateway, "-H", "apikey: k", "GET", "/hello/x")
    lines = [re.sub(r"[\d,]+ µs", "N µs", line) for line in ran.stdout.splitlines()]
    assert lines[:4] == [
        "GET /hello/x  404  N µs",
        "│  route 1 (every plugin)",
        "│  consumer jack",
        re.sub(r"\d\.\d+", lambda m: m[0], lines[3]),
    ]
    assert re.fullmatch(r"│  upstream 127\.0\.0\.1:\d+  404  \d\.\d{3} s", lines[3])
    assert lines[4:7] == [
        "├─ rewrite",
        "│  ├─ serverless-pre-function  N µs  (global_rule)",
        "│  ├─ serverless-pre-function  N µs  (route 1)",
    ]
    assert "│  ├─ key-auth                 N µs  (route 1)" in lines
    assert "│  │     request header X-Consumer-Username: jack" in lines
    assert "│  └─ proxy-rewrite            N µs  (route 1)" in lines
    assert lines[-1] == "   └─ serverless-pre-function  N µs  (route&consumer 1&jack)"


def test_no_route(gateway: Any) -> None:
    ran = trace(gateway, "GET", "/nowhere")
    assert "│  no route matches" in ran.stdout.splitlines()


def test_nobody_listens(gateway: Any) -> None:
    ran = trace(gateway, "--address=127.0.0.1:1", "GET", "/")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("pygw: the request to 127.0.0.1:1 failed: ")


def test_a_gateway_that_does_not_trace(start: Callable[..., Any]) -> None:
    quiet = start()
    ran = trace(quiet, "GET", "/")
    assert ran.returncode == 1
    assert ran.stderr.startswith("pygw: the request was answered, but no trace came: ")
    assert not list(Path(quiet.directory).rglob("trace-*"))


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["-H", "no colon", "GET", "/"], '"no colon": must be "NAME: VALUE"'),
        (["--address", "nowhere", "GET", "/"], "the port must be a number from 0 to 65535"),
        (["GET"], "Missing argument 'PATH'"),
    ],
)
def test_bad_arguments(gateway: Any, arguments: list[str], why: str) -> None:
    ran = trace(gateway, *arguments)
    assert ran.returncode == 2
    assert why in ran.stderr
