"""The request's body in Python plugins: read whole, read late, replaced, too large."""

from __future__ import annotations

from typing import Any

import gevent
import pytest


def body_of(ctx: Any) -> Any:
    body = ctx.request.body
    return None if body is None else [len(body), body[:3].decode(), body[-3:].decode()]


def chunks(count: int) -> Any:
    yield b"beg"
    for _ in range(count):
        gevent.sleep(0)  # so that it comes in many pieces
        yield b"x" * 10000
    yield b"end"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (None, None),
        (b"", None),
        (b"small", [5, "sma", "all"]),
        (b"beg" + b"x" * 3_000_000 + b"end", [3_000_006, "beg", "end"]),
    ],
    ids=["none", "empty", "small", "large"],
)
def test_a_body_is_read_whole(show: Any, body: bytes | None, expected: Any) -> None:
    assert show(body_of, method="POST", body=body) == expected


def test_a_chunked_body_is_read_whole_however_slowly_it_comes(show: Any) -> None:
    answer = show(body_of, method="POST", body=chunks(30))
    assert answer == [300_006, "beg", "end"]


def test_a_body_may_be_read_again_and_goes_to_the_upstream_all_the_same(changed: Any) -> None:
    def read_twice(ctx: Any) -> None:
        assert ctx.request.body == ctx.request.body == bytes(range(256)) * 300

    got = changed(read_twice, method="POST", body=bytes(range(256)) * 300)
    assert got["body"].encode("latin-1") == bytes(range(256)) * 300


@pytest.mark.parametrize("sent", [None, b"old", b"old" * 100_000], ids=["none", "small", "large"])
def test_a_body_that_is_set_is_what_the_upstream_gets(changed: Any, sent: bytes | None) -> None:
    def replace(ctx: Any) -> None:
        ctx.request.body = b"new \xff body"
        assert ctx.request.body == b"new \xff body"

    got = changed(replace, method="POST", body=sent)
    assert (got["body"], got["length"]) == ("new \xff body", "10")


def test_a_body_may_be_set_as_text(changed: Any) -> None:
    def replace(ctx: Any) -> None:
        ctx.request.body = "zoë"

    assert changed(replace, method="PUT", body=b"old")["body"] == "zoë".encode().decode("latin-1")


def test_a_body_over_the_limit_is_413_and_the_phase_ends(start: Any) -> None:
    gateway = start(
        """
        class Body(Plugin):
            name, priority = "t-body", 10
            schema = {"type": "object"}
            def access(self, conf, ctx):
                try:
                    ctx.request.body
                finally:
                    ended.append(True)
        ended = []
        """,
        {"a": {"t-body": {}}},
        config={"nginx_config": {"http": {"client_max_body_size": 1000}}},
    )
    answer = gateway.ask("/a", "POST", body=iter([b"x" * 500, b"x" * 501]))
    assert answer.status == 413
    gateway.until(lambda: gateway.module.ended)
    assert "t-body" not in gateway.log(), "it is the client's error, not the plugin's"


def test_later_phases_see_the_body_that_was_read_and_do_not_wait_for_one(start: Any) -> None:
    gateway = start(
        """
        class Body(Plugin):
            name, priority = "t-body", 10
            schema = {"type": "object"}
            def access(self, conf, ctx):
                if ctx.request.headers.get("x-read"):
                    ctx.request.body
            def header_filter(self, conf, ctx):
                seen.append(ctx.request.body)
            def log(self, conf, ctx):
                seen.append(ctx.request.body)
        seen = []
        """,
        {"a": {"t-body": {}}},
    )
    gateway.ask("/a", "POST", {"X-Read": "1"}, b"read")
    gateway.ask("/a", "POST", {}, b"streamed")
    gateway.until(lambda: len(gateway.module.seen) == 4)
    assert gateway.module.seen == [b"read", b"read", None, None]
