"""The plugin file-logger, and by it what a log entry holds; time is virtual."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.gateway import Gateway
from support.limits import advance

from pygw import __version__
from pygw.hub.clock import VirtualClock

numbers = itertools.count(1)


@pytest.fixture(scope="module")
def shared_gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    names = ["file-logger", "key-auth", "serverless-pre-function", "response-rewrite"]
    return start_gateway(VirtualClock(), plugins=names)


@pytest.fixture
def gateway(shared_gateway: Gateway) -> Iterator[Gateway]:
    yield shared_gateway
    shared_gateway.upstream.reset()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / f"{next(numbers)}.log"


@pytest.fixture
def metadata(gateway: Gateway) -> Iterator[Callable[..., None]]:
    """Write the plugin's metadata; they go after the test."""

    def write(**value: Any) -> None:
        gateway.put("plugin_metadata/file-logger", value)

    yield write
    gateway.delete("plugin_metadata/file-logger")


def entries(gateway: Gateway, path: Path, count: int = 1) -> list[Any]:
    """That many entries of a file; there must not be more."""
    gateway.until(lambda: path.exists() and path.read_text().count("\n") >= count)
    lines = path.read_text().splitlines()
    assert len(lines) == count, lines
    return [json.loads(line) for line in lines]


def logged(
    gateway: Gateway,
    path: Path,
    conf: dict[str, Any],
    target: str = "",
    more: dict[str, Any] | None = None,
    **request: Any,
) -> Any:
    """The entry of one request to a route with this configuration."""
    route = gateway.route({"file-logger": {"path": str(path), **conf}, **(more or {})})
    assert gateway.ask(route + target, **request).status == 200
    entry = entries(gateway, path)[0]
    entry["route"] = route
    return entry


# the default entry


def test_the_default_entry(gateway: Gateway, path: Path) -> None:
    clock = gateway.clock.now
    entry = logged(gateway, path, {}, "/x?a=1&a=2&b", headers={"X-One": "1"})
    route = entry.pop("route")
    request = entry["request"]
    assert request.pop("headers").items() >= {"host": "test.com", "x-one": "1"}.items()
    sent = f"GET {route}/x?a=1&a=2&b HTTP/1.1|Host: test.com|Connection: close|X-One: 1||"
    assert request == {
        "url": f"http://test.com:{gateway.port}{route}/x?a=1&a=2&b",
        "uri": f"{route}/x?a=1&a=2&b",
        "method": "GET",
        "querystring": {"a": ["1", "2"], "b": True},
        "size": len(sent.replace("|", "\r\n")),
    }
    response = entry["response"]
    assert response["status"] == 200
    assert response["headers"]["content-length"] == "5"
    assert response["size"] > 5
    assert entry["server"]["hostname"]
    assert entry["upstream"] == gateway.upstream.node
    assert (entry["service_id"], entry["route_id"]) == ("", route[1:])
    assert entry["client_ip"] == "127.0.0.1"
    assert entry["start_time"] == pytest.approx(clock * 1000, abs=1)
    assert {"latency", "upstream_latency", "apisix_latency"} < entry.keys()
    assert "consumer" not in entry
    assert "body" not in entry["request"]
    assert "body" not in response


def test_the_version_is_apisix_one(gateway: Gateway, path: Path) -> None:
    version = logged(gateway, path, {})["server"]["version"]
    assert version.count(".") == 2
    assert version != __version__


def test_the_consumer_and_the_service(gateway: Gateway, path: Path) -> None:
    gateway.put("services/s7", {"plugins": {}})
    gateway.put("consumers/jo", {"username": "jo", "plugins": {"key-auth": {"key": "k"}}})
    plugins = {"file-logger": {"path": str(path)}, "key-auth": {}}
    route = gateway.route(plugins, service_id="s7")
    gateway.ask(route, {"apikey": "k"})
    entry = entries(gateway, path)[0]
    assert entry["consumer"] == {"username": "jo"}
    assert entry["service_id"] == "s7"


def test_latencies_are_milliseconds(gateway: Gateway, path: Path) -> None:
    entry = logged(gateway, path, {})
    assert entry["latency"] == pytest.approx(entry["upstream_latency"] + entry["apisix_latency"])


def test_a_response_of_the_gateway_has_no_upstream(gateway: Gateway, path: Path) -> None:
    function = 'return function() ngx.status = 201 ngx.say("x") return ngx.exit(201) end'
    plugins = {
        "file-logger": {"path": str(path)},
        "serverless-pre-function": {"functions": [function]},
    }
    assert gateway.ask(gateway.route(plugins)).status == 201
    entry = entries(gateway, path)[0]
    assert entry["response"]["status"] == 201
    assert "upstream" not in entry
    assert "upstream_latency" not in entry


def test_fields_can_be_added_to_the_default_entry(gateway: Gateway, path: Path) -> None:
    extra = {"agent": "$http_user_agent", "route_id": "mine", "nested": {"uri": "$uri"}}
    entry = logged(gateway, path, {"log_format_extra": extra}, headers={"User-Agent": "me"})
    route = entry["route"]
    assert entry["agent"] == "me"
    assert entry["nested"] == {"uri": route}
    assert entry["route_id"] == route[1:], "no default field is replaced"
    assert entry["request"]["method"] == "GET"


