"""Those of APISIX's plugins that pygw has not, on live requests; see test_apisix_plugins.py."""

from __future__ import annotations

import re
from typing import Any

import gevent
import pytest
from support.gateway import Gateway

from pygw.hub.clock import VirtualClock
from pygw.testing.messages import Answer


def ask(gateway: Gateway, plugins: dict[str, Any], tail: str = "", **request: Any) -> Answer:
    """One request to a new route with these plugins."""
    return gateway.ask(gateway.route(plugins) + tail, **request)


# cors


def cors(answer: Answer, name: str = "Allow-Origin") -> str | None:
    return answer.headers.get(f"Access-Control-{name}")


def test_cors_by_default_allows_all(gateway: Gateway) -> None:
    answer = ask(gateway, {"cors": {}}, headers={"Origin": "http://a.com"})
    names = ("Allow-Origin", "Allow-Methods", "Allow-Headers", "Max-Age", "Allow-Credentials")
    assert [cors(answer, name) for name in names] == ["*", "*", "*", "5", None]
    assert answer.text == "hello"


def test_cors_answers_preflight_requests_itself(gateway: Gateway) -> None:
    asked = len(gateway.upstream.requests)
    conf = {
        "allow_origins": "http://a.com,http://b.com",
        "allow_methods": "GET,POST",
        "allow_headers": "**",
        "allow_credential": True,
        "max_age": 50,
        "expose_headers": "X-E",
    }
    path = gateway.route({"cors": conf})
    sent = {"Origin": "http://b.com", "Access-Control-Request-Headers": "X-1,X-2"}
    answer = gateway.ask(path, sent, "OPTIONS")
    assert answer.status == 200
    assert len(gateway.upstream.requests) == asked
    found = {name: cors(answer, name) for name in ("Allow-Origin", "Allow-Methods", "Max-Age")}
    assert found == {"Allow-Origin": "http://b.com", "Allow-Methods": "GET,POST", "Max-Age": "50"}
    assert cors(answer, "Allow-Headers") == "X-1,X-2"
    assert cors(answer, "Allow-Credentials") == "true"
    assert cors(answer, "Expose-Headers") == "X-E"
    assert answer.headers.get("Vary") == "Origin"


def test_cors_by_origin(gateway: Gateway) -> None:
    path = gateway.route({"cors": {"allow_origins": "http://a.com,http://b.com"}})
    assert cors(gateway.ask(path, {"Origin": "http://a.com"})) == "http://a.com"
    assert cors(gateway.ask(path, {"Origin": "http://c.com"})) is None


def test_cors_by_regex(gateway: Gateway) -> None:
    path = gateway.route({"cors": {"allow_origins_by_regex": [".*\\.a\\.com$", "^http://b"]}})
    assert cors(gateway.ask(path, {"Origin": "http://x.a.com"})) == "http://x.a.com"
    assert cors(gateway.ask(path, {"Origin": "http://b.org"})) == "http://b.org"
    assert cors(gateway.ask(path, {"Origin": "http://c.com"})) is None


def test_cors_by_metadata(gateway: Gateway) -> None:
    metadata = {"id": "cors", "allow_origins": {"key": "https://a.com", "other": "https://b.com"}}
    gateway.put("plugin_metadata/cors", metadata)
    conf = {"allow_origins": "https://x.com", "allow_origins_by_metadata": ["key"]}
    path = gateway.route({"cors": conf})
    assert cors(gateway.ask(path, {"Origin": "https://a.com"})) == "https://a.com"
    assert cors(gateway.ask(path, {"Origin": "https://b.com"})) != "https://b.com"


def test_cors_timing(gateway: Gateway) -> None:
    conf = {"timing_allow_origins": "http://a.com,http://b.com"}
    answer = ask(gateway, {"cors": conf}, headers={"Origin": "http://b.com"})
    assert answer.headers.get("Timing-Allow-Origin") == "http://b.com"


# ip-restriction


@pytest.mark.parametrize(
    ("conf", "status"),
    [
        ({"whitelist": ["127.0.0.0/24"]}, 200),
        ({"whitelist": ["10.0.0.1", "::1"]}, 403),
        ({"blacklist": ["127.0.0.1"]}, 403),
        ({"blacklist": ["127.0.0.1"], "response_code": 404}, 404),
        ({"blacklist": ["127.0.0.2/32"]}, 200),
    ],
)
def test_ip_restriction(gateway: Gateway, conf: dict[str, Any], status: int) -> None:
    answer = ask(gateway, {"ip-restriction": conf})
    assert answer.status == status
    if status != 200:
        assert answer.json() == {"message": "Your IP address is not allowed"}


