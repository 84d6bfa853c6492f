"""Lists: filters and pages. Mirrors what APISIX's v3 lists answer."""

from __future__ import annotations

from typing import Any

import pytest

NODES = {"type": "roundrobin", "nodes": {"127.0.0.1:1980": 1}}


@pytest.fixture
def filled(client: Any) -> Any:
    """Routes made in the order 11, 10, … 1: keys and age are in different orders."""
    client.made("services/s1", {"upstream": NODES})
    client.made("upstreams/7", NODES)
    for i in range(11, 0, -1):
        route: dict[str, Any] = {"uri": f"/a{i}", "upstream": NODES}
        if i == 1:
            route = {"uris": ["/x", "/world"], "service_id": "s1", "name": "first", "labels": {}}
        elif i == 2:
            route = {"uri": "/world2", "upstream_id": 7, "labels": {"env": "production"}}
        client.made(f"routes/{i}", route)
    return client


def ids(client: Any, **query: str) -> list[str]:
    answer = client.ask("GET", "routes", **query)
    assert answer.status == 200
    return [item["value"]["id"] for item in answer.body["list"]]


def test_a_list_is_by_key_and_says_how_many(filled: Any) -> None:
    assert ids(filled) == sorted(str(i) for i in range(1, 12))
    assert filled.ask("GET", "routes").body["total"] == 11


def test_pages_are_by_age_and_total_counts_them_all(filled: Any) -> None:
    assert ids(filled, page="1", page_size="10") == [str(i) for i in range(11, 1, -1)]
    assert ids(filled, page="2", page_size="10") == ["1"]
    assert ids(filled, page="3", page_size="10") == []
    assert ids(filled, page="-1", page_size="10")[0] == "11"
    assert filled.ask("GET", "routes", page="2", page_size="10").body["total"] == 11


@pytest.mark.parametrize("size", ["9", "501"])
def test_a_page_has_10_to_500_items(filled: Any, size: str) -> None:
    words = "page_size must be between 10 and 500"
    assert filled.refused("GET", "routes", page="1", page_size=size) == (400, words)


def test_half_of_a_page_is_no_page(filled: Any) -> None:
    assert len(ids(filled, page="2")) == 11
    assert len(ids(filled, page_size="10", page="x")) == 11


def test_filters_narrow_together(filled: Any) -> None:
    assert ids(filled, uri="world") == ["1", "2"]
    assert ids(filled, uri="world", label="env") == ["2"]
    assert ids(filled, uri="^/x$") == ["1"]
    assert ids(filled, name="fir.t") == ["1"]
    assert ids(filled, label="production") == []
    assert ids(filled, label="") == []
    assert filled.ask("GET", "routes", uri="world").body["total"] == 2


def test_routes_are_filtered_by_what_they_refer_to(filled: Any) -> None:
    assert ids(filled, filter="service_id=s1") == ["1"]
    assert ids(filled, filter="upstream_id=7") == ["2"]
    assert ids(filled, filter="upstream_id=7&service_id=s1") == []
    assert len(ids(filled, filter="host=x")) == 11


def test_a_pattern_that_is_none_is_refused(filled: Any) -> None:
    status, words = filled.refused("GET", "routes", name="(")
    assert status == 400
    assert words.startswith("invalid argument name: not a regular expression: ")
