"""The plugin opentelemetry; its spans are read by OpenTelemetry's own definitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from support.collectors import HttpCollector, http_collector
from support.gateway import Gateway
from support.limits import advance

from pygw.hub.clock import VirtualClock

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "00f067aa0ba902b7"
ON = {"sampler": {"name": "always_on"}}
MEMBERS_TOO_MANY = ",".join(f"k{n}=v" for n in range(33))


@pytest.fixture(scope="module", autouse=True)
def _ours_only(plugin_source: Path | None) -> None:
    if plugin_source:
        pytest.skip("the original traces in workers alone, not in the only process of a test")


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway(VirtualClock(), plugins=["opentelemetry", "serverless-pre-function"])


@pytest.fixture
def collector(gateway: Gateway) -> Iterator[HttpCollector]:
    with http_collector() as running:
        tell(gateway, running)
        yield running
        gateway.delete("plugin_metadata/opentelemetry")


def tell(gateway: Gateway, to: HttpCollector, /, **metadata: Any) -> None:
    """Write the metadata: this collector, and batches that are sent after a second."""
    where = {"address": f"127.0.0.1:{to.port}", **metadata.pop("collector", {})}
    batches = {"inactive_timeout": 1, "batch_timeout": 0.5, "max_export_batch_size": 4}
    batches.update(metadata.pop("batch_span_processor", {}))
    value = {"collector": where, "batch_span_processor": batches, **metadata}
    gateway.put("plugin_metadata/opentelemetry", value)


def exported(collector: HttpCollector) -> list[ExportTraceServiceRequest]:
    return [ExportTraceServiceRequest.FromString(each.body) for each in collector.deliveries]


def spans(gateway: Gateway, collector: HttpCollector, count: int = 1) -> list[Span]:
    """That many spans, after the second that they wait; there must not be more."""

    def found() -> list[Span]:
        return [
            span
            for request in exported(collector)
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    advance(gateway, 1.1)
    gateway.until(lambda: len(found()) >= count)
    assert len(found()) == count
    return found()


def is_exported(gateway: Gateway, collector: HttpCollector) -> bool:
    """Whether there is a span beside that of a request which is certainly traced."""
    gateway.ask(gateway.route({"opentelemetry": ON}), method="MARK")
    advance(gateway, 1.1)
    gateway.until(lambda: any(b"MARK" in each.body for each in collector.deliveries))
    return b"GET" in b"".join(each.body for each in collector.deliveries)


def plain(attributes: Any) -> dict[str, Any]:
    """Attributes as a dict, each value as what it is."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


def sent(gateway: Gateway, name: str = "traceparent") -> str | None:
    """A header as the upstream got it."""
    return gateway.upstream.last.headers.get(name)


# spans


def test_a_span(gateway: Gateway, collector: HttpCollector) -> None:
    path = gateway.route({"opentelemetry": ON}, name="shop")
    began = gateway.clock.now
    gateway.ask(f"{path}/x?q=1", {"User-Agent": "me"})
    (span,) = spans(gateway, collector)
    assert span.name == f"GET {path}/*"
    assert span.kind == Span.SPAN_KIND_SERVER
    assert (len(span.trace_id), len(span.span_id), span.parent_span_id) == (16, 8, b"")
    assert span.start_time_unix_nano == pytest.approx(began * 1e9, abs=2e6)
    assert span.end_time_unix_nano >= span.start_time_unix_nano
    assert span.status.code == Status.STATUS_CODE_UNSET
    assert plain(span.attributes) == {
        "net.host.name": "test.com",
        "http.method": "GET",
        "http.scheme": "http",
        "http.target": f"{path}/x?q=1",
        "http.user_agent": "me",
        "http.request.method": "GET",
        "url.scheme": "http",
        "url.path": f"{path}/x",
        "user_agent.original": "me",
        "apisix.route_id": path[1:],
        "apisix.route_name": "shop",
        "http.route": f"{path}/*",
        "apisix.response_source": "upstream",
        "http.status_code": 200,
        "http.response.status_code": 200,
    }
    assert sent(gateway) == f"00-{span.trace_id.hex()}-{span.span_id.hex()}-01"


def test_where_it_is_sent(gateway: Gateway, collector: HttpCollector) -> None:
    headers = {"request_headers": {"X-Token": "t", "X-Number": 7, "X-Flag": True}}
    tell(gateway, collector, collector=headers)
    gateway.ask(gateway.route({"opentelemetry": ON}))
    spans(gateway, collector)
    (delivery,) = collector.deliveries
    assert (delivery.method, delivery.target) == ("POST", "/v1/traces")
    assert delivery.headers["content-type"] == "application/x-protobuf"
    found = [delivery.headers[name] for name in ("x-token", "x-number", "x-flag")]
    assert found == ["t", "7", "true"]


