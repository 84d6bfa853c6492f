"""The plugin proxy-cache with a zone in memory; time is virtual."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.gateway import Gateway
from support.limits import advance

from pygw.hub.clock import VirtualClock
from pygw.testing.messages import Answer

STATUS = "Apisix-Cache-Status"


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    zones = [{"name": "mem", "memory_size": "1m"}]
    plugins = ["proxy-cache", "serverless-pre-function", "key-auth"]
    return start_gateway(VirtualClock(), plugins=plugins, apisix={"proxy_cache": {"zones": zones}})


@pytest.fixture(autouse=True)
def _answers_are_asked_for(gateway: Gateway) -> Iterator[None]:
    yield
    gateway.upstream.reset()


def cached(gateway: Gateway, others: dict[str, Any] | None = None, **conf: Any) -> str:
    """The path of a route whose responses are cached in memory."""
    whole = {"cache_strategy": "memory", "cache_zone": "mem", "cache_ttl": 10, **conf}
    return gateway.route({"proxy-cache": whole, **(others or {})})


def ask(
    gateway: Gateway,
    path: str,
    *upstream_fields: tuple[str, str],
    headers: dict[str, str] | None = None,
    method: str = "GET",
    status: int = 200,
    body: bytes = b"hello",
) -> tuple[str | None, Answer]:
    """Ask, the upstream answering so; returns the cache's status and the answer."""
    gateway.upstream.reply_once(status, body, upstream_fields)
    answer = gateway.ask(path, headers, method)
    return answer.headers.get(STATUS), answer


def statuses(
    gateway: Gateway, path: str, count: int, *fields: tuple[str, str], **request: Any
) -> list[str | None]:
    """The cache's statuses of `count` requests."""
    return [ask(gateway, path, *fields, **request)[0] for _ in range(count)]


def control(value: str) -> dict[str, Any]:
    return {"headers": {"Cache-Control": value}}


# hits and misses


def test_the_second_request_is_a_hit(gateway: Gateway) -> None:
    path = cached(gateway)
    fields = [("X-A", "1"), ("Content-Type", "text/html"), ("X-RateLimit-Remaining", "1")]
    assert ask(gateway, path, *fields)[0] == "MISS"
    before = len(gateway.upstream.requests)
    advance(gateway, 2)
    status, answer = ask(gateway, path)
    assert (status, answer.status, answer.text) == ("HIT", 200, "hello")
    assert answer.headers.get("X-A") == "1"
    assert answer.headers.get("Content-Type") == "text/html"
    assert answer.headers.get("Age") == "2"
    assert "X-RateLimit-Remaining" not in answer.headers
    assert len(gateway.upstream.requests) == before


def test_it_expires(gateway: Gateway) -> None:
    path = cached(gateway)
    assert statuses(gateway, path, 2) == ["MISS", "HIT"]
    advance(gateway, 9)
    assert statuses(gateway, path, 1) == ["HIT"]
    advance(gateway, 2)
    assert statuses(gateway, path, 2) == ["EXPIRED", "HIT"]


def test_a_response_too_large_to_hold_passes(gateway: Gateway) -> None:
    path = cached(gateway, max_resp_body_size=100)
    for _ in range(2):
        status, answer = ask(gateway, path, body=b"x" * 1000)
        assert (status, answer.body) == ("MISS", b"x" * 1000)
    assert statuses(gateway, path, 2, body=b"x" * 99) == ["MISS", "HIT"]


# cache_method, cache_http_status, cache_bypass, no_cache


def test_methods(gateway: Gateway) -> None:
    path = cached(gateway, cache_method=["POST"])
    assert statuses(gateway, path, 2) == ["MISS", "MISS"]
    assert statuses(gateway, path, 2, method="POST") == ["MISS", "HIT"]


