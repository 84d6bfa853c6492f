"""The plugin proxy-cache with zones on disk; time is virtual."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.gateway import Gateway
from support.limits import advance

from pygw.hub.clock import VirtualClock
from pygw.testing.messages import Answer

PLUGINS = ["proxy-cache", "proxy-rewrite", "response-rewrite", "key-auth"]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory, plugin_source: Path | None) -> Path:
    """Where the zone "disk" has its files, one for each source of plugins."""
    return tmp_path_factory.mktemp("zone") / "files"


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway], directory: Path) -> Gateway:
    disk = {"disk_path": str(directory), "cache_levels": "1:2", "disk_size": "1m"}
    zones = [{"name": "disk", "memory_size": "1m", **disk}, {"name": "mem", "memory_size": "1m"}]
    cache = {"cache_ttl": "10s", "zones": zones}
    return start_gateway(VirtualClock(), plugins=PLUGINS, apisix={"proxy_cache": cache})


@pytest.fixture(autouse=True)
def _answers_are_asked_for(gateway: Gateway) -> Iterator[None]:
    yield
    gateway.upstream.reset()


def cached(gateway: Gateway, **conf: Any) -> str:
    """The path of a route whose responses are cached on disk."""
    return gateway.route({"proxy-cache": {"cache_zone": "disk", **conf}})


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
    return answer.headers.get("Apisix-Cache-Status"), answer


def statuses(
    gateway: Gateway, path: str, count: int, *fields: tuple[str, str], **request: Any
) -> list[str | None]:
    """The cache's statuses of `count` requests."""
    return [ask(gateway, path, *fields, **request)[0] for _ in range(count)]


def asked(gateway: Gateway, do: Callable[[], Any]) -> int:
    """How many requests the upstream gets while `do` runs."""
    before = len(gateway.upstream.requests)
    do()
    return len(gateway.upstream.requests) - before


# hits and misses


def test_the_second_request_is_a_hit(gateway: Gateway) -> None:
    path = cached(gateway)
    assert ask(gateway, path, ("X-A", "1"), ("Content-Type", "text/html"))[0] == "MISS"
    before = len(gateway.upstream.requests)
    status, answer = ask(gateway, path, body=b"never asked for")
    assert (status, answer.status, answer.text) == ("HIT", 200, "hello")
    assert answer.headers.get("X-A") == "1"
    assert answer.headers.get("Content-Type") == "text/html"
    assert answer.headers.get("Content-Length") == "5"
    assert len(gateway.upstream.requests) == before


def test_it_expires(gateway: Gateway) -> None:
    path = cached(gateway)
    assert statuses(gateway, path, 2) == ["MISS", "HIT"]
    advance(gateway, 9.5)
    assert statuses(gateway, path, 1) == ["HIT"]
    advance(gateway, 1)
    assert statuses(gateway, path, 2) == ["EXPIRED", "HIT"]


def test_a_large_body(gateway: Gateway) -> None:
    path = cached(gateway)
    body = os.urandom(300_000)
    for expected in ("MISS", "HIT", "HIT"):
        status, answer = ask(gateway, path, body=body)
        assert (status, answer.body == body) == (expected, True)


def test_a_body_of_unknown_length(gateway: Gateway) -> None:
    path = cached(gateway)
    chunked = ("Transfer-Encoding", "chunked")
    for expected in ("MISS", "HIT"):
        status, answer = ask(gateway, path, chunked, body=b"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n")
        assert (status, answer.text) == (expected, "abcd")


def test_an_empty_body(gateway: Gateway) -> None:
    path = cached(gateway)
    for expected in ("MISS", "HIT"):
        status, answer = ask(gateway, path, body=b"")
        assert (status, answer.body) == (expected, b"")


def test_part_of_a_body_is_not_kept(gateway: Gateway) -> None:
    path = cached(gateway)
    chunked = ("Transfer-Encoding", "chunked")
    for _ in range(2):
        gateway.upstream.reply_once(200, b"5\r\nab", [chunked, ("Connection", "close")])
        with pytest.raises((ValueError, AssertionError)):
            assert gateway.ask(path).body == b"abcde"
    assert statuses(gateway, path, 2) == ["MISS", "HIT"]


