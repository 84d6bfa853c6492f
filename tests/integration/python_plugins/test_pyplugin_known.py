"""What a phase has asked once comes with its call, and what it sets goes with its end: unseen."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

SOURCE = """
    import gevent

    class Do(Plugin):
        name, priority = "t-do", 20
        schema = {"type": "object"}
        todo = staticmethod(lambda ctx: None)
        def access(self, conf, ctx):
            Do.said = []
            Do.said.append(Do.todo(ctx))
            return Do.answer
        answer = None
"""


class Doing:
    """A gateway whose plugin does what it is told."""

    def __init__(self, gateway: Any) -> None:
        self.gateway = gateway
        self.asked: list[tuple[Any, ...]] = []
        runner = gateway.worker._runner
        [self.plugin] = [each for each in runner._plugins.values() if each.name == "t-do"]
        ask = runner.lua.ask

        def counting(number: int, *question: Any) -> Any:
            self.asked.append(question)
            return ask(number, *question)

        runner.lua = dataclasses.replace(runner.lua, ask=counting)

    def do(self, todo: Any, headers: dict[str, str] | None = None, **options: Any) -> Any:
        """Have a request do it. Returns what `todo` said, and what the upstream got."""
        self.asked.clear()
        cls = type(self.plugin)
        cls.todo = staticmethod(todo)  # type: ignore[attr-defined]
        self.answer = self.gateway.ask("/a/x?q=1", headers=headers, **options)
        return cls.said[0] if cls.said else None  # type: ignore[attr-defined]

    @property
    def upstream(self) -> dict[str, Any]:
        seen: dict[str, Any] = json.loads(self.answer.body)["headers"]
        return seen


@pytest.fixture
def doing(start: Any) -> Doing:
    return Doing(start(SOURCE, {"a": {"t-do": {}}}))


def read(ctx: Any) -> Any:
    request = ctx.request
    got = [request.headers.get(name) for name in ("X-One", "x-two", "x-none")]
    return [*got, request.method, request.path, request.query]


def test_what_was_asked_once_is_not_asked_again_and_is_this_request_s(doing: Doing) -> None:
    assert doing.do(read, {"x-one": "1", "x-two": "é".encode().decode("latin-1")}) == [
        "1",
        "é",
        None,
        "GET",
        "/a/x",
        "q=1",
    ]
    assert len(doing.asked) == 6
    for one in ("2", "3"):
        got = doing.do(read, {"x-one": one, "x-none": "some"}, method="PUT")
        assert got == [one, None, "some", "PUT", "/a/x", "q=1"]
        assert doing.asked == []


def test_it_is_learnt_for_a_few_names_only(doing: Doing) -> None:
    def many(ctx: Any) -> Any:
        return [ctx.request.headers.get(f"x-{number}") for number in range(20)]

    sent = {f"X-{number}": str(number) for number in range(20)}
    for asked in (20, 12, 12):
        assert doing.do(many, sent) == [str(number) for number in range(20)]
        assert len(doing.asked) == asked


def test_what_is_set_reaches_the_upstream_without_a_question(doing: Doing) -> None:
    def write(ctx: Any) -> None:
        for name in ("X-New", "x-one", "X-Three"):
            ctx.request.headers[name] = f"é of {name}"

    doing.do(write, {"x-one": "1"})
    assert doing.asked == []
    seen = {name: value.encode("latin-1").decode() for name, value in doing.upstream.items()}
    assert [seen[name] for name in ("x-new", "x-one", "x-three")] == [
        "é of X-New", "é of x-one", "é of X-Three",
    ]  # fmt: skip


def test_what_was_set_is_read_back_at_once(doing: Doing) -> None:
    def change(ctx: Any) -> Any:
        headers, got = ctx.request.headers, []
        got.append(headers.get("x-one"))
        headers["X-ONE"] = "mine"
        got.append(headers.get("x-one"))
        del headers["x-one"]
        got.append(headers.get("x-one"))
        headers.add("x-one", "again")
        got.append(headers.get("x-one"))
        got.append(ctx.request.query)
        ctx.request.query = "z=2"
        return [*got, ctx.request.query, ctx.var["http_x_one"]]

    for _ in range(3):
        got = doing.do(change, {"x-one": "1"})
        assert got == ["1", "mine", None, "again", "q=1", "z=2", "again"]


def test_what_is_refused_is_refused_where_it_is_set(doing: Doing) -> None:
    def refused(ctx: Any) -> Any:
        headers, got = ctx.request.headers, []
        for name, value in (("Host", "a/b"), ("content-length", "x"), ("x-ok", "1")):
            try:
                headers[name] = value
            except Exception as error:
                got.append((name, type(error).__name__))
        return got

    for _ in range(2):
        assert doing.do(refused) == [(name, "RequestError") for name in ("Host", "content-length")]
        assert doing.upstream["x-ok"] == "1"


def test_what_it_set_is_seen_while_it_waits(doing: Doing) -> None:
    import gevent

    def wait(ctx: Any) -> Any:
        headers = ctx.request.headers
        before = headers.get("x-one")
        headers["x-one"] = "set"
        doing.asked.clear()
        gevent.sleep(0)
        told = list(doing.asked)
        headers["x-two"] = "later"
        return [before, headers.get("x-one"), headers.get("x-two"), told]

    for _ in range(2):
        *got, told = doing.do(wait, {"x-one": "1"})
        assert got == ["1", "set", "later"]
        assert told == [("set_request_header", b"x-one", b"set")]
        assert doing.upstream["x-two"] == "later"


def test_what_it_set_holds_though_it_answers(doing: Doing) -> None:
    from pygw.plugin import Response

    cls = type(doing.plugin)
    cls.answer = Response(418, "no")  # type: ignore[attr-defined]

    def write(ctx: Any) -> None:
        ctx.request.headers["x-one"] = "set"

    doing.do(write)
    assert doing.answer.status == 418
    assert doing.asked == [("set_request_header", b"x-one", b"set")]


def test_a_context_that_is_kept_knows_nothing_any_more(doing: Doing) -> None:
    from pygw.plugin import RequestError

    kept: list[Any] = []
    for _ in range(2):
        doing.do(lambda ctx: (kept.append(ctx), read(ctx))[1])
    for ctx in kept:
        with pytest.raises(RequestError):
            ctx.request.headers.get("x-one")
        with pytest.raises(RequestError):
            ctx.request.headers["x-one"] = "late"
