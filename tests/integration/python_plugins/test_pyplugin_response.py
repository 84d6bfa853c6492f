"""The answers that Python plugins give, and what they make of the upstream's."""

from __future__ import annotations

from typing import Any

import pytest

ANSWER = """
    class Answer(Plugin):
        name, priority = "t-answer", 10
        schema = {"type": "object"}
        def rewrite(self, conf, ctx): return self.give("rewrite", ctx)
        def access(self, conf, ctx): return self.give("access", ctx)
        def before_proxy(self, conf, ctx): return self.give("before_proxy", ctx)
        def give(self, phase, ctx):
            if phase == ctx.var["arg_phase"]:
                return make()
    make = None
"""


@pytest.fixture
def gateway(start: Any) -> Any:
    return start(ANSWER, {"a": {"t-lua-low": {}, "t-answer": {}}})


@pytest.mark.parametrize("phase", ["rewrite", "access", "before_proxy"])
def test_a_response_ends_the_request_in_each_phase_that_may_answer(
    gateway: Any, upstream: Any, phase: str
) -> None:
    asked = upstream.asked
    gateway.module.make = lambda: gateway.module.Response(403, "no", {"X-Why": phase})
    answer = gateway.ask(f"/a?phase={phase}")
    assert (answer.status, answer.body, answer.headers["X-Why"]) == (403, b"no", phase)
    assert answer.headers["x-order"] == "low", "filters see it like any response"
    assert upstream.asked == asked


def test_a_response_may_be_raised_from_any_depth(gateway: Any) -> None:
    def deep() -> None:
        raise gateway.module.Response(418, "teapot")

    gateway.module.make = deep
    answer = gateway.ask("/a?phase=access")
    assert (answer.status, answer.body) == (418, b"teapot")
    assert "teapot" not in gateway.log()


@pytest.mark.parametrize(
    ("body", "sent", "content_type"),
    [
        (None, b"", "text/plain"),
        ("", b"", "text/plain"),
        ("zoë", "zoë".encode(), "text/plain"),
        (b"\xff\x00", b"\xff\x00", "text/plain"),
        ({"a": [1, None, "ë"]}, '{"a": [1, null, "ë"]}\n'.encode(), "application/json"),
        ([], b"[]\n", "application/json"),
        (0, b"0\n", "application/json"),
        (False, b"false\n", "application/json"),
    ],
    ids=repr,
)
def test_a_body_of_every_kind(gateway: Any, body: Any, sent: bytes, content_type: str) -> None:
    gateway.module.make = lambda: gateway.module.Response(200, body)
    answer = gateway.ask("/a?phase=access")
    assert (answer.status, answer.body) == (200, sent)
    assert answer.headers["Content-Type"] == content_type


def test_headers_of_an_answer(gateway: Any) -> None:
    headers = {"content-type": "application/problem+json", "Set-Cookie": ["a=1", "b=2"]}
    gateway.module.make = lambda: gateway.module.Response(400, {"title": "bad"}, headers)
    answer = gateway.ask("/a?phase=access")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers.get_all("Set-Cookie") == ["a=1", "b=2"]


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body(gateway: Any, status: int) -> None:
    gateway.module.make = lambda: gateway.module.Response(status)
    answer = gateway.ask("/a?phase=access")
    assert (answer.status, answer.body) == (status, b"")


@pytest.mark.parametrize("status", [0, 100, 199, 600, "200", None, 200.0])
def test_a_status_that_cannot_be_is_refused_where_it_is_given(gateway: Any, status: Any) -> None:
    with pytest.raises(ValueError, match="the status of a Response is 200 to 599, not"):
        gateway.module.Response(status)


FILTER = """
    class Filter(Plugin):
        name, priority = "t-filter", 10
        schema = {"type": "object"}
        def access(self, conf, ctx):
            ctx.response.headers["x-early"] = str(ctx.response.status)
        def header_filter(self, conf, ctx):
            change(ctx.response)
    change = None
"""


def test_header_filter_sees_and_changes_status_and_headers(start: Any) -> None:
    gateway = start(FILTER, {"a": {"t-filter": {}}})
    seen = []

    def change(response: Any) -> None:
        headers = response.headers
        seen.append((response.status, headers["x-from"], "content-length" in headers))
        response.status = 202
        headers["X-From"] = "python"
        headers["X-New"] = "1"
        headers.add("x-new", "2")
        del headers["x-early"]
        seen.append((response.status, headers.get_all("X-NEW"), "x-early" in headers))

    gateway.module.change = change
    answer = gateway.ask("/a")
    assert seen == [(200, "upstream", True), (202, ["1", "2"], False)]
    assert (answer.status, answer.headers["X-From"]) == (202, "python")
    assert answer.headers.get_all("x-new") == ["1", "2"]
    assert answer.headers["Content-Length"] == str(len(answer.body)), "no filter changes the body"


def test_headers_set_before_there_is_a_response_are_added_to_it(start: Any) -> None:
    gateway = start(FILTER, {"a": {"t-filter": {}}})
    gateway.module.change = lambda response: None
    answer = gateway.ask("/a")
    assert (answer.headers["x-early"], answer.headers["x-from"]) == ("0", "upstream")


BODY = """
    class Body(Plugin):
        name, priority = "t-body", 10
        schema = {"type": "object"}
        def body_filter(self, conf, ctx, chunk, last):
            seen.append((chunk, last))
            return change(ctx, chunk, last)
    seen, change = [], None
"""


def test_body_filter_gets_every_byte_and_hears_of_the_last(start: Any) -> None:
    gateway = start(BODY, {"a": {"t-body": {}}})
    gateway.module.change = lambda ctx, chunk, last: None
    answer = gateway.ask("/a")
    assert answer.json["path"] == "/a"
    assert b"".join(chunk for chunk, _ in gateway.module.seen) == answer.body
    assert [last for _, last in gateway.module.seen][-1] is True
    assert [last for _, last in gateway.module.seen].count(True) == 1


def test_body_filter_may_make_the_body_longer_and_shorter(start: Any) -> None:
    gateway = start(BODY, {"a": {"t-body": {}}})
    gateway.module.change = lambda ctx, chunk, last: chunk * 2 + (b"\xff end" if last else b"")
    answer = gateway.ask("/a")
    whole = b"".join(chunk for chunk, _ in gateway.module.seen)
    assert answer.body == whole * 2 + b"\xff end"
    assert answer.headers["Content-Length"] is None
    gateway.module.change = lambda ctx, chunk, last: b""
    assert gateway.ask("/a").body == b""


def test_body_filter_gets_text_whatever_a_lua_filter_left(start: Any) -> None:
    gateway = start(BODY, {"a": {"t-lua-table": {}, "t-body": {}}})
    gateway.module.change = lambda ctx, chunk, last: chunk.upper()
    answer = gateway.ask("/a")
    assert answer.body.startswith(b'<{"METHOD": "GET"')
    assert answer.body.endswith(b">")


def test_body_filter_may_hold_the_body_back_and_send_it_at_the_end(start: Any) -> None:
    gateway = start(BODY, {"a": {"t-body": {}}})

    def hold(ctx: Any, chunk: bytes, last: bool) -> bytes:
        held = ctx.state["held"] = ctx.state.get("held", b"") + chunk
        return held.upper() if last else b""

    gateway.module.change = hold
    body = "x" * 200_000
    answer = gateway.ask("/a", "POST", body=body)
    assert body.upper().encode() in answer.body
