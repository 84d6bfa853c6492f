"""Group A's plugins that change, answer, route or record, unchanged from a checkout, on live
requests."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from support.gateway import Gateway

from pygw.testing.upstream import Upstream

Needs = Callable[[str], None]

JSON = {"Content-Type": "application/json"}
CHAT = {"model": "m", "messages": [{"role": "user", "content": "say a bad word"}]}


def sent_json(gateway: Gateway) -> Any:
    return json.loads(gateway.upstream.last.body)


# prompts


def test_ai_prompt_decorator(gateway: Gateway) -> None:
    conf = {"prepend": [{"role": "system", "content": "be brief"}]}
    path = gateway.route({"ai-prompt-decorator": conf})
    assert gateway.ask(path, JSON, "POST", json.dumps(CHAT).encode()).status == 200
    assert [message["content"] for message in sent_json(gateway)["messages"]] == [
        "be brief",
        "say a bad word",
    ]


def test_ai_prompt_guard(gateway: Gateway) -> None:
    path = gateway.route({"ai-prompt-guard": {"deny_patterns": ["bad\\s+word"]}})
    uri = f"{path}/v1/chat/completions"
    assert gateway.ask(uri, JSON, "POST", json.dumps(CHAT).encode()).status == 400
    good = {**CHAT, "messages": [{"role": "user", "content": "hello"}]}
    assert gateway.ask(uri, JSON, "POST", json.dumps(good).encode()).status == 200


def test_ai_prompt_template(gateway: Gateway, needs: Needs) -> None:
    needs("ai-prompt-template")
    template = {"model": "m", "messages": [{"role": "user", "content": "about {{topic}}"}]}
    conf = {"templates": [{"name": "one", "template": template}]}
    path = gateway.route({"ai-prompt-template": conf})
    body = json.dumps({"template_name": "one", "topic": "tea"}).encode()
    assert gateway.ask(path, JSON, "POST", body).status == 200
    assert sent_json(gateway)["messages"][0]["content"] == "about tea"


# requests and responses that are made anew


def test_body_transformer(gateway: Gateway, needs: Needs) -> None:
    needs("body-transformer")
    conf = {
        "request": {"input_format": "xml", "template": '{"n": "{{root.n}}"}'},
        "response": {"input_format": "json", "template": "<got>{{n}}</got>"},
    }
    path = gateway.route({"body-transformer": conf})
    gateway.upstream.reply_once(200, b'{"n": 7}', [("Content-Type", "application/json")])
    answer = gateway.ask(path, {"Content-Type": "text/xml"}, "POST", b"<root><n>5</n></root>")
    assert sent_json(gateway) == {"n": "5"}
    assert (answer.status, answer.text) == (200, "<got>7</got>")


def test_degraphql(gateway: Gateway, needs: Needs) -> None:
    needs("degraphql")
    query = "query($n: String!) { pet(name: $n) { age } }"
    path = gateway.route({"degraphql": {"query": query, "variables": ["n"]}})
    assert gateway.ask(path, JSON, "POST", b'{"n": "rex"}').status == 200
    assert sent_json(gateway) == {"query": query, "variables": {"n": "rex"}}


def test_echo(gateway: Gateway) -> None:
    conf = {"before_body": "<", "body": "x", "after_body": ">", "headers": {"X-A": "1"}}
    answer = gateway.ask(gateway.route({"echo": conf}))
    assert (answer.text, answer.headers.get("X-A")) == ("<x>", "1")


def test_mocking(gateway: Gateway, needs: Needs) -> None:
    needs("mocking")
    asked = len(gateway.upstream.requests)
    schema = {"type": "object", "properties": {"n": {"type": "integer", "example": 5}}}
    answer = gateway.ask(
        gateway.route({"mocking": {"response_schema": schema, "response_status": 201}})
    )
    assert (answer.status, answer.json()) == (201, {"n": 5})
    assert len(gateway.upstream.requests) == asked


def test_exit_transformer(gateway: Gateway) -> None:
    function = "return (function(code, body, header) return 418, body, header end)(...)"
    plugins = {
        "exit-transformer": {"functions": [function]},
        "ip-restriction": {"blacklist": ["127.0.0.1"]},
    }
    assert gateway.ask(gateway.route(plugins)).status == 418


def test_error_page(gateway: Gateway) -> None:
    page = {"enable": True, "error_503": {"body": "<p>away</p>", "content_type": "text/html"}}
    gateway.put("plugin_metadata/error-page", {"id": "error-page", **page})
    plugins = {"error-page": {}, "fault-injection": {"abort": {"http_status": 503, "body": "x"}}}
    answer = gateway.ask(gateway.route(plugins))
    assert (answer.status, answer.text) == (503, "<p>away</p>")
    assert answer.headers.get("Content-Type") == "text/html"


def test_serverless_post_function(gateway: Gateway) -> None:
    function = 'return function(conf, ctx) ngx.req.set_header("X-Late", ctx.var.uri) end'
    path = gateway.route({"serverless-post-function": {"functions": [function]}})
    assert gateway.ask(path).status == 200
    assert gateway.upstream.last.headers.get("X-Late") == path


# where requests go


def test_traffic_split(gateway: Gateway) -> None:
    other = Upstream()
    try:
        node = {"upstream": {"type": "roundrobin", "nodes": {other.node: 1}}, "weight": 1}
        match = {"vars": [["arg_to", "==", "other"]]}
        conf = {"rules": [{"match": [match], "weighted_upstreams": [node]}]}
        path = gateway.route({"traffic-split": conf})
        assert gateway.ask(f"{path}?to=other").status == 200
        assert other.last.target == f"{path}?to=other"
        assert gateway.ask(path).status == 200
        assert (len(other.requests), gateway.upstream.last.target) == (1, path)
    finally:
        other.stop()


def test_traffic_label(gateway: Gateway) -> None:
    rule = {"match": [["arg_a", "==", "1"]], "actions": [{"set_headers": {"X-Label": "one"}}]}
    path = gateway.route({"traffic-label": {"rules": [rule]}})
    assert gateway.ask(f"{path}?a=1").status == 200
    assert gateway.upstream.last.headers.get("X-Label") == "one"
    assert gateway.ask(path).status == 200
    assert "X-Label" not in gateway.upstream.last.headers


def test_example_plugin(gateway: Gateway) -> None:
    ip, port = gateway.upstream.node.split(":")
    conf = {"i": 1, "ip": ip, "port": int(port)}
    nowhere = {"type": "roundrobin", "nodes": {"127.0.0.1:1": 1}}
    path = gateway.route({"example-plugin": conf}, upstream=nowhere)
    assert gateway.ask(path).status == 200
    assert "plugin access phase, conf: " in gateway.log
    assert "plugin log phase, conf: " in gateway.log


# APIs of plugins


def test_public_api_and_batch_requests(gateway: Gateway) -> None:
    public = gateway.route({"public-api": {"uri": "/apisix/batch-requests"}})
    one, two = (
        gateway.route({}),
        gateway.route({"fault-injection": {"abort": {"http_status": 404}}}),
    )
    pipeline = [{"path": one}, {"path": two, "method": "GET"}]
    headers = {"Connection": "keep-alive"}  # else that of this request, which is its last
    body = {"query": {"a": "b"}, "headers": headers, "pipeline": pipeline}
    answer = gateway.ask(public, JSON, "POST", json.dumps(body).encode())
    assert answer.status == 200, answer.text
    assert [each["status"] for each in answer.json()] == [200, 404]
    assert answer.json()[0]["body"] == "hello"
    assert gateway.upstream.last.target == f"{one}?a=b"


def test_server_info(gateway: Gateway) -> None:
    function = """return function()
        local api = require("apisix.plugin").get("server-info").control_api()[1]
        local code, info = api.handler()
        return code, info
    end"""
    path = gateway.route({"serverless-pre-function": {"functions": [function]}})
    answer = gateway.ask(path)
    assert answer.status == 200
    assert set(answer.json()) >= {"boot_time", "etcd_version", "hostname", "id", "version"}


# records


def test_file_logger(gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    conf = {"path": str(file), "log_format": {"uri": "$uri", "host": "$host"}}
    path = gateway.route({"file-logger": conf})
    gateway.ask(path)
    gateway.until(lambda: file.exists() and file.read_text().endswith("\n"))
    entry = json.loads(file.read_text())
    assert (entry["uri"], entry["host"]) == (path, "test.com")


@pytest.mark.parametrize("kind", ["query", "header"])
def test_data_mask(gateway: Gateway, needs: Needs, tmp_path: Path, kind: str) -> None:
    needs("data-mask")
    file = tmp_path / "access.log"
    log_format = {"uri": "$request_uri", "token": "$http_token"}
    mask = {"type": kind, "name": "token", "action": "replace", "value": "***"}
    plugins = {
        "data-mask": {"request": [mask]},
        "file-logger": {"path": str(file), "log_format": log_format},
    }
    gateway.ask(f"{gateway.route(plugins)}?token=s3cret", {"token": "s3cret"})
    gateway.until(lambda: file.exists() and file.read_text().endswith("\n"))
    entry = json.loads(file.read_text())
    logged = {
        "query": parse_qs(urlsplit(entry["uri"]).query)["token"][0],
        "header": entry["token"],
    }
    assert logged == {**dict.fromkeys(logged, "s3cret"), kind: "***"}