def test_files_lie_as_nginx_lays_them(gateway: Gateway, directory: Path) -> None:
    path = cached(gateway, cache_key=["a-key"])
    assert statuses(gateway, path, 1) == ["MISS"]
    name = hashlib.md5(b"a-key", usedforsecurity=False).hexdigest()
    assert (directory / name[-1] / name[-3:-1] / name).is_file()


# cache_key


def test_the_key_is_host_and_request(gateway: Gateway) -> None:
    path = cached(gateway)
    assert statuses(gateway, f"{path}?a=1", 2) == ["MISS", "HIT"]
    assert statuses(gateway, f"{path}?a=2", 1) == ["MISS"]
    assert gateway.ask(f"{path}?a=1", host="other.com").headers.get("Apisix-Cache-Status") == "MISS"


def test_a_key_of_ones_own(gateway: Gateway) -> None:
    path = cached(gateway, cache_key=["own-", "$uri", "--", "$arg_user", "$arg_missing"])
    assert statuses(gateway, f"{path}?user=1&x=1", 1) == ["MISS"]
    assert statuses(gateway, f"{path}?user=1&x=2", 1) == ["HIT"]
    assert statuses(gateway, f"{path}?user=2", 1) == ["MISS"]


# cache_method, cache_http_status


def test_methods_that_are_not_cached(gateway: Gateway) -> None:
    path = cached(gateway, cache_method=["GET"])
    assert statuses(gateway, path, 2, method="HEAD", body=b"") == ["BYPASS"] * 2
    assert statuses(gateway, path, 2, method="POST") == ["BYPASS"] * 2
    assert statuses(gateway, path, 1) == ["MISS"]


def test_post_can_be_cached(gateway: Gateway) -> None:
    path = cached(gateway, cache_method=["POST"])
    assert statuses(gateway, path, 2, method="POST") == ["MISS", "HIT"]


def test_methods_that_no_cache_knows(gateway: Gateway) -> None:
    assert statuses(gateway, cached(gateway), 2, method="PUT") == [None, None]


def test_head_is_answered_from_the_answer_to_get(gateway: Gateway) -> None:
    path = cached(gateway)
    status, answer = ask(gateway, path, ("X-A", "1"), method="HEAD")
    assert (status, answer.headers.get("X-A"), answer.body) == ("MISS", "1", b"")
    assert gateway.upstream.last.method == "GET"
    status, answer = ask(gateway, path)
    assert (status, answer.text) == ("HIT", "hello")
    status, answer = ask(gateway, path, method="HEAD")
    assert (status, answer.headers.get("Content-Length"), answer.body) == ("HIT", "5", b"")


@pytest.mark.parametrize(("status", "expected"), [(404, "HIT"), (301, "HIT"), (500, "MISS")])
def test_statuses(gateway: Gateway, status: int, expected: str) -> None:
    path = cached(gateway)
    for wanted in ("MISS", expected):
        found, answer = ask(gateway, path, status=status)
        assert (found, answer.status) == (wanted, status)


def test_statuses_of_ones_own(gateway: Gateway) -> None:
    path = cached(gateway, cache_http_status=[201])
    assert statuses(gateway, path, 2, status=201) == ["MISS", "HIT"]
    path = cached(gateway, cache_http_status=[201])
    assert statuses(gateway, path, 2) == ["MISS", "MISS"]


# cache_bypass, no_cache


def test_bypass(gateway: Gateway) -> None:
    path = cached(gateway, cache_bypass=["$arg_bypass"], cache_key=["$uri"])
    assert statuses(gateway, path, 2) == ["MISS", "HIT"]
    assert statuses(gateway, f"{path}?bypass=1", 2, body=b"newer") == ["BYPASS"] * 2
    status, answer = ask(gateway, f"{path}?bypass=0")
    assert (status, answer.text) == ("HIT", "newer")  # what was fetched was kept


def test_no_cache(gateway: Gateway) -> None:
    path = cached(gateway, no_cache=["$arg_no"], cache_key=["$uri"])
    assert statuses(gateway, f"{path}?no=1", 2) == ["MISS"] * 2
    assert statuses(gateway, f"{path}?no=0", 2) == ["MISS", "HIT"]


