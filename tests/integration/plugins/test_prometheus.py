"""The plugin prometheus, its answers read by Prometheus' own parser; time is virtual."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.gateway import Gateway
from support.limits import advance

from pygw.hub.clock import VirtualClock

API = "/apisix/prometheus/metrics"
PLUGINS = ["prometheus", "public-api", "key-auth", "serverless-pre-function", "tcp-logger"]
BUCKETS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000, 60000]
Labels = dict[str, str]


@pytest.fixture(scope="module", autouse=True)
def _ours_only(plugin_source: Path | None) -> None:
    if plugin_source:
        pytest.skip("the original's metrics are put together in a privileged agent alone")


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return started(start_gateway)


def started(start_gateway: Callable[..., Gateway], **attr: Any) -> Gateway:
    """A gateway whose metrics are at API; attr: plugin_attr's."""
    found = start_gateway(VirtualClock(), plugins=PLUGINS, plugin_attr={"prometheus": attr})
    found.put("routes/api", {"uri": attr.get("export_uri", API), "plugins": {"public-api": {}}})
    return found


@pytest.fixture
def metadata(gateway: Gateway) -> Iterator[Callable[..., None]]:
    yield lambda **value: gateway.put("plugin_metadata/prometheus", value)
    gateway.delete("plugin_metadata/prometheus")


class Shown:
    """What is shown after the next refresh."""

    def __init__(self, gateway: Gateway, uri: str = API, wait: float = 15.5) -> None:
        advance(gateway, 1.1)
        answers = [gateway.ask(uri)]

        def is_new() -> bool:
            answers.append(gateway.ask(uri))
            if answers[-1].status == 200 and answers[-1].text != answers[0].text:
                return True
            advance(gateway, wait)  # a refresh may have met the one before at its work
            return False

        gateway.until(is_new)
        self.content_type = answers[-1].headers.get("Content-Type")
        self.text = answers[-1].text
        self.families = {each.name: each for each in text_string_to_metric_families(self.text)}
        self.samples = [sample for each in self.families.values() for sample in each.samples]

    def values(self, name: str, /, **labels: str) -> list[tuple[Labels, float]]:
        """The samples of a name with these labels among theirs."""
        return [
            (sample.labels, sample.value)
            for sample in self.samples
            if sample.name in (name, f"{name}_total") and labels.items() <= sample.labels.items()
        ]

    def value(self, name: str, /, **labels: str) -> float:
        """The value of the only such sample."""
        ((_, value),) = self.values(name, **labels)
        return value


# of requests


def test_status(gateway: Gateway) -> None:
    path = gateway.route({"prometheus": {}})
    for _ in range(2):
        gateway.ask(path)
    gateway.upstream.reply_once(404, b"")
    gateway.ask(f"{path}/x")
    shown = Shown(gateway)
    ((labels, value),) = shown.values("apisix_http_status", route=path[1:], code="200")
    assert value == 2
    assert labels == {
        "code": "200",
        "route": path[1:],
        "matched_uri": path,
        "matched_host": "",
        "service": "",
        "consumer": "",
        "node": "127.0.0.1",
        "request_type": "traditional_http",
        "request_llm_model": "",
        "llm_model": "",
        "response_source": "upstream",
    }
    uri = f"{path}/*"
    assert shown.value("apisix_http_status", route=path[1:], code="404", matched_uri=uri) == 1


def test_the_host_that_matched(gateway: Gateway) -> None:
    path = gateway.route({"prometheus": {}}, hosts=["*.example.com"])
    gateway.ask(path, host="a.example.com")
    ((labels, _),) = Shown(gateway).values("apisix_http_status", route=path[1:])
    assert labels["matched_host"] == "*.example.com"


