"""apisix.tracer: the spans of a request."""

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]

TRACER = """
    require("server.bridge").call.local_conf = function()
        return '{"apisix":{"tracing":%s}}'
    end
    local tracer = require("apisix.tracer")
"""
ON, OFF = TRACER % "true", TRACER % "false"


def test_spans_know_their_place_and_their_times(run_lua: Run, clock: Any) -> None:
    code = (
        ON
        + """
        local ctx = {}
        local one = tracer.start(ctx, "one", tracer.kind.client)
        local below = tracer.start(ctx, "below", tracer.kind.internal)
        below:finish(ctx)
        local next_below = tracer.start(ctx, "next")
        next_below:finish(ctx)
        one:finish(ctx)
        local two = tracer.start(ctx, "two")
        local spans, names = ctx.tracing.spans, {}
        for i, span in ipairs(spans) do
            names[i] = span.name .. "<" .. (span.parent_id and spans[span.parent_id].name or "")
        end
        return table.concat(names, " "), table.concat(one.child_ids, ","), one.kind,
            one.end_time - one.start_time, ctx.tracing.root_span.name, two.end_time
    """
    )
    names = "root< one<root below<one next<one two<root"
    assert run_lua(code) == (names, "3,4", 3, 0, "root", None)


def test_an_error_ends_all_that_is_open(run_lua: Run, clock: Any) -> None:
    code = (
        ON
        + """
        local ctx = {}
        local one = tracer.start(ctx, "one")
        local two = tracer.start(ctx, "two")
        two:set_attributes("a", "b")
        two:set_attributes("c")
        one:set_status(tracer.status.OK, "unheard")
        tracer.finish_all(ctx, tracer.status.ERROR, "response code 500")
        local ended = 0
        for _, span in ipairs(ctx.tracing.spans) do ended = ended + (span.end_time and 1 or 0) end
        local attributes = table.concat(two.attributes)
        tracer.release(ctx)
        return ended, two.status.code, two.status.message, one.status.code, one.status.message,
            attributes, ctx.tracing
    """
    )
    assert run_lua(code) == (3, 2, "response code 500", 1, "", "abc", None)


def test_a_status_that_there_is_not_is_unset(run_lua: Run, clock: Any) -> None:
    code = (
        ON
        + """
        local one = tracer.start({}, "one")
        one:set_status(7, "x")
        return one.status.code, one.status.message
    """
    )
    assert run_lua(code) == (0, "")


@pytest.mark.parametrize(("setting", "ctx"), [(OFF, "{}"), (ON, "{ tracing = { skip = true } }")])
def test_what_is_not_traced_leaves_nothing(
    run_lua: Run, clock: Any, setting: str, ctx: str
) -> None:
    code = (
        setting
        + f"""
        local ctx = {ctx}
        local span = tracer.start(ctx, "one", tracer.kind.server)
        span:set_status(tracer.status.ERROR, "x")
        span:set_attributes("a")
        span:finish(ctx)
        tracer.finish_all(ctx, tracer.status.ERROR, "x")
        return next(span), ctx.tracing and ctx.tracing.spans
    """
    )
    assert run_lua(code) == (None, None)