# formats


def test_a_format_of_variables_and_constants(gateway: Gateway, path: Path) -> None:
    conf = {
        "log_format": {
            "host": "$host",
            "status": "$status",
            "arg": "$arg_q",
            "missing": "$http_x_missing",
            "text": "plain",
            "number": 7,
            "flag": False,
        }
    }
    entry = logged(gateway, path, conf, "?q=v")
    route = entry.pop("route")
    assert entry == {
        "host": "test.com",
        "status": 200,
        "arg": "v",
        "text": "plain",
        "number": 7,
        "flag": False,
        "route_id": route[1:],
    }


def test_formats_are_nested_five_deep(gateway: Gateway, path: Path) -> None:
    fifth = {"method": "$method", "sixth": {"method": "$method"}}
    before = len(gateway.log)
    conf = {"log_format": {"second": {"third": {"fourth": {"fifth": fifth}}}}}
    entry = logged(gateway, path, conf)
    assert entry["second"]["third"]["fourth"]["fifth"] == {"method": "GET", "sixth": {}}
    warning = "log_format nesting exceeds max depth 5, truncating"
    assert warning in gateway.log[before:]


def test_an_empty_format_says_where_the_request_was(gateway: Gateway, path: Path) -> None:
    entry = logged(gateway, path, {"log_format": {}})
    assert entry == {"route_id": entry["route"][1:], "route": entry["route"]}


def test_the_format_of_the_metadata(
    gateway: Gateway, path: Path, metadata: Callable[..., None]
) -> None:
    metadata(log_format={"who": "$remote_addr"})
    entry = logged(gateway, path, {})
    assert entry == {"who": "127.0.0.1", "route_id": entry["route"][1:], "route": entry["route"]}


def test_the_route_s_format_wins_over_the_metadata_s(
    gateway: Gateway, path: Path, metadata: Callable[..., None]
) -> None:
    metadata(log_format={"who": "$remote_addr"})
    entry = logged(gateway, path, {"log_format": {"uri": "$uri"}})
    assert "who" not in entry
    assert entry["uri"] == entry["route"]


def test_the_metadata_s_extra_fields_yield_to_the_route_s(
    gateway: Gateway, path: Path, metadata: Callable[..., None], tmp_path: Path
) -> None:
    metadata(log_format_extra={"from": "metadata"})
    assert logged(gateway, path, {})["from"] == "metadata"
    entry = logged(gateway, tmp_path / "b", {"log_format_extra": {"of": "route"}})
    assert entry["of"] == "route"
    assert "from" not in entry


# bodies


def test_the_request_s_body(gateway: Gateway, path: Path) -> None:
    entry = logged(gateway, path, {"include_req_body": True}, method="POST", body=b"sent")
    assert entry["request"]["body"] == "sent"


def test_the_request_s_body_is_cut(gateway: Gateway, path: Path) -> None:
    conf = {"include_req_body": True, "max_req_body_bytes": 3}
    entry = logged(gateway, path, conf, method="POST", body=b"sent")
    assert entry["request"]["body"] == "sen"


def test_a_body_in_a_file_is_cut_too(gateway: Gateway, path: Path) -> None:
    conf = {"include_req_body": True, "max_req_body_bytes": 20000}
    entry = logged(gateway, path, conf, method="POST", body=b"a" * 100_000)
    assert entry["request"]["body"] == "a" * 20000
    assert gateway.upstream.last.body == b"a" * 100_000


@pytest.mark.parametrize(
    ("query", "is_there"), [("?log=yes", True), ("?log=no", False), ("", False)]
)
def test_the_request_s_body_on_a_condition(
    gateway: Gateway, path: Path, query: str, is_there: bool
) -> None:
    conf = {"include_req_body": True, "include_req_body_expr": [["arg_log", "==", "yes"]]}
    entry = logged(gateway, path, conf, query, method="POST", body=b"sent")
    assert ("body" in entry["request"]) is is_there


def test_the_response_s_body(gateway: Gateway, path: Path) -> None:
    entry = logged(gateway, path, {"include_resp_body": True})
    assert entry["response"]["body"] == "hello"


def test_the_response_s_body_is_cut_and_the_client_has_it_whole(
    gateway: Gateway, path: Path
) -> None:
    conf = {"path": str(path), "include_resp_body": True, "max_resp_body_bytes": 4}
    assert gateway.ask(gateway.route({"file-logger": conf})).text == "hello"
    assert entries(gateway, path)[0]["response"]["body"] == "hell"


@pytest.mark.parametrize(("query", "is_there"), [("?log=yes", True), ("?log=no", False)])
def test_the_response_s_body_on_a_condition(
    gateway: Gateway, path: Path, query: str, is_there: bool
) -> None:
    conf = {"include_resp_body": True, "include_resp_body_expr": [["arg_log", "==", "yes"]]}
    entry = logged(gateway, path, conf, query)
    assert ("body" in entry["response"]) is is_there


