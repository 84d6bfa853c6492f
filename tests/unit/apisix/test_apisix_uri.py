"""The path as routing sees it, against what could be hidden in one."""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def uri(lua: Any) -> Any:
    return lua.eval("require('apisix.http.uri')")


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        ("/a/b", "/a/b"),
        ("/a;x=1/b", "/a/b"),
        ("/a/b;x;y=2", "/a/b"),
        ("/a;/b/", "/a/b/"),
        ("/a/;x", "/a/"),
    ],
)
def test_parameters_of_segments_are_taken_off(uri: Any, path: str, clean: str) -> None:
    assert uri.without_parameters(path) == clean


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/a/..;x/b", "dot segment with parameter"),
        ("/a/.;/b", "dot segment with parameter"),
        ("/;x/b", "empty segment with parameters"),
        ("/a/%2e%2E;x/b", "encoded dot segment"),
        ("/%2E;/b", "encoded dot segment"),
    ],
)
def test_parameters_hide_no_dots(uri: Any, path: str, reason: str) -> None:
    assert uri.without_parameters(path) == (None, reason)


@pytest.mark.parametrize(
    ("sent", "normalized", "shown"),
    [
        ("/a%2Fb", "/a/b", "/a%2Fb"),
        ("/a%2fb?x=%2F", "/a/b", "/a%2Fb"),
        ("/a%2Fb%20c", "/a/b c", "/a%2Fb c"),
        ("/a/b", "/a/b", None),
        ("/x/..%2Fadmin", "/admin", None),
        ("/a//b%2Fc", "/a/b/c", None),
    ],
)
def test_an_encoded_slash_is_kept_only_where_nothing_else_was_changed(
    uri: Any, sent: str, normalized: str, shown: str | None
) -> None:
    assert uri.with_encoded_slash(sent, normalized) == shown


def test_options_apply_to_the_request(run_lua: Callable[..., Any]) -> None:
    code = """
    local api_ctx = {var = {uri = "/a;x/b/"}}
    local ok = require("apisix.http.uri").normalize(api_ctx, {
        delete_uri_tail_slash = true, normalize_uri_like_servlet = true,
    })
    return ok, api_ctx.var.uri, api_ctx.var.upstream_uri
    """
    assert run_lua(code) == (True, "/a/b", "/a;x/b/")