def test_ip_restriction_has_a_message_of_ones_own(gateway: Gateway) -> None:
    conf = {"blacklist": ["127.0.0.1"], "message": "go away"}
    assert ask(gateway, {"ip-restriction": conf}).json() == {"message": "go away"}


# request-id


@pytest.mark.parametrize(
    ("conf", "form"),
    [
        ({}, r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"),
        (
            {"algorithm": "uuidv7"},
            r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
        ),
        ({"algorithm": "nanoid"}, r"[-_0-9a-zA-Z]{21}"),
        ({"algorithm": "ksuid"}, r"[0-9a-zA-Z]{27}"),
        ({"algorithm": "range_id"}, r"[0-9a-zA-Z]{16}"),
        ({"algorithm": "range_id", "range_id": {"length": 8, "char_set": "aaaaaa"}}, "a{8}"),
    ],
)
def test_request_id(gateway: Gateway, conf: dict[str, Any], form: str) -> None:
    path = gateway.route({"request-id": conf})
    ids = [gateway.ask(path).headers.get("X-Request-Id") for _ in range(2)]
    assert all(re.fullmatch(form, str(each)) for each in ids), ids
    assert gateway.upstream.last.headers.get("X-Request-Id") == ids[1]
    assert ids[0] != ids[1] or form == "a{8}"


def test_request_id_of_the_client_stays(gateway: Gateway) -> None:
    conf = {"header_name": "X-My-Id"}
    answer = ask(gateway, {"request-id": conf}, headers={"X-My-Id": "mine"})
    assert answer.headers.get("X-My-Id") == "mine"
    assert gateway.upstream.last.headers.all("X-My-Id") == ["mine"]


def test_request_id_for_the_upstream_alone(gateway: Gateway) -> None:
    answer = ask(gateway, {"request-id": {"include_in_response": False}})
    assert "X-Request-Id" not in answer.headers
    assert "X-Request-Id" in gateway.upstream.last.headers


# fault-injection


def test_fault_injection_aborts(gateway: Gateway) -> None:
    asked = len(gateway.upstream.requests)
    abort = {
        "http_status": 418,
        "body": "no $arg_what",
        "headers": {"X-Why": "$remote_addr", "X-N": 1},
    }
    answer = ask(gateway, {"fault-injection": {"abort": abort}}, "?what=tea")
    assert (answer.status, answer.text) == (418, "no tea")
    assert [answer.headers.get(name) for name in ("X-Why", "X-N")] == ["127.0.0.1", "1"]
    assert len(gateway.upstream.requests) == asked


def test_fault_injection_by_percentage(gateway: Gateway) -> None:
    def aborts(percentage: int) -> list[int]:
        abort = {"http_status": 400, "percentage": percentage}
        path = gateway.route({"fault-injection": {"abort": abort}})
        return [gateway.ask(path).status for _ in range(30)]

    assert set(aborts(0)) == {200}
    assert set(aborts(100)) == {400}
    assert set(aborts(50)) == {200, 400}


def test_fault_injection_by_variables(gateway: Gateway) -> None:
    vars_ = [[["arg_a", "==", "1"], ["http_x", "==", "1"]], [["arg_b", "==", "2"]]]
    path = gateway.route({"fault-injection": {"abort": {"http_status": 400, "vars": vars_}}})
    assert gateway.ask(f"{path}?a=1", {"X": "1"}).status == 400
    assert gateway.ask(f"{path}?a=1").status == 200
    assert gateway.ask(f"{path}?b=2").status == 400


def test_fault_injection_delays(gateway: Gateway) -> None:
    about_to = 'return function() ngx.log(ngx.WARN, "about to sleep") end'
    conf = {"delay": {"duration": 3}, "_meta": {"pre_function": about_to}}
    path = gateway.route({"fault-injection": conf})
    asked = len(gateway.upstream.requests)
    waiting = gevent.spawn(gateway.ask, path)
    clock = gateway.clock
    assert isinstance(clock, VirtualClock)
    gateway.until(lambda: "about to sleep" in gateway.log)
    clock.advance(2.9)
    assert len(gateway.upstream.requests) == asked
    clock.advance(0.2)
    assert waiting.get().status == 200


# redirect


def location(answer: Answer) -> tuple[int, str | None]:
    return answer.status, answer.headers.get("Location")


def test_redirect_to_a_uri(gateway: Gateway) -> None:
    path = gateway.route({"redirect": {"uri": "/new$uri/${arg_a}/\\$x", "ret_code": 301}})
    assert location(gateway.ask(f"{path}?a=1")) == (301, f"/new{path}/1/\\$x")


def test_redirect_by_regex(gateway: Gateway) -> None:
    conf = {"regex_uri": ["^/r\\d+/(\\w+)/(\\w+)$", "http://x.com/$2/$1"]}
    path = gateway.route({"redirect": conf})
    assert location(gateway.ask(f"{path}/a/b")) == (302, "http://x.com/b/a")
    assert gateway.ask(f"{path}/a").status == 200


def test_redirect_to_https(gateway: Gateway) -> None:
    path = gateway.route({"redirect": {"http_to_https": True}})
    assert location(gateway.ask(f"{path}?a=1")) == (301, f"https://test.com:8443{path}?a=1")
    assert location(gateway.ask(path, method="POST"))[0] == 308


def test_redirect_with_the_query(gateway: Gateway) -> None:
    path = gateway.route({"redirect": {"uri": "/new", "append_query_string": True}})
    assert location(gateway.ask(f"{path}?a=1&b")) == (302, "/new?a=1&b")
    path = gateway.route({"redirect": {"uri": "/new?own=1", "append_query_string": True}})
    assert location(gateway.ask(f"{path}?a=1")) == (302, "/new?own=1&a=1")


def test_redirect_encodes(gateway: Gateway) -> None:
    path = gateway.route({"redirect": {"uri": "/ü b?c=d e", "encode_uri": True}})
    assert location(gateway.ask(path)) == (302, "/%C3%BC%20b?c=d e")


# uri-blocker


def test_uri_blocker(gateway: Gateway) -> None:
    path = gateway.route({"uri-blocker": {"block_rules": ["root.exe", "^/r\\d+/bad"]}})
    assert gateway.ask(f"{path}?x=root.exe").status == 403
    assert gateway.ask(f"{path}/bad/").status == 403
    assert gateway.ask(f"{path}/good").status == 200
    assert gateway.ask(f"{path}?x=ROOT.EXE").status == 200


def test_uri_blocker_answers(gateway: Gateway) -> None:
    conf = {"block_rules": ["bad"], "rejected_code": 404, "rejected_msg": "no"}
    answer = ask(gateway, {"uri-blocker": {**conf, "case_insensitive": True}}, "?BAD")
    assert (answer.status, answer.json()) == (404, {"error_msg": "no"})


# limit-req, limit-conn


def test_limit_req(gateway: Gateway) -> None:
    conf = {"rate": 1, "burst": 1, "key": "remote_addr", "nodelay": True, "rejected_code": 429}
    path = gateway.route({"limit-req": conf})
    assert [gateway.ask(path).status for _ in range(3)] == [200, 200, 429]
    assert isinstance(gateway.clock, VirtualClock)
    gateway.clock.advance(1)
    assert [gateway.ask(path).status for _ in range(2)] == [200, 429]


def test_limit_conn(gateway: Gateway) -> None:
    stay = 'return function() ngx.log(ngx.WARN, "staying") ngx.sleep(5) end'
    plugins = {
        "limit-conn": {"conn": 1, "burst": 0, "key": "remote_addr", "default_conn_delay": 0.1},
        "serverless-pre-function": {"phase": "before_proxy", "functions": [stay]},
    }
    path = gateway.route(plugins)
    first = gevent.spawn(gateway.ask, path)
    gateway.until(lambda: "staying" in gateway.log)
    assert gateway.ask(path).status == 503
    assert isinstance(gateway.clock, VirtualClock)
    gateway.clock.advance(6)
    assert first.get().status == 200
    second = gevent.spawn(gateway.ask, path)
    gateway.until(lambda: gateway.log.count("staying") == 2)
    gateway.clock.advance(6)
    assert second.get().status == 200
