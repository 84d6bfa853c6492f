"""apisix.events: what one worker posts all of them hear, or exactly one."""

from __future__ import annotations

from typing import Any

import pytest

APP = """
    local events = require "apisix.events"

    local function tell(who)
        return function(data, event, source, wid)
            ngx.log(ngx.ERR, who, " of worker ", ngx.worker.id(), " heard ", event, " of ", source,
                " by ", wid, ": ", data.text, ".")
        end
    end

    local function init_worker()
        events.init_worker()
        events.init_worker() -- does nothing
        local names = events:event_list("news", "fire", "rain")
        events:register(tell("one"), names._source, names.fire)
        events:register(tell("all"), "news")
        events:register(function() error("oh no") end, "news", "rain")
        events:register(tell("any"))
        ngx.log(ngx.ERR, "listening")
    end

    local function post()
        local arg = ngx.req.get_uri_args()
        local data = { text = arg.text or "text" }
        return events:post(arg.source or "news", arg.event, data, arg.unique) == "done"
    end

    local function unknown()
        local ok, err = pcall(function() return events:event_list("news", "fire").snow end)
        return not ok and err:find("event 'snow' is an unknown event", 1, true)
    end

    local answers = { ["/"] = post, ["/unknown"] = unknown }

    local function content()
        ngx.print(answers[ngx.var.uri]() and 1 or 0)
    end

    return { init_worker = init_worker, content = content }
"""

CONFIG = """
    nginx_config:
      worker_processes: 2
      error_log_level: error
"""


@pytest.fixture
def gateway(start: Any) -> Any:
    """With two workers that listen."""
    gateway = start(CONFIG, app=APP).started()
    for _ in range(2):
        gateway.log.wait_for("listening")
    return gateway


def test_all_workers_hear_it(gateway: Any) -> None:
    assert gateway.get("/?event=fire&text=help") == 1
    heard = {gateway.log.wait_for(r"(\w+) of worker (\d) heard fire of news by \d: help\.").groups()
             for _ in range(6)}  # fmt: skip
    assert heard == {(who, worker) for who in ("one", "all", "any") for worker in "01"}


def test_only_those_who_registered_for_it_hear_it(gateway: Any) -> None:
    gateway.get("/?event=rain&source=weather")
    gateway.get("/?event=end&source=tests")
    for _ in range(2):
        gateway.log.wait_for("any of worker . heard end of tests")
    assert "one of worker" not in gateway.log.seen
    assert "all of worker" not in gateway.log.seen
    assert gateway.log.seen.count("heard rain of weather") == 2


def test_a_unique_event_is_heard_by_one_worker_once(gateway: Any) -> None:
    for _ in range(3):
        assert gateway.get("/?event=fire&unique=u") == 1
    gateway.get("/?event=end&source=tests")
    for _ in range(2):
        gateway.log.wait_for("any of worker . heard end of tests")
    assert gateway.log.seen.count("one of worker") == 1


def test_a_callback_that_fails_harms_nobody(gateway: Any) -> None:
    gateway.get("/?event=rain")
    gateway.log.wait_for("event callback failed; source=news, event=rain, wid=.*oh no")
    gateway.log.wait_for("any of worker . heard rain")


def test_an_event_that_nobody_listed(gateway: Any) -> None:
    assert gateway.get("/unknown") == 1