def test_who_made_the_response(gateway: Gateway) -> None:
    functions = ["return function() ngx.exit(201) end"]
    plugins = {"prometheus": {}, "serverless-pre-function": {"functions": functions}}
    path = gateway.route(plugins)
    gateway.ask(path)
    down = {"nodes": {"127.0.0.1:1": 1}, "type": "roundrobin"}
    broken = gateway.route({"prometheus": {}}, upstream=down)
    gateway.ask(broken)
    shown = Shown(gateway)
    ((own, _),) = shown.values("apisix_http_status", route=path[1:])
    assert (own["code"], own["response_source"], own["node"]) == ("201", "apisix", "")
    ((failed, _),) = shown.values("apisix_http_status", route=broken[1:])
    assert (failed["code"], failed["response_source"]) == ("502", "nginx")


def test_latencies(gateway: Gateway) -> None:
    path = gateway.route({"prometheus": {}})
    for _ in range(3):
        gateway.ask(path)
    shown = Shown(gateway)
    for kind in ("request", "upstream", "apisix"):
        where = {"route": path[1:], "type": kind}
        assert shown.value("apisix_http_latency_count", **where) == 3
        buckets = shown.values("apisix_http_latency_bucket", **where)
        assert [labels["le"] for labels, _ in buckets] == ([*map(str, BUCKETS), "+Inf"])
        assert buckets[-1][1] == 3


def test_a_request_without_upstream_has_no_upstream_latency(gateway: Gateway) -> None:
    functions = ["return function() ngx.exit(200) end"]
    plugins = {"prometheus": {}, "serverless-pre-function": {"functions": functions}}
    path = gateway.route(plugins)
    gateway.ask(path)
    found = Shown(gateway).values("apisix_http_latency_count", route=path[1:])
    assert {labels["type"] for labels, _ in found} == {"request", "apisix"}


def test_bandwidth(gateway: Gateway) -> None:
    path = gateway.route({"prometheus": {}})
    sent = f"POST {path} HTTP/1.1|Host: test.com|Connection: close|Content-Length: 4||sent"
    gateway.ask(path, method="POST", body=b"sent")
    shown = Shown(gateway)
    ingress = shown.value("apisix_bandwidth", route=path[1:], type="ingress")
    assert ingress == len(sent.replace("|", "\r\n"))
    assert shown.value("apisix_bandwidth", route=path[1:], type="egress") > len("hello")


def test_consumer_and_service(gateway: Gateway) -> None:
    gateway.put("services/s1", {"name": "shop", "plugins": {}})
    gateway.put("consumers/jo", {"username": "jo", "plugins": {"key-auth": {"key": "k"}}})
    path = gateway.route({"prometheus": {}, "key-auth": {}}, service_id="s1")
    gateway.ask(path, {"apikey": "k"})
    ((labels, _),) = Shown(gateway).values("apisix_http_status", route=path[1:])
    assert (labels["consumer"], labels["service"]) == ("jo", "s1")


def test_names_may_be_preferred(gateway: Gateway) -> None:
    gateway.put("services/s2", {"name": "cellar", "plugins": {}})
    conf = {"prometheus": {"prefer_name": True}}
    gateway.ask(gateway.route(conf, service_id="s2", name="wine"))
    unnamed = gateway.route(conf)
    gateway.ask(unnamed)
    shown = Shown(gateway)
    ((labels, _),) = shown.values("apisix_http_status", route="wine")
    assert labels["service"] == "cellar"
    assert shown.value("apisix_http_status", route=unnamed[1:]) == 1


def test_a_global_rule_and_the_route_count_once(gateway: Gateway) -> None:
    gateway.put("global_rules/g", {"id": "g", "plugins": {"prometheus": {}}})
    try:
        paths = [gateway.route({"prometheus": {}}), gateway.route({})]
        for path in paths:
            gateway.ask(path)
        gateway.ask("/nowhere")
        shown = Shown(gateway)
        for path in paths:
            assert shown.value("apisix_http_status", route=path[1:]) == 1
        assert shown.value("apisix_http_status", route="", code="404", matched_uri="") >= 1
    finally:
        gateway.delete("global_rules/g")


def test_labels_can_be_switched_off(gateway: Gateway, metadata: Callable[..., None]) -> None:
    metadata(disabled_labels={"http_status": ["node", "matched_uri"], "http_latency": ["route"]})
    path = gateway.route({"prometheus": {}})
    gateway.ask(path)
    shown = Shown(gateway)
    ((labels, _),) = shown.values("apisix_http_status", route=path[1:])
    assert (labels["node"], labels["matched_uri"]) == ("", "")
    assert shown.values("apisix_http_latency_count", route=path[1:]) == []
    assert shown.value("apisix_bandwidth", route=path[1:], type="ingress") > 0


