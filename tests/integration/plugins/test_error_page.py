"""The plugin error-page: what clients see of the gateway's errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.gateway import Gateway

NAME = "error-page"
KEY = f"plugin_metadata/{NAME}"
NOWHERE = {"type": "roundrobin", "nodes": {"127.0.0.1:1": 1}}

Pages = Callable[..., None]


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway(plugins=[NAME, "serverless-post-function"])


@pytest.fixture
def pages(gateway: Gateway) -> Iterator[Pages]:
    """Write the metadata: the pages, which are in use unless they say otherwise."""

    def write(**metadata: Any) -> None:
        gateway.put(KEY, {"id": NAME, "enable": True, **metadata})

    yield write
    gateway.delete(KEY)


def failing(gateway: Gateway, status: int, body: str = "'its own'") -> str:
    """A route with the plugin that answers with this status."""
    function = f"return function() return {status}, {body} end"
    return gateway.route({NAME: {}, "serverless-post-function": {"functions": [function]}})


@pytest.mark.parametrize("status", [404, 500, 502, 503])
def test_a_page_for_each_status(gateway: Gateway, pages: Pages, status: int) -> None:
    pages(**{f"error_{status}": {"body": f"<h1>{status} here</h1>"}})
    answer = gateway.ask(failing(gateway, status))
    assert (answer.status, answer.text) == (status, f"<h1>{status} here</h1>")
    assert answer.headers.get("Content-Type") == "text/html"
    assert answer.headers.get("Content-Length") == str(len(answer.body))


def test_a_type_of_ones_own(gateway: Gateway, pages: Pages) -> None:
    pages(error_500={"body": '{"code": 500}', "content_type": "application/json"})
    answer = gateway.ask(failing(gateway, 500, "{ a = 1 }"))
    assert answer.json() == {"code": 500}
    assert answer.headers.get("Content-Type") == "application/json"


@pytest.mark.parametrize(
    ("status", "title"),
    [
        (404, "404 Not Found"),
        (500, "500 Internal Server Error"),
        (502, "502 Bad Gateway"),
        (503, "503 Service Unavailable"),
    ],
)
def test_the_default_page(
    gateway: Gateway, pages: Pages, plugin_source: Path | None, status: int, title: str
) -> None:
    pages(**{f"error_{status}": {}})
    text = gateway.ask(failing(gateway, status)).text
    assert f"<title>{title}</title>" in text
    assert f"<center><h1>{title}</h1></center>" in text
    assert f"<center>{'Apache APISIX' if plugin_source else 'pygw'}</center>" in text


@pytest.mark.parametrize("status", [200, 400, 403, 405, 503])
def test_a_status_without_a_page(gateway: Gateway, pages: Pages, status: int) -> None:
    pages(error_404={"body": "page"}, error_403={"body": "page"}, error_200={"body": "page"})
    answer = gateway.ask(failing(gateway, status))
    assert (answer.status, answer.text) == (status, "its own")


def test_a_page_for_another_status(gateway: Gateway, pages: Pages) -> None:
    pages(error_418={"body": "tea", "content_type": "text/plain"})
    answer = gateway.ask(failing(gateway, 418))
    assert (answer.text, answer.headers.get("Content-Type")) == ("tea", "text/plain")


def test_an_empty_page_is_none(gateway: Gateway, pages: Pages) -> None:
    pages(error_500={"body": ""})
    assert gateway.ask(failing(gateway, 500)).text == "its own"


@pytest.mark.parametrize("enable", [{}, {"enable": False}])
def test_pages_that_are_not_in_use(gateway: Gateway, enable: dict[str, bool]) -> None:
    gateway.put(KEY, {"id": NAME, "error_500": {"body": "page"}, **enable})
    path = failing(gateway, 500)
    try:
        assert gateway.ask(path).text == "its own"
    finally:
        gateway.delete(KEY)
    assert gateway.ask(path).text == "its own"


def test_a_route_without_the_plugin(gateway: Gateway, pages: Pages) -> None:
    pages(error_502={"body": "page"})
    answer = gateway.ask(gateway.route({}, upstream=NOWHERE))
    assert answer.status == 502
    assert answer.text != "page"


def test_an_upstreams_error_stays(gateway: Gateway, pages: Pages) -> None:
    pages(error_500={"body": "page"})
    gateway.upstream.reply_once(500, b"theirs")
    answer = gateway.ask(gateway.route({NAME: {}}))
    assert (answer.status, answer.text) == (500, "theirs")


def test_an_upstream_that_is_not_there(gateway: Gateway, pages: Pages) -> None:
    pages(error_502={"body": "away"})
    answer = gateway.ask(gateway.route({NAME: {}}, upstream=NOWHERE))
    assert (answer.status, answer.text) == (502, "away")


def test_no_route(gateway: Gateway, pages: Pages) -> None:
    """The public documentation's example: by a global rule."""
    pages(error_404={"body": "<h1>404 - Page Not Found</h1>"})
    gateway.put("global_rules/1", {"id": "1", "plugins": {NAME: {}}})
    try:
        answer = gateway.ask("/no-such-route")
    finally:
        gateway.delete("global_rules/1")
    assert (answer.status, answer.text) == (404, "<h1>404 - Page Not Found</h1>")
    assert answer.headers.get("Content-Type") == "text/html"


def test_a_request_that_has_a_body(gateway: Gateway, pages: Pages) -> None:
    pages(error_503={"body": "page"})
    answer = gateway.ask(failing(gateway, 503), method="POST", body=b"some")
    assert (answer.status, answer.text) == (503, "page")


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"enable": 1}, 'property "enable" validation failed: wrong type'),
        ({"error_404": "x"}, 'property "error_404" validation failed: wrong type'),
        ({"error_500": {"body": 1}}, 'property "body" validation failed: wrong type'),
        ({"error_502": {"content_type": 1}}, 'property "content_type" validation failed'),
        ({"error_503": {"body": {}}}, 'property "error_503" validation failed'),
    ],
)
def test_metadata_that_are_refused(gateway: Gateway, metadata: dict[str, Any], reason: str) -> None:
    assert reason in gateway.refused(KEY, {"id": NAME, **metadata})