def test_the_resource(gateway: Gateway, collector: HttpCollector) -> None:
    resource = {"service.name": "mine", "number": 1.5, "flag": True}
    tell(gateway, collector, resource=resource)
    gateway.ask(gateway.route({"opentelemetry": ON}))
    spans(gateway, collector)
    (found,) = exported(collector)[0].resource_spans
    attributes = plain(found.resource.attributes)
    assert attributes.pop("hostname")
    assert attributes == {
        "telemetry.sdk.language": "lua",
        "telemetry.sdk.name": "opentelemetry-lua",
        "telemetry.sdk.version": "0.1.1",
        **resource,
    }
    assert found.scope_spans[0].scope.name == "opentelemetry-lua"


def test_the_service_has_a_name_of_its_own(gateway: Gateway, collector: HttpCollector) -> None:
    tell(gateway, collector, resource={"flag": False})
    gateway.ask(gateway.route({"opentelemetry": ON}))
    spans(gateway, collector)
    attributes = plain(exported(collector)[0].resource_spans[0].resource.attributes)
    assert (attributes["service.name"], attributes["flag"]) == ("APISIX", False)


def test_the_service_of_the_route(gateway: Gateway, collector: HttpCollector) -> None:
    gateway.put("services/s1", {"name": "cellar", "plugins": {}})
    gateway.ask(gateway.route({"opentelemetry": ON}, service_id="s1"))
    attributes = plain(spans(gateway, collector)[0].attributes)
    assert attributes["apisix.service_id"] == "s1"
    assert attributes["apisix.service_name"] == "cellar"


@pytest.mark.parametrize(("status", "is_error"), [(499, False), (500, True), (503, True)])
def test_errors_of_the_upstream(
    gateway: Gateway, collector: HttpCollector, status: int, is_error: bool
) -> None:
    gateway.upstream.reply_once(status, b"")
    gateway.ask(gateway.route({"opentelemetry": ON}))
    (span,) = spans(gateway, collector)
    wanted = (Status.STATUS_CODE_ERROR, f"upstream error: {status}") if is_error else (0, "")
    assert (span.status.code, span.status.message) == wanted
    assert plain(span.attributes)["http.status_code"] == status


def test_errors_of_nginx_and_of_plugins(gateway: Gateway, collector: HttpCollector) -> None:
    down = {"nodes": {"127.0.0.1:1": 1}, "type": "roundrobin"}
    gateway.ask(gateway.route({"opentelemetry": ON}, upstream=down))
    functions = ["return function() ngx.exit(501) end"]
    plugins = {"opentelemetry": ON, "serverless-pre-function": {"functions": functions}}
    gateway.ask(gateway.route(plugins))
    messages = {span.status.message for span in spans(gateway, collector, 2)}
    assert messages == {"nginx error: 502", "apisix error: 501"}


def test_additional_attributes(gateway: Gateway, collector: HttpCollector) -> None:
    conf = {
        **ON,
        "additional_attributes": ["arg_q", "http_x_none", "request_length"],
        "additional_header_prefix_attributes": ["x-one", "x-my-*", "x-twice"],
    }
    headers = [("X-One", "1"), ("X-My-A", "a"), ("X-My-B", "b"), ("X-Twice", "1"), ("X-Twice", "2")]
    gateway.ask(gateway.route({"opentelemetry": conf}) + "?q=v", headers)
    attributes = plain(spans(gateway, collector)[0].attributes)
    assert attributes["arg_q"] == "v"
    assert "http_x_none" not in attributes
    assert int(attributes["request_length"]) > 100
    assert (attributes["x-one"], attributes["x-my-a"], attributes["x-my-b"]) == ("1", "a", "b")
    assert attributes["x-twice"] == "1, 2"


def test_a_global_rule(gateway: Gateway, collector: HttpCollector) -> None:
    gateway.put("global_rules/g", {"id": "g", "plugins": {"opentelemetry": ON}})
    try:
        gateway.ask("/nowhere", method="PUT")
        (span,) = spans(gateway, collector)
        assert span.name == "PUT"
        assert plain(span.attributes)["http.status_code"] == 404
    finally:
        gateway.delete("global_rules/g")