# what the upstream says


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("Cache-Control", "max-age=100", "HIT"),
        ("Cache-Control", "public, s-maxage=100, max-age=0", "HIT"),
        ("Cache-Control", "max-age=0", "MISS"),
        ("Cache-Control", "max-age=x", "MISS"),
        ("Cache-Control", "no-cache", "MISS"),
        ("Cache-Control", "No-Store", "MISS"),
        ("Cache-Control", "private, max-age=60", "MISS"),
        ("Expires", "Thu, 01 Jan 2099 00:00:00 GMT", "HIT"),
        ("Expires", "Thu, 01 Jan 1998 00:00:00 GMT", "MISS"),
        ("Expires", "0", "MISS"),
        ("X-Accel-Expires", "100", "HIT"),
        ("X-Accel-Expires", "@4070908800", "HIT"),
        ("X-Accel-Expires", "0", "MISS"),
        ("Set-Cookie", "a=1", "MISS"),
        ("Vary", "*", "MISS"),
    ],
)
def test_what_the_upstream_says_of_caches(
    gateway: Gateway, field: str, value: str, expected: str
) -> None:
    path = cached(gateway, cache_set_cookie=True)
    assert statuses(gateway, path, 2, (field, value)) == ["MISS", expected]


def test_max_age_is_how_long_it_is_fresh(gateway: Gateway) -> None:
    path = cached(gateway)
    field = ("Cache-Control", "max-age=100")
    assert statuses(gateway, path, 1, field) == ["MISS"]
    advance(gateway, 99)
    assert statuses(gateway, path, 1) == ["HIT"]
    advance(gateway, 2)
    assert statuses(gateway, path, 1) == ["EXPIRED"]


def test_an_old_response_stands_in_for_an_error(gateway: Gateway) -> None:
    path = cached(gateway)
    field = ("Cache-Control", "max-age=10, stale-if-error=100")
    assert statuses(gateway, path, 1, field) == ["MISS"]
    advance(gateway, 50)
    status, answer = ask(gateway, path, status=503, body=b"broken")
    assert (status, answer.status, answer.text) == ("STALE", 200, "hello")
    advance(gateway, 100)
    status, answer = ask(gateway, path, status=503, body=b"broken")
    assert (status, answer.status) == ("EXPIRED", 503)


def test_variants_lie_side_by_side(gateway: Gateway) -> None:
    path = cached(gateway)
    vary = ("Vary", "X-B, X-A")

    def variant(headers: dict[str, str] | None, body: str) -> tuple[str | None, str]:
        status, answer = ask(gateway, path, vary, headers=headers, body=body.encode())
        return status, answer.text

    assert variant({"X-A": "1"}, "one") == ("MISS", "one")
    assert variant({"X-A": "2"}, "two") == ("MISS", "two")
    assert variant(None, "none") == ("MISS", "none")
    assert variant({"X-A": "1"}, "x") == ("HIT", "one")
    assert variant({"X-A": "2", "X-C": "3"}, "x") == ("HIT", "two")
    assert variant({"X-B": "1"}, "b") == ("MISS", "b")
    assert gateway.ask(path, {"X-A": "9"}, "PURGE").status == 200
    assert variant({"X-A": "2"}, "new") == ("MISS", "new")


# the client's conditions


def test_conditions_are_the_caches_matter(gateway: Gateway) -> None:
    path = cached(gateway)
    tag = {"If-None-Match": '"a"', "Range": "bytes=0-1"}
    etag = ("ETag", '"a"')
    status, answer = ask(gateway, path, etag, headers=tag)
    assert (status, answer.status, answer.body) == ("MISS", 304, b"")
    seen = gateway.upstream.last.headers
    assert "If-None-Match" not in seen
    assert "Range" not in seen
    status, answer = ask(gateway, path, etag)  # 304 is none of cache_http_status
    assert (status, answer.status, answer.text) == ("MISS", 200, "hello")
    assert ask(gateway, path, headers=tag)[1].status == 304
    assert ask(gateway, path, headers={"If-Match": '"b"'})[1].status == 412
    assert statuses(gateway, path, 1) == ["HIT"]