@pytest.mark.parametrize(
    "disabled", [{"http_status": ["code"]}, {"http_latency": ["type"]}, {"no_metric": ["node"]}]
)
def test_labels_that_cannot_be_switched_off(gateway: Gateway, disabled: dict[str, Any]) -> None:
    log = gateway.refused("plugin_metadata/prometheus", {"disabled_labels": disabled})
    assert 'property "disabled_labels" validation failed' in log


@pytest.mark.parametrize("kind", ["ai_chat", "ai_stream"])
def test_language_models(gateway: Gateway, kind: str) -> None:
    function = f"""return function(_, ctx)
        local var = ctx.var
        var.request_type, var.llm_model, var.request_llm_model = "{kind}", "m", ("x"):rep(200)
        var.llm_time_to_first_token, var.apisix_upstream_response_time = "30", "700"
        var.llm_prompt_tokens, var.llm_completion_tokens = "12", "40"
    end"""
    plugins = {"prometheus": {}, "serverless-pre-function": {"functions": [function]}}
    path = gateway.route(plugins)
    gateway.ask(path)
    shown, where = Shown(gateway), {"route_id": path[1:], "llm_model": "m", "request_type": kind}
    assert shown.value("apisix_llm_latency_sum", type="total", **where) == 700
    ttft = shown.values("apisix_llm_latency_sum", type="ttft", **where)
    assert [value for _, value in ttft] == ([30] if kind == "ai_stream" else [])
    assert shown.value("apisix_llm_prompt_tokens", request_llm_model="x" * 128, **where) == 12
    assert shown.value("apisix_llm_completion_tokens", **where) == 40
    assert shown.value("apisix_llm_prompt_tokens_dist_bucket", le="50", **where) == 1
    assert shown.value("apisix_llm_completion_tokens_dist_sum", **where) == 40


# of the node


def test_the_node(gateway: Gateway) -> None:
    gateway.ask(gateway.route({}))
    shown = Shown(gateway)
    ((labels, one),) = shown.values("apisix_node_info")
    assert one == 1
    assert labels["hostname"]
    assert labels["version"].count(".") == 2
    assert shown.value("apisix_etcd_reachable") == 1
    assert shown.value("apisix_shared_dict_capacity_bytes", name="prometheus-cache") == 10 << 20
    free = shown.value("apisix_shared_dict_free_space_bytes", name="plugin-limit-count")
    assert 0 < free < 10 << 20
    assert shown.value("apisix_nginx_metric_errors") == 0
    assert shown.value("apisix_http_requests") > 0
    states = {
        labels["state"] for labels, _ in shown.values("apisix_nginx_http_current_connections")
    }
    assert states == {"active", "accepted", "handled", "reading", "writing", "waiting"}


def test_how_far_the_configuration_is(gateway: Gateway) -> None:
    gateway.route({})
    shown = Shown(gateway)
    routes = shown.value("apisix_etcd_modify_indexes", key="routes")
    assert routes == shown.value("apisix_etcd_modify_indexes", key="max_modify_index")
    assert shown.value("apisix_etcd_modify_indexes", key="x_etcd_index") >= routes > 0
    keys = {labels["key"] for labels, _ in shown.values("apisix_etcd_modify_indexes")}
    assert keys >= {"services", "consumers", "global_rules", "upstreams", "ssls", "prev_index"}