@pytest.mark.parametrize(("status", "expected"), [(404, "HIT"), (301, "HIT"), (500, "MISS")])
def test_statuses(gateway: Gateway, status: int, expected: str) -> None:
    path = cached(gateway)
    for wanted in ("MISS", expected):
        found, answer = ask(gateway, path, status=status)
        assert (found, answer.status) == (wanted, status)


def test_bypass(gateway: Gateway) -> None:
    path = cached(gateway, cache_bypass=["$arg_bypass"], cache_key=["$uri"])
    assert statuses(gateway, path, 2) == ["MISS", "HIT"]
    assert statuses(gateway, f"{path}?bypass=1", 1, body=b"newer") == ["BYPASS"]
    status, answer = ask(gateway, f"{path}?bypass=0")
    assert (status, answer.text) == ("HIT", "hello")


def test_no_cache(gateway: Gateway) -> None:
    path = cached(gateway, no_cache=["$arg_no"], cache_key=["$uri"])
    assert statuses(gateway, f"{path}?no=1", 2) == ["MISS"] * 2
    assert statuses(gateway, f"{path}?no=0", 2) == ["MISS", "HIT"]


# what the upstream says


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([("Cache-Control", "private")], "MISS"),
        ([("Cache-Control", "max-age=60, no-store")], "MISS"),
        ([("Cache-Control", "no-cache")], "MISS"),
        ([("Cache-Control", "max-age=60")], "HIT"),
        ([("Set-Cookie", "a=1")], "MISS"),
        ([("Vary", "*")], "MISS"),
        ([("Vary", "Accept, *")], "MISS"),
    ],
)
def test_what_must_not_be_kept(
    gateway: Gateway, fields: list[tuple[str, str]], expected: str
) -> None:
    assert statuses(gateway, cached(gateway), 2, *fields) == ["MISS", expected]


def test_cookies_can_be_kept(gateway: Gateway) -> None:
    path = cached(gateway, cache_set_cookie=True)
    for expected in ("MISS", "HIT"):
        status, answer = ask(gateway, path, ("Set-Cookie", "a=1"))
        assert (status, answer.headers.get("Set-Cookie")) == (expected, "a=1")


def test_a_cookie_of_another_plugin_counts(gateway: Gateway) -> None:
    code = "return function() ngx.header['Set-Cookie'] = 'a=1' end"
    others = {"serverless-pre-function": {"phase": "header_filter", "functions": [code]}}
    assert statuses(gateway, cached(gateway, others), 2) == ["MISS", "MISS"]


def test_variants_lie_side_by_side(gateway: Gateway) -> None:
    path = cached(gateway)
    vary = ("Vary", "X-B, X-A")

    def variant(headers: dict[str, str] | None, body: str) -> tuple[str | None, str]:
        status, answer = ask(gateway, path, vary, headers=headers, body=body.encode())
        return status, answer.text

    assert variant({"X-A": "1"}, "one") == ("MISS", "one")
    assert variant({"X-A": "2"}, "two") == ("MISS", "two")
    assert variant({"X-A": "1"}, "x") == ("HIT", "one")
    assert variant({"X-A": "2"}, "x") == ("HIT", "two")
    assert gateway.ask(path, method="PURGE").status == 200
    assert variant({"X-A": "1"}, "new") == ("MISS", "new")
    assert variant({"X-A": "2"}, "new") == ("MISS", "new")


def test_a_response_that_no_longer_varies_replaces_its_variants(gateway: Gateway) -> None:
    path = cached(gateway)
    first, second = {"X-A": "1"}, {"X-A": "2"}
    assert statuses(gateway, path, 2, ("Vary", "X-A"), headers=first) == ["MISS", "HIT"]
    assert statuses(gateway, path, 1, headers=second) == ["MISS"]
    assert statuses(gateway, path, 1, headers=first) == ["HIT"]


# cache_control