def test_spans_that_plugins_make(start_gateway: Callable[..., Gateway]) -> None:
    names = ["opentelemetry", "serverless-pre-function"]
    gateway = start_gateway(VirtualClock(), plugins=names, apisix={"tracing": True})
    make = """return function()
        local tracer = require "apisix.tracer"
        local ctx = ngx.ctx
        local outer = tracer.start(ctx, "outer", tracer.kind.client)
        local inner = tracer.start(ctx, "inner")
        inner:set_attributes({ key = "n", value = { int_value = -3 } })
        inner:set_status(tracer.status.ERROR, "went wrong")
        inner:finish(ctx)
        outer:finish(ctx)
    end"""
    with http_collector() as collector:
        tell(gateway, collector)
        conf = {"functions": [make]}
        gateway.ask(gateway.route({"opentelemetry": ON, "serverless-pre-function": conf}))
        made = {span.name.split(" ")[0]: span for span in spans(gateway, collector, 3)}
    root, outer, inner = made["GET"], made["outer"], made["inner"]
    assert outer.parent_span_id == root.span_id
    assert inner.parent_span_id == outer.span_id
    assert {span.trace_id for span in made.values()} == {root.trace_id}
    assert (outer.kind, inner.kind) == (Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_INTERNAL)
    assert (inner.status.code, inner.status.message) == (Status.STATUS_CODE_ERROR, "went wrong")
    assert plain(inner.attributes) == {"n": -3}


# context


def test_a_trace_goes_on(gateway: Gateway, collector: HttpCollector) -> None:
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": " a=1 , b@c=x y"}
    gateway.ask(gateway.route({"opentelemetry": ON}), headers)
    (span,) = spans(gateway, collector)
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
    assert span.trace_state == "a=1,b@c=x y"
    assert sent(gateway) == f"00-{TRACE}-{span.span_id.hex()}-01"
    assert sent(gateway, "tracestate") == "a=1,b@c=x y"


@pytest.mark.parametrize(
    "header",
    [
        "nonsense",
        f"00-{TRACE}-{PARENT}",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-03",
        f"00-{TRACE[1:]}-{PARENT}-01",
    ],
)
def test_what_is_no_parent_begins_a_trace(
    gateway: Gateway, collector: HttpCollector, header: str
) -> None:
    gateway.ask(gateway.route({"opentelemetry": ON}), {"traceparent": header})
    (span,) = spans(gateway, collector)
    assert span.trace_id.hex() != TRACE
    assert span.parent_span_id == b""


def test_a_later_version_s_parent(gateway: Gateway, collector: HttpCollector) -> None:
    headers = {"traceparent": f"01-{TRACE}-{PARENT}-01-what-follows"}
    gateway.ask(gateway.route({"opentelemetry": ON}), headers)
    assert spans(gateway, collector)[0].trace_id.hex() == TRACE


@pytest.mark.parametrize("state", ["A=1", "a", "=1", MEMBERS_TOO_MANY, "a=" + "x" * 257])
def test_a_bad_state_is_dropped(gateway: Gateway, collector: HttpCollector, state: str) -> None:
    before = len(gateway.log)
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": state}
    gateway.ask(gateway.route({"opentelemetry": ON}), headers)
    assert spans(gateway, collector)[0].trace_state == ""
    assert "failed to parse tracestate" in gateway.log[before:]


@pytest.mark.parametrize(("value", "is_taken"), [(TRACE.upper(), True), ("a-b", False)])
def test_the_id_of_the_request_as_the_trace_s(
    gateway: Gateway, collector: HttpCollector, value: str, is_taken: bool
) -> None:
    tell(gateway, collector, trace_id_source="x-request-id")
    gateway.ask(gateway.route({"opentelemetry": ON}), {"X-Request-Id": value})
    (span,) = spans(gateway, collector)
    assert (span.trace_id.hex() == TRACE) is is_taken


def test_variables_for_the_access_log(gateway: Gateway, collector: HttpCollector) -> None:
    tell(gateway, collector, set_ngx_var=True)
    show = """return function()
        local var = ngx.var
        ngx.header["X-Parent"] = var.opentelemetry_context_traceparent
        ngx.header["X-Ids"] = var.opentelemetry_trace_id .. "-" .. var.opentelemetry_span_id
    end"""
    conf = {"functions": [show], "phase": "header_filter"}
    path = gateway.route({"opentelemetry": ON, "serverless-pre-function": conf})
    answer = gateway.ask(path)
    (span,) = spans(gateway, collector)
    ids = f"{span.trace_id.hex()}-{span.span_id.hex()}"
    assert answer.headers.get("X-Ids") == ids
    assert answer.headers.get("X-Parent") == f"00-{ids}-01"


# samplers


def test_nothing_is_sampled_by_default(gateway: Gateway, collector: HttpCollector) -> None:
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    gateway.ask(gateway.route({"opentelemetry": {}}), headers)
    parent = sent(gateway)
    assert parent
    assert parent.startswith(f"00-{TRACE}-")
    assert parent.endswith("-00")
    assert not is_exported(gateway, collector)