def test_the_health_of_upstreams(gateway: Gateway) -> None:
    active = {"type": "tcp", "healthy": {"interval": 1, "successes": 1}}
    active["unhealthy"] = {"interval": 1, "tcp_failures": 1}
    nodes = {gateway.upstream.node: 1, "127.0.0.1:1": 1}
    value = {"type": "roundrobin", "nodes": nodes, "checks": {"active": active}}
    path = gateway.route({}, upstream=value)
    gateway.ask(path)

    def is_known() -> bool:
        advance(gateway, 1.1)
        shown = gateway.ask(API)
        return shown.status == 200 and 'port="1"} 0' in shown.text

    gateway.until(is_known)
    shown, name = Shown(gateway), f"/apisix/routes{path}"
    port = gateway.upstream.node.split(":")[1]
    assert shown.value("apisix_upstream_status", name=name, ip="127.0.0.1", port=port) == 1
    assert shown.value("apisix_upstream_status", name=name, ip="127.0.0.1", port="1") == 0


def test_log_entries_that_wait(gateway: Gateway) -> None:
    conf = {"host": "127.0.0.1", "port": 1, "inactive_timeout": 6000, "name": "waiting"}
    path = gateway.route({"tcp-logger": conf})
    for _ in range(3):
        gateway.ask(path)
    ((labels, value),) = Shown(gateway).values("apisix_batch_process_entries", name="waiting")
    assert value == 3
    assert (labels["route_id"], labels["server_addr"]) == (path[1:], "127.0.0.1")


# the answer


def test_the_answer_is_text(gateway: Gateway) -> None:
    shown = Shown(gateway)
    assert shown.content_type == "text/plain"
    assert shown.text.startswith("# HELP apisix_")


def test_what_is_not_collected_any_more_is_not_shown(gateway: Gateway) -> None:
    Shown(gateway)
    run = """return function()
        ngx.shared["prometheus-cache"]:flush_all()
        local code, body = require("apisix.plugins.prometheus.exporter").get_api(false).handler()
        require("apisix.core").response.exit(code, body)
    end"""
    answer = gateway.ask(gateway.route({"serverless-pre-function": {"functions": [run]}}))
    assert answer.status == 500
    assert answer.json() == {"message": "Failed to retrieve metrics: no data available"}


def test_attributes(start_gateway: Callable[..., Gateway]) -> None:
    metrics = {
        "http_status": {"extra_labels": [{"method": "$request_method"}, {"x": "$http_x_none"}]},
        "http_latency": {"extra_labels": [{"agent": "$http_user_agent"}]},
        "bandwidth": {"expire": 60},
    }
    gateway = started(
        start_gateway,
        export_uri="/m",
        metric_prefix="own_",
        refresh_interval=2,
        default_buckets=[7, 70],
        metrics=metrics,
    )
    path = gateway.route({"prometheus": {}})
    gateway.ask(path, {"User-Agent": "me"})
    shown = Shown(gateway, "/m", wait=2.5)
    assert shown.value("own_http_status", route=path[1:], method="GET", x="") == 1
    found = shown.values("own_http_latency_bucket", route=path[1:], type="request", agent="me")
    assert [labels["le"] for labels, _ in found] == ["7", "70", "+Inf"]
    assert len(shown.values("own_bandwidth", route=path[1:])) == 2
    advance(gateway, 61)
    shown = Shown(gateway, "/m", wait=2.5)
    assert shown.values("own_bandwidth", route=path[1:]) == []
    assert shown.value("own_http_status", route=path[1:]) == 1


def test_prefer_name_is_a_boolean(gateway: Gateway) -> None:
    log = gateway.complaint({"prometheus": {"prefer_name": "yes"}})
    assert 'property "prefer_name" validation failed' in log


def test_what_was_counted_outlives_a_reload_of_the_plugins(gateway: Gateway) -> None:
    tell = 'return function() ngx.header["X-Loads"] = require("apisix.plugin").load_times end'
    plugins = {"prometheus": {}, "serverless-pre-function": {"functions": [tell]}}
    path = gateway.route(plugins)
    asked = [gateway.ask(path).headers.get("X-Loads")]
    names = json.dumps([{"name": name} for name in PLUGINS]).encode()
    gateway.store.put(b"/apisix/plugins", names)

    def is_loaded_anew() -> bool:
        asked.append(gateway.ask(path).headers.get("X-Loads"))
        return asked[-1] != asked[0]

    gateway.until(is_loaded_anew)
    shown = Shown(gateway)
    assert shown.value("apisix_http_status", route=path[1:], code="200") == len(asked)
