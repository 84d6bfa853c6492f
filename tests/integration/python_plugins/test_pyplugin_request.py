"""What a Python plugin sees of the client's request, and what its changes do at the upstream."""

from __future__ import annotations

from typing import Any

import pytest

from pygw.plugin import RequestError


def test_the_request_line(show: Any) -> None:
    def look(ctx: Any) -> Any:
        request = ctx.request
        return [request.method, request.path, request.query, request.remote_addr]

    assert show(look, "/a/%C3%A9/../b%20c?x=1&y=%20", method="PATCH") == [
        "PATCH", "/a/b c", "x=1&y=%20", "127.0.0.1",
    ]  # fmt: skip
    assert show(look, "/a") == ["GET", "/a", "", "127.0.0.1"]
    assert show(lambda ctx: ctx.request.path, "/a/%C3%A9") == "/a/é"


def test_headers_read_like_a_mapping_whatever_the_case(show: Any) -> None:
    def look(ctx: Any) -> Any:
        headers = ctx.request.headers
        return [
            headers["x-one"], headers.get("X-ONE"), headers.get("x-none"), "X-One" in headers,
            "x-none" in headers, list(headers).count("x-one"), dict(headers)["x-one"],
            len(headers) == len(set(headers)) == len(list(headers)), "host" in list(headers),
        ]  # fmt: skip

    expected = ["1", "1", None, True, False, 1, "1", True, True]
    assert show(look, headers={"X-One": "1"}) == expected


def test_a_header_that_is_missing_is_a_key_error(show: Any) -> None:
    def look(ctx: Any) -> Any:
        found = []
        for act in (lambda h: h["x-no"], lambda h: h.__delitem__("x-no"), lambda h: h.pop("x-no")):
            try:
                act(ctx.request.headers)
            except KeyError as error:
                found.append(error.args)
        return [found, ctx.request.headers.pop("x-no", "default")]

    assert show(look) == [[["x-no"]] * 3, "default"]


def test_header_fields_of_one_name(show: Any) -> None:
    def look(ctx: Any) -> Any:
        headers = ctx.request.headers
        headers["x-many"] = ["1", "2"]
        before = headers["x-many"]
        headers.add("X-Many", "3")
        return [before, headers["x-many"], headers.get_all("x-many"), headers.get_all("x-none")]

    assert show(look) == ["1, 2", "1, 2, 3", ["1", "2", "3"], []]


@pytest.mark.parametrize("text", ["plain", "zoë", "日本", "\udcff\udc80"])
def test_text_of_every_kind_goes_through_headers_unchanged(show: Any, text: str) -> None:
    def look(ctx: Any) -> Any:
        ctx.request.headers["x-text"] = text
        return ctx.request.headers["x-text"] == text

    assert show(look) is True


def test_header_bytes_that_are_no_utf_8_reach_the_upstream_as_they_came(changed: Any) -> None:
    def copy(ctx: Any) -> None:
        ctx.request.headers["x-copy"] = ctx.request.headers["x-bytes"]

    seen = changed(copy, headers={"X-Bytes": b"\xe9\xff ok".decode("latin-1")})["headers"]
    assert seen["x-copy"] == seen["x-bytes"] == "\xe9\xff ok"


def test_a_value_with_a_line_break_stays_one_field(changed: Any) -> None:
    def inject(ctx: Any) -> None:
        ctx.request.headers["x-in"] = "a\r\nX-Evil: 1"

    seen = changed(inject)["headers"]
    assert seen["x-in"] == "a%0D%0AX-Evil: 1"
    assert "x-evil" not in seen


def test_changed_headers_reach_the_upstream_and_variables(changed: Any) -> None:
    variables = []

    def change(ctx: Any) -> None:
        variables.append(ctx.var["http_x_new"])
        ctx.request.headers["X-New"] = "new"
        ctx.request.headers["x-old"] = "changed"
        del ctx.request.headers["X-Gone"]
        variables.append(ctx.var["http_x_new"])

    seen = changed(change, headers={"X-Old": "old", "x-gone": "1"})["headers"]
    assert (seen["x-new"], seen["x-old"]) == ("new", "changed")
    assert "x-gone" not in seen
    assert variables == [None, "new"]


def test_path_and_query_may_be_changed_each_alone(changed: Any) -> None:
    def path(ctx: Any) -> None:
        ctx.request.path = "/new path"
        assert ctx.request.path == ctx.var["uri"] == "/new path"

    def query(ctx: Any) -> None:
        assert ctx.var["arg_x"] == "1"
        ctx.request.query = "y=2"
        assert ctx.request.query == ctx.var["args"] == "y=2"

    got = changed(path, "/b/c?x=1")
    assert (got["path"], got["query"]) == ("/new path", "x=1")
    got = changed(query, "/b/c?x=1")
    assert (got["path"], got["query"]) == ("/b/c", "y=2")


def test_they_win_over_what_proxy_rewrite_made_of_the_uri_before(changed: Any) -> None:
    def nothing(ctx: Any) -> None:
        pass

    def query(ctx: Any) -> None:
        ctx.request.query = "y=2"

    def path(ctx: Any) -> None:
        ctx.request.path = "/python"

    assert changed(nothing, "/c?x=1")["path"] == "/rewritten"
    got = changed(query, "/c?x=1")
    assert (got["path"], got["query"]) == ("/rewritten", "y=2")
    got = changed(path, "/c?x=1")
    assert (got["path"], got["query"]) == ("/python", "x=1")


def test_a_path_that_cannot_be_is_refused_where_it_is_set(gateway: Any) -> None:
    def change(ctx: Any) -> None:
        ctx.request.path = "/a\nb"

    gateway.module.namespace["change"] = change
    assert gateway.ask("/b").status == 500
    assert "RequestError: " in gateway.log()
    assert "unsafe byte" in gateway.log()


def test_variables_are_read_and_set(show: Any) -> None:
    def look(ctx: Any) -> Any:
        ctx.var["my_own"] = "mine"
        names = ["route_id", "arg_x", "http_host", "none_such", "my_own", "server_port"]
        return [ctx.var[name] for name in names]

    route, x, host, none, own, port = show(look, "/a?x=1")
    assert (route, x, none, own) == ("a", "1", None, "mine")
    assert host == f"127.0.0.1:{port}"


def test_a_context_of_a_request_that_is_over_says_so(gateway: Any, show: Any) -> None:
    kept = []
    show(lambda ctx: kept.append(ctx))
    gateway.until(lambda: not gateway.worker._runner._requests)
    for use in (
        lambda ctx: ctx.request.method,
        lambda ctx: ctx.request.body,
        lambda ctx: ctx.request.headers.get("x"),
        lambda ctx: ctx.response.status,
        lambda ctx: ctx.var["uri"],
    ):
        with pytest.raises(RequestError, match="the request of this context is over"):
            use(kept[0])