def test_a_compressed_body_is_logged_as_text(gateway: Gateway, path: Path) -> None:
    gateway.upstream.reply_once(200, gzip.compress(b"in plain"), [("Content-Encoding", "gzip")])
    entry = logged(gateway, path, {"include_resp_body": True})
    assert entry["response"]["body"] == "in plain"


def test_a_body_of_an_unknown_encoding_is_logged_as_it_is(gateway: Gateway, path: Path) -> None:
    gateway.upstream.reply_once(200, b"as it is", [("Content-Encoding", "zstd")])
    before = len(gateway.log)
    entry = logged(gateway, path, {"include_resp_body": True})
    assert entry["response"]["body"] == "as it is"
    assert "unsupported compression encoding type: zstd" in gateway.log[before:]


def test_a_body_that_does_not_decode_is_logged_as_it_is(gateway: Gateway, path: Path) -> None:
    gateway.upstream.reply_once(200, b"no gzip", [("Content-Encoding", "gzip")])
    before = len(gateway.log)
    entry = logged(gateway, path, {"include_resp_body": True})
    assert entry["response"]["body"] == "no gzip"
    assert "try decode compressed data err" in gateway.log[before:]


def test_bodies_as_variables_of_a_format(gateway: Gateway, path: Path) -> None:
    conf = {
        "include_req_body": True,
        "include_resp_body": True,
        "log_format": {"got": "$request_body", "gave": "$resp_body"},
    }
    entry = logged(gateway, path, conf, method="POST", body=b"sent")
    assert (entry["got"], entry["gave"]) == ("sent", "hello")


# matching


def test_only_what_matches_is_logged(gateway: Gateway, path: Path) -> None:
    match = [[["arg_name", "==", "jo"]], [["arg_name", "==", "al"]]]
    route = gateway.route({"file-logger": {"path": str(path), "match": match}})
    for name in ("jo", "nobody", "al"):
        gateway.ask(f"{route}?name={name}")
    assert [entry["request"]["querystring"]["name"] for entry in entries(gateway, path, 2)] == [
        "jo",
        "al",
    ]


# files


def test_the_path_of_the_metadata(
    gateway: Gateway, path: Path, metadata: Callable[..., None]
) -> None:
    metadata(path=str(path))
    gateway.ask(gateway.route({"file-logger": {}}))
    assert len(entries(gateway, path)) == 1


def test_the_route_s_path_wins(
    gateway: Gateway, path: Path, tmp_path: Path, metadata: Callable[..., None]
) -> None:
    metadata(path=str(tmp_path / "other"))
    logged(gateway, path, {})
    assert not (tmp_path / "other").exists()


def test_a_path_is_needed(gateway: Gateway) -> None:
    log = gateway.complaint({"file-logger": {}})
    assert 'property "path" is not set in either the plugin conf or the metadata' in log


def test_entries_are_appended(gateway: Gateway, path: Path) -> None:
    path.write_text("")
    route = gateway.route({"file-logger": {"path": str(path)}})
    for n in range(3):
        gateway.ask(f"{route}?n={n}")
    assert [each["request"]["querystring"]["n"] for each in entries(gateway, path, 3)] == [
        "0",
        "1",
        "2",
    ]


def test_a_file_that_was_moved_away_is_begun_anew(
    gateway: Gateway, path: Path, plugin_source: Path | None
) -> None:
    if plugin_source:
        pytest.skip("the original writes on until nginx is told to reopen its logs")
    logged(gateway, path, {})
    route = gateway.route({"file-logger": {"path": str(path)}})
    path.rename(f"{path}.1")
    advance(gateway, 1.1)
    gateway.ask(route)
    assert len(entries(gateway, path)) == 1
    assert len(entries(gateway, Path(f"{path}.1"))) == 1


def test_a_file_that_cannot_be_opened(gateway: Gateway, tmp_path: Path) -> None:
    route = gateway.route({"file-logger": {"path": f"{tmp_path}/no/where"}})
    before = len(gateway.log)
    assert gateway.ask(route).status == 200
    message = f"failed to open file: {tmp_path}/no/where, error info: "
    gateway.until(lambda: message in gateway.log[before:])


# configuration


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"path": 1}, 'property "path" validation failed: wrong type: expected string'),
        ({"path": "/x", "match": [[["a", "bad", "x"]]]}, "failed to validate the 'match'"),
        ({"path": "/x", "match": [[["a", "==", "b"]]] * 21}, 'property "match" validation failed'),
        ({"path": "/x", "max_req_body_bytes": 0}, 'property "max_req_body_bytes" validation'),
        ({"path": "/x", "max_resp_body_bytes": 0}, 'property "max_resp_body_bytes" validation'),
        ({"path": "/x", "include_req_body_expr": []}, 'property "include_req_body_expr"'),
        ({"path": "/x", "log_format": "text"}, 'property "log_format" validation failed'),
    ],
)
def test_configurations_that_are_refused(
    gateway: Gateway, conf: dict[str, Any], message: str
) -> None:
    assert message in gateway.complaint({"file-logger": conf})