def test_a_condition_that_fails_on_the_way(gateway: Gateway) -> None:
    path = cached(gateway)
    status, answer = ask(gateway, path, ("ETag", '"a"'), headers={"If-Match": '"b"'})
    assert answer.status == 412
    assert b"hello" not in answer.body


# hide_cache_headers


def test_the_upstreams_fields_stay(gateway: Gateway) -> None:
    path = cached(gateway)
    for _ in range(2):
        _, answer = ask(gateway, path, ("Cache-Control", "max-age=9"), ("Expires", "x"))
        assert answer.headers.get("Cache-Control") == "max-age=9"
        assert answer.headers.get("Expires") == "x"


def test_they_can_be_hidden(gateway: Gateway) -> None:
    path = cached(gateway, hide_cache_headers=True)
    for _ in range(2):
        _, answer = ask(gateway, path, ("Cache-Control", "max-age=9"), ("Expires", "x"))
        assert "Cache-Control" not in answer.headers
        assert "Expires" not in answer.headers


# PURGE


def test_purge(gateway: Gateway) -> None:
    path = cached(gateway)
    assert gateway.ask(path, method="PURGE").status == 404
    assert statuses(gateway, path, 2) == ["MISS", "HIT"]
    assert gateway.ask(path, method="PURGE").status == 200
    assert gateway.ask(path, method="PURGE").status == 404
    assert statuses(gateway, path, 1) == ["MISS"]


# consumer_isolation


@pytest.mark.parametrize(
    ("conf", "expected"),
    [
        ({}, ["MISS", "MISS", "HIT"]),
        ({"consumer_isolation": False}, ["MISS", "HIT", "HIT"]),
        ({"cache_key": ["$uri", "$remote_user"]}, ["MISS", "MISS", "HIT"]),
    ],
)
def test_users_have_caches_of_their_own(
    gateway: Gateway, conf: dict[str, Any], expected: list[str]
) -> None:
    path = cached(gateway, **conf)
    users = ["Basic YTph", "Basic Yjpi", "Basic YTph"]  # a, b, a
    found = [ask(gateway, path, headers={"Authorization": user})[0] for user in users]
    assert found == expected


# room


def test_files_take_no_more_room_than_the_zone_has(gateway: Gateway, directory: Path) -> None:
    path = cached(gateway)
    body = os.urandom(60_000)
    for i in range(30):
        ask(gateway, f"{path}?{i}", body=body)

    def size() -> int:
        return sum(each.stat().st_size for each in directory.rglob("*") if each.is_file())

    gateway.until(lambda: size() < (1 << 20) * 1.2)
    assert statuses(gateway, f"{path}?29", 1) == ["HIT"]


# configuration


@pytest.mark.parametrize(
    ("conf", "complaint"),
    [
        ({"cache_zone": "invalid"}, "cache_zone invalid not found"),
        ({"cache_zone": "mem"}, "invalid or empty cache_zone for cache_strategy: disk"),
        ({"cache_method": "GET"}, 'property "cache_method" validation failed: wrong type'),
        ({"cache_method": ["PUT"]}, 'property "cache_method" validation failed'),
        ({"cache_key": "${uri}-key"}, 'property "cache_key" validation failed: wrong type'),
        ({"cache_key": ["$uri-"]}, 'property "cache_key" validation failed: failed to validate'),
        ({"cache_key": ["$request_method"]}, "cache_key variable $request_method unsupported"),
        ({"cache_bypass": "$arg_bypass"}, 'property "cache_bypass" validation failed'),
        ({"no_cache": "$arg_no"}, 'property "no_cache" validation failed'),
        ({"cache_http_status": [199]}, "expected 199 to be at least 200"),
        ({"cache_ttl": 0}, "expected 0 to be at least 1"),
        ({"cache_strategy": "x"}, 'property "cache_strategy" validation failed'),
        ({"max_resp_body_size": 0}, "expected 0 to be at least 1"),
    ],
)
def test_configurations_that_are_refused(
    gateway: Gateway, conf: dict[str, Any], complaint: str
) -> None:
    assert complaint in gateway.complaint({"proxy-cache": {"cache_zone": "disk", **conf}})
