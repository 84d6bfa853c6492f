"""What loggers stand on, where plugins' tests do not reach it: rfc5424, log-sanitize, batches."""

from __future__ import annotations

from typing import Any

import pytest

NEW_PROCESSOR = """
    logged, due = {}, {}
    local core = require "apisix.core"
    core.log.error = function(...)
        local out = {}
        for i = 1, select("#", ...) do out[i] = tostring((select(i, ...))) end
        logged[#logged + 1] = table.concat(out)
    end
    ngx.timer.at = function(delay, fn, ...)
        if exiting and delay > 0 then return nil, "process exiting" end
        due[#due + 1] = { delay = delay, fn = fn, args = { ... } }
        return true
    end
    function run_due()
        local now = due
        due = {}
        for _, each in ipairs(now) do each.fn(false, unpack(each.args)) end
    end
    processors = require "apisix.utils.batch-processor"
    calls = {}
    function new(config)
        return processors:new(function(entries, max)
            calls[#calls + 1] = table.concat(entries, ",")
            return outcome(entries, max)
        end, config)
    end
"""


@pytest.fixture(autouse=True)
def _configured(lua: Any) -> None:
    lua.execute("""require("server.bridge").call.local_conf = function() return "{}" end""")


@pytest.fixture
def run(lua: Any, clock: Any) -> Any:
    lua.execute(NEW_PROCESSOR)
    return lua.execute


# rfc5424


def test_a_line_of_syslog(lua: Any, clock: Any) -> None:
    run = lua.execute
    run('rfc5424 = require "apisix.utils.rfc5424"')
    line = run('return rfc5424.encode("SYSLOG", "INFO", "host", "apisix", 7, "{}")')
    assert line == "<46>1 2023-11-14T22:13:20.000Z host apisix 7 - - {}\n"
    data = '{ { name = "project", value = "p" }, { name = "n", value = "1" } }'
    line = run(f'return rfc5424.encode("LOCAL7", "DEBUG", nil, nil, 1, "m", {data})')
    assert line == '<191>1 2023-11-14T22:13:20.000Z - - 1 - [logservice project="p" n="1"] m\n'


def test_timestamps(lua: Any, clock: Any) -> None:
    run = lua.execute
    run('log_util = require "apisix.utils.log-util"')
    assert run("return log_util.get_rfc3339_zulu_timestamp(0)") == "1970-01-01T00:00:00.000Z"
    later = run("return log_util.get_rfc3339_zulu_timestamp(1700000000.25)")
    assert later == "2023-11-14T22:13:20.250Z"


# log-sanitize


def test_credentials_are_not_shown(lua: Any) -> None:
    found = lua.execute("""
        local shown = require("apisix.utils.log-sanitize").redact_params {
            method = "POST", host = "h", body = "secret", query = "key=secret",
            headers = { ["X-API-Key"] = "s", Authorization = "s", Cookie = "s", Accept = "a" },
        }
        local headers = shown.headers
        return shown.method, shown.host, shown.body, shown.query, headers["X-API-Key"],
            headers.Authorization, headers.Cookie, headers.Accept
    """)
    redacted = "[REDACTED]"
    assert found == ("POST", "h", None, None, redacted, redacted, redacted, "a")


def test_credentials_of_options_are_left_out(lua: Any) -> None:
    found = lua.execute("""
        local options = { auth = { key = "s" }, other = { 1 } }
        local shown = require("apisix.utils.log-sanitize").redact_extra_opts(options)
        return shown.auth == nil, shown.other[1], options.auth.key
    """)
    assert found == (True, 1, "s")


# batch-processor


def test_what_was_taken_is_not_sent_again(run: Any) -> None:
    run("""
        function outcome(entries)
            if #calls == 1 then return false, "full", 3 end
            return true
        end
        p = new { name = "x", batch_max_size = 4, max_retry_count = 1, retry_delay = 0 }
        for i = 1, 4 do p:push("e" .. i) end
        run_due() run_due()
    """)
    assert list(run("return calls").values()) == ["e1,e2,e3,e4", "e3,e4"]
    assert run("return p.processed_entries") == 4
    assert list(run("return logged").values()) == [
        "Batch Processor[x] failed to process entries [2/4]: full"
    ]


def test_an_error_is_a_failure(run: Any) -> None:
    run("""
        function outcome() error("broken", 0) end
        p = new { name = "x", batch_max_size = 1 }
        p:push("e")
        run_due()
    """)
    assert run("return p.processed_entries") == 1, "dropped, and not counted as waiting"
    assert list(run("return logged").values()) == [
        "Batch Processor[x] failed to process entries: broken",
        "Batch Processor[x] exceeded the max_retry_count[1] dropping the entries",
    ]


def test_what_waits_is_sent_when_the_worker_exits(run: Any) -> None:
    run("""
        function outcome() return true end
        p = new {}
        p:push("a")
        due[1].fn(true, unpack(due[1].args))
        due = { due[2] }
        run_due()
    """)
    assert list(run("return calls").values()) == ["a"]
    run('exiting, due, p.is_timer_running = true, {}, false p:push("b")')
    assert run("return due[1].delay") == 0, "no timer waits any more"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("return select(2, new { batch_max_size = 0 })", 'property "batch_max_size"'),
        ('return select(2, new { retry_delay = "x" })', 'property "retry_delay"'),
        ("return select(2, processors:new(nil, {}))", "arg #1 must be a function"),
    ],
)
def test_what_is_no_processor(run: Any, code: str, message: str) -> None:
    assert message in run(code)


def test_defaults(run: Any) -> None:
    names = "name batch_max_size inactive_timeout buffer_duration max_retry_count retry_delay"
    found = [run(f"return new({{}}).{name}") for name in names.split()]
    assert found == ["log buffer", 1000, 5, 60, 0, 1]


# batch-processor-manager


def test_processors_of_gone_configurations_go(run: Any) -> None:
    run("""
        function outcome() return true end
        local manager_module = require "apisix.utils.batch-processor-manager"
        local plugin = require "apisix.plugin"
        plugin.plugin_metadatas = { get = function() return nil end }
        manager_module.set_check_stale_interval(7)
        manager = manager_module.new("x logger", "x")
        conf = { batch_max_size = 1 }
        local ctx = { var = {} }
        assert(manager:add_entry(conf, "e") == false)
        assert(manager:add_entry_to_new_processor(conf, "e", ctx, outcome))
        stale = due[1]
        run_due()
    """)
    assert run("return stale.delay") == 7
    assert run("return next(manager.buffers) == nil")


def test_schemas_are_completed(run: Any) -> None:
    found = run("""
        local manager = require("apisix.utils.batch-processor-manager").new("x logger")
        local schema = manager:wrap_schema {
            properties = { retry_delay = { type = "string" } },
        }
        local metadata = manager:wrap_metadata_schema { properties = {} }
        return schema.properties.retry_delay.type, schema.properties.name.default,
            metadata.properties.max_pending_entries.default
    """)
    assert found == ("string", "x logger", 8192)