@pytest.mark.parametrize(
    ("fraction", "trace", "is_sampled"),
    [
        (0.5, "7fffffff" + "0" * 23 + "1", True),
        (0.5, "80000000" + "0" * 23 + "1", False),
        (0, "0" * 31 + "1", False),
        (1, "f" * 32, True),
    ],
)
def test_a_ratio(
    gateway: Gateway, collector: HttpCollector, fraction: float, trace: str, is_sampled: bool
) -> None:
    sampler = {"name": "trace_id_ratio", "options": {"fraction": fraction}}
    path = gateway.route({"opentelemetry": {"sampler": sampler}})
    gateway.ask(path, {"traceparent": f"00-{trace}-{PARENT}-00"})
    assert is_exported(gateway, collector) is is_sampled


@pytest.mark.parametrize(
    ("root", "flags", "is_sampled"),
    [
        ("always_off", "01", True),
        ("always_on", "00", False),
        ("always_on", None, True),
        ("always_off", None, False),
        (None, None, False),
    ],
)
def test_the_parent_decides(
    gateway: Gateway,
    collector: HttpCollector,
    root: str | None,
    flags: str | None,
    is_sampled: bool,
) -> None:
    sampler: dict[str, Any] = {"name": "parent_base"}
    if root:
        sampler["options"] = {"root": {"name": root}}
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-{flags}"} if flags else {}
    gateway.ask(gateway.route({"opentelemetry": {"sampler": sampler}}), headers)
    assert is_exported(gateway, collector) is is_sampled


# batches


def test_spans_are_sent_in_batches(gateway: Gateway, collector: HttpCollector) -> None:
    path = gateway.route({"opentelemetry": ON})
    for _ in range(6):
        gateway.ask(path)
    assert collector.deliveries == []
    spans(gateway, collector, 6)
    sizes = [len(request.resource_spans[0].scope_spans[0].spans) for request in exported(collector)]
    assert sizes == [4, 2]


def test_a_batch_waits_until_its_time(gateway: Gateway, collector: HttpCollector) -> None:
    tell(gateway, collector, batch_span_processor={"batch_timeout": 2.5})
    gateway.ask(gateway.route({"opentelemetry": ON}))
    for _ in range(2):
        advance(gateway, 1.1)
        assert collector.deliveries == []
    spans(gateway, collector)


def test_a_full_queue_drops(gateway: Gateway, collector: HttpCollector) -> None:
    tell(gateway, collector, batch_span_processor={"max_queue_size": 5})
    before = len(gateway.log)
    path = gateway.route({"opentelemetry": ON})
    for _ in range(7):
        gateway.ask(path)
    gateway.until(lambda: "queue is full, drop span: trace_id = " in gateway.log[before:])
    spans(gateway, collector, 5)


def test_a_full_queue_is_sent(gateway: Gateway, collector: HttpCollector) -> None:
    sizes = {"max_queue_size": 5, "drop_on_queue_full": False}
    tell(gateway, collector, batch_span_processor=sizes)
    path = gateway.route({"opentelemetry": ON})
    for _ in range(7):
        gateway.ask(path)
    gateway.until(lambda: len(collector.deliveries) == 1)
    spans(gateway, collector, 7)


def test_a_collector_that_refuses_is_asked_again(
    gateway: Gateway, collector: HttpCollector
) -> None:
    collector.statuses = [503]
    before = len(gateway.log)
    gateway.ask(gateway.route({"opentelemetry": ON}))
    advance(gateway, 1.1)
    gateway.until(lambda: "request failed: the body" in gateway.log[before:])
    advance(gateway, 2.1)
    gateway.until(lambda: len(collector.deliveries) == 2)


# configuration


def test_without_metadata_nothing_is_traced(gateway: Gateway) -> None:
    before = len(gateway.log)
    gateway.ask(gateway.route({"opentelemetry": ON}))
    assert sent(gateway) is None
    message = "plugin_metadata is required for opentelemetry plugin to working properly"
    assert message in gateway.log[before:]


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"sampler": {"name": "sometimes"}}, 'property "sampler" validation failed'),
        ({"sampler": {"options": {"fraction": "x"}}}, 'property "sampler" validation failed'),
        ({"additional_attributes": [""]}, 'property "additional_attributes" validation failed'),
        (
            {"additional_header_prefix_attributes": "x"},
            'property "additional_header_prefix_attributes" validation failed',
        ),
    ],
)
def test_configurations_that_are_refused(
    gateway: Gateway, conf: dict[str, Any], message: str
) -> None:
    assert message in gateway.complaint({"opentelemetry": conf})


@pytest.mark.parametrize(
    "metadata",
    [
        {"trace_id_source": "elsewhere"},
        {"resource": {"a": []}},
        {"collector": {"request_timeout": "long"}},
        {"batch_span_processor": {"max_queue_size": 0.5}},
        {"set_ngx_var": "yes"},
    ],
)
def test_metadata_that_is_refused(gateway: Gateway, metadata: dict[str, Any]) -> None:
    log = gateway.refused("plugin_metadata/opentelemetry", metadata)
    assert f'property "{next(iter(metadata))}" validation failed' in log