def test_the_upstreams_max_age_counts(gateway: Gateway) -> None:
    path = cached(gateway, cache_control=True)
    assert statuses(gateway, path, 2) == ["MISS", "MISS"]  # it says nothing
    assert statuses(gateway, path, 2, ("Cache-Control", "max-age=100")) == ["MISS", "HIT"]
    advance(gateway, 99)
    assert statuses(gateway, path, 1) == ["HIT"]
    advance(gateway, 2)
    assert statuses(gateway, path, 1) == ["EXPIRED"]


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (("Cache-Control", "max-age=0"), "MISS"),
        (("Cache-Control", "s-maxage=9, max-age=0"), "HIT"),
        (("Expires", "Thu, 01 Jan 2099 00:00:00 GMT"), "HIT"),
        (("Expires", "Thu, 01 Jan 1998 00:00:00 GMT"), "MISS"),
    ],
)
def test_how_long_the_upstream_allows(
    gateway: Gateway, field: tuple[str, str], expected: str
) -> None:
    assert statuses(gateway, cached(gateway, cache_control=True), 2, field) == ["MISS", expected]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("max-age=4", "STALE"),
        ("max-age=6", "HIT"),
        ("min-fresh=96", "STALE"),
        ("min-fresh=94", "HIT"),
        ("max-stale=10", "HIT"),
        ("no-store", "BYPASS"),
        ("no-cache", "BYPASS"),
    ],
)
def test_what_the_client_says(gateway: Gateway, value: str, expected: str) -> None:
    path = cached(gateway, cache_control=True)
    field = ("Cache-Control", "max-age=100")
    assert statuses(gateway, path, 1, field) == ["MISS"]
    advance(gateway, 5)
    assert statuses(gateway, path, 1, field, **control(value)) == [expected]


def test_only_if_cached(gateway: Gateway) -> None:
    path = cached(gateway, cache_control=True)
    status, answer = ask(gateway, path, **control("only-if-cached"))
    assert (status, answer.status) == ("MISS", 504)


# hide_cache_headers, consumer_isolation


def test_fields_can_be_hidden(gateway: Gateway) -> None:
    for hide in (True, False):
        path = cached(gateway, hide_cache_headers=hide)
        for _ in range(2):
            _, answer = ask(gateway, path, ("Cache-Control", "max-age=9"), ("Expires", "x"))
            assert ("Cache-Control" in answer.headers) is not hide
            assert ("Expires" in answer.headers) is not hide


def test_consumers_have_caches_of_their_own(gateway: Gateway) -> None:
    for name in ("jack", "jill"):
        plugins = {"key-auth": {"key": f"{name}-key"}}
        gateway.put(f"consumers/{name}", {"username": name, "plugins": plugins})
    names = ("jack", "jill", "jack")
    for isolation, expected in [(True, ["MISS", "MISS", "HIT"]), (False, ["MISS", "HIT", "HIT"])]:
        path = cached(gateway, {"key-auth": {}}, consumer_isolation=isolation)
        found = [ask(gateway, path, headers={"apikey": f"{name}-key"})[0] for name in names]
        assert found == expected


# PURGE


def test_purge(gateway: Gateway) -> None:
    path = cached(gateway)
    assert statuses(gateway, path, 2) == ["MISS", "HIT"]
    assert gateway.ask(path, method="PURGE").status == 200
    assert statuses(gateway, path, 1) == ["MISS"]


def test_there_may_be_nothing_to_purge(gateway: Gateway, plugin_source: Path | None) -> None:
    path = cached(gateway)
    assert gateway.ask(path, method="PURGE").status == 404
    # APISIX keeps that 404 as if it were the upstream's
    assert statuses(gateway, path, 1) == ["HIT" if plugin_source else "MISS"]


# configuration


def test_the_zone_must_be_there(gateway: Gateway) -> None:
    conf = {"cache_strategy": "memory", "cache_zone": "invalid"}
    assert "cache_zone invalid not found" in gateway.complaint({"proxy-cache": conf})
    conf = {"cache_strategy": "disk", "cache_zone": "mem"}
    complaint = gateway.complaint({"proxy-cache": conf})
    assert "invalid or empty cache_zone for cache_strategy: disk" in complaint
