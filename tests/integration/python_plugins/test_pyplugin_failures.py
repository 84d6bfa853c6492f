"""Whatever a Python plugin does wrong: the request ends, the log says why, the worker goes on."""

from __future__ import annotations

import http.client
import json
import re
from typing import Any

import pytest

FAILING = """
    import sys
    import gevent

    class Fail(Plugin):
        name, priority = "t-fail", 10
        schema = {"type": "object"}
        def rewrite(self, conf, ctx): return fail("rewrite", ctx)
        def access(self, conf, ctx): return fail("access", ctx)
        def before_proxy(self, conf, ctx): return fail("before_proxy", ctx)
        def header_filter(self, conf, ctx): return fail("header_filter", ctx)
        def body_filter(self, conf, ctx, chunk, last): return fail("body_filter", ctx)
        def log(self, conf, ctx): return fail("log", ctx)

    def fail(phase, ctx):
        if phase == ctx.var["arg_phase"]:
            return how(phase)

    def how(phase):
        raise LookupError(f"no luck in {phase}")
"""


@pytest.fixture
def gateway(start: Any) -> Any:
    return start(FAILING, {"a": {"t-fail": {}}})


def check_log(gateway: Any, phase: str, error: str) -> None:
    """The plugin, the phase and the Python traceback stand in the log, once."""
    message = f"plugin [t-fail] failed in phase {phase} (route a): "
    gateway.until(lambda: message in gateway.log())
    [(_, told)] = re.findall(rf"({re.escape(message)})((?:.|\n)*?)stack traceback:", gateway.log())
    assert told.startswith("Traceback (most recent call last):\n"), told
    assert 'plugins.py", line' in told
    assert "python_plugins.py" not in told, "our own frame tells nothing"
    assert told.rstrip().endswith(error), told


@pytest.mark.parametrize("phase", ["rewrite", "access", "before_proxy"])
def test_an_exception_before_the_upstream_is_500(gateway: Any, upstream: Any, phase: str) -> None:
    asked = upstream.asked
    assert gateway.ask(f"/a?phase={phase}").status == 500
    assert upstream.asked == asked
    check_log(gateway, phase, f"LookupError: no luck in {phase}")
    assert gateway.ask("/a").status == 200


def test_an_exception_in_header_filter_is_500(gateway: Any) -> None:
    answer = gateway.ask("/a?phase=header_filter")
    assert answer.status == 500
    assert b'"method"' not in answer.body, "what was not filtered does not go out"
    check_log(gateway, "header_filter", "LookupError: no luck in header_filter")
    assert gateway.ask("/a").status == 200


def test_an_exception_in_body_filter_lets_nothing_unfiltered_out(gateway: Any) -> None:
    try:
        answer = gateway.ask("/a?phase=body_filter")
        assert answer.status == 500
        assert b'"method"' not in answer.body
    except http.client.HTTPException:
        pass  # the head was out already: the answer is cut short
    check_log(gateway, "body_filter", "LookupError: no luck in body_filter")
    assert gateway.ask("/a").status == 200


def test_an_exception_in_log_is_logged_and_the_answer_stands(gateway: Any) -> None:
    assert gateway.ask("/a?phase=log").status == 200
    check_log(gateway, "log", "LookupError: no luck in log")
    assert gateway.ask("/a").status == 200


RAISED = {
    "gevent.Timeout": "gevent.timeout.Timeout: 1 second",
    "SystemExit": "SystemExit: 3",
    "KeyboardInterrupt": "KeyboardInterrupt",
    "GreenletExit": "greenlet.GreenletExit",
    "recursion": "RecursionError: maximum recursion depth exceeded",
}


@pytest.mark.parametrize("name", RAISED)
def test_what_is_no_ordinary_exception_ends_the_request_alone(gateway: Any, name: str) -> None:
    def recurse() -> None:
        recurse()

    def how(phase: str) -> None:
        module = gateway.module
        if name == "recursion":
            recurse()
        raise {
            "gevent.Timeout": lambda: module.gevent.Timeout(1),
            "SystemExit": lambda: SystemExit(3),
            "KeyboardInterrupt": KeyboardInterrupt,
            "GreenletExit": module.gevent.GreenletExit,
        }[name]()

    gateway.module.how = how
    assert gateway.ask("/a?phase=access").status == 500
    gateway.until(lambda: "failed in phase access" in gateway.log())
    assert RAISED[name] in gateway.log()
    assert gateway.ask("/a").status == 200


@pytest.mark.parametrize(
    ("phase", "given", "message"),
    [
        ("access", 403, "it returned 403: return None or a pygw.plugin.Response"),
        ("access", (403, "no"), "it returned (403, 'no'): return None or a pygw.plugin.Response"),
        ("log", {}, "it returned {}: return None or a pygw.plugin.Response"),
        ("body_filter", "text", "it returned 'text': return bytes, or None to leave the chunk"),
    ],
)
def test_what_cannot_be_returned_is_told(
    gateway: Any, phase: str, given: Any, message: str
) -> None:
    gateway.module.how = lambda phase: given
    try:
        status = gateway.ask(f"/a?phase={phase}").status
        assert status == (200 if phase == "log" else 500)
    except http.client.HTTPException:
        assert phase == "body_filter"
    expected = f"plugin [t-fail] failed in phase {phase} (route a): {message}"
    gateway.until(lambda: expected in gateway.log())
    assert gateway.ask("/a").status == 200


def test_a_response_where_none_can_be_given_is_told(gateway: Any) -> None:
    gateway.module.how = lambda phase: gateway.module.Response(403)
    assert gateway.ask("/a?phase=header_filter").status == 500
    expected = "a Response can only be given in rewrite, access, before_proxy"
    gateway.until(lambda: expected in gateway.log())


def test_a_body_that_is_no_json_is_told(gateway: Any) -> None:
    gateway.module.how = lambda phase: gateway.module.Response(200, {"set": {1, 2}})
    assert gateway.ask("/a?phase=access").status == 500
    gateway.until(lambda: "Object of type set is not JSON serializable" in gateway.log())


def test_the_log_line_tells_of_the_request_too(gateway: Any) -> None:
    gateway.ask("/a?phase=access")
    line = re.search(r"\[error\] .*plugin \[t-fail\](.|\n)*?request: .*", gateway.log())
    assert line, gateway.log()
    assert 'request: "GET /a?phase=access HTTP/1.1"' in line[0]


def test_an_error_text_of_any_bytes_is_logged(gateway: Any) -> None:
    def how(phase: str) -> None:
        raise ValueError("zoë \udcff \x00 日本")

    gateway.module.how = how
    assert gateway.ask("/a?phase=access").status == 500
    assert "zoë".encode() in gateway.log_path.read_bytes()


def test_meta_error_response_stands_in_for_a_plugins_own(start: Any) -> None:
    source = """
    class Deny(Plugin):
        name, priority = "t-deny", 10
        schema = {"type": "object"}
        def access(self, conf, ctx): return Response(401, {"reason": "secret"})
    """
    meta = {"_meta": {"error_response": {"message": "go away"}}}
    gateway = start(source, {"a": {"t-deny": meta}})
    answer = gateway.ask("/a")
    assert (answer.status, json.loads(answer.body)) == (401, {"message": "go away"})
