"""apisix.core.id, timer, resolver and the parts of utils that need a worker."""

import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent

from pygw.hub.clock import VirtualClock

Start = Callable[..., Any]

ID = """
local id = require("apisix.core.id")
return {
    init = function() id.init() end,
    content = function() ngx.print(id.get()) end,
}
"""


def test_the_identity_is_made_once_and_outlives_the_worker(gateway: Start, tmp_path: Path) -> None:
    first = gateway(ID).request().body
    assert re.fullmatch(r"[0-9a-f-]{36}", first)
    file = tmp_path / "conf" / "apisix.uid"
    assert file.read_text() == first
    assert os.listdir(tmp_path / "conf") == sorted(["apisix.uid", "config.yaml"])
    file.write_text("my-gateway \n")
    assert gateway(ID).request().body == "my-gateway"


def test_the_configuration_may_name_the_gateway(gateway: Start, tmp_path: Path) -> None:
    (tmp_path / "conf" / "conf").mkdir(parents=True)
    assert gateway(ID, "apisix:\n  id: edge-1\n").request().body == "edge-1"
    assert (tmp_path / "conf" / "conf" / "apisix.uid").read_text() == "edge-1"


TIMER = """
local timer = require("apisix.core.timer")
local runs, fails = 0, 0
return {
    init_worker = function()
        assert(timer.new("good", function() runs = runs + 1 end, {sleep_succ = 0.5, each_ttl = 1}))
        assert(timer.new("bad", function() fails = fails + 1 error("broken") end, {sleep_fail = 2}))
        assert(select(2, timer.new()) == "missing argument: name")
        assert(select(2, timer.new("x")) == "missing argument: callback_fun")
    end,
    content = function() ngx.print(runs, " ", fails) end,
}
"""


def test_timers_run_at_once_and_on_and_on_failures_pause_longer(gateway: Start) -> None:
    clock = VirtualClock()
    gw = gateway(TIMER, clock=clock)
    assert gw.request().body == "1 1"
    clock.advance(0.6)
    assert gw.request().body == "2 1"
    clock.advance(10)
    runs, fails = map(int, gw.request().body.split())
    assert runs > 10
    assert 4 <= fails <= 6
    assert "failed to run the timer: bad err: " in gw.log()


RESOLVER = """
local resolver = require("apisix.core.resolver")
local utils = require("apisix.core.utils")
local dns_client = require("apisix.core.dns.client")
local function show(value, err)
    if type(value) == "table" then value = table.concat(value, ",") end
    ngx.say(tostring(value), " ", tostring(err))
end
return {
    content = function()
        local known = ngx.var.arg_hosts ~= nil
        if known then resolver.init_resolver({dns_resolver = {"127.0.0.1"}}) end
        local host = ngx.var.arg_name
        show(resolver.parse_domain(host))
        show(resolver.parse_domain_all(host))
        local record, err = utils.dns_parse(host)
        ngx.say(record and (record.name .. " " .. record.type .. " " .. record.class) or err)
        ngx.say(#(utils.get_resolver() or {}))
        ngx.say(#(utils.dns_parse("127.0.0.9", dns_client.RETURN_ALL)))
    end,
}
"""


def test_names_are_resolved_by_the_hosts_file_and_by_the_system(gateway: Start) -> None:
    gw = gateway(RESOLVER)
    expected = "127.0.0.1 nil\n127.0.0.1 nil\nlocalhost 1 1\n"
    first = gw.request("/?name=localhost").body
    assert first == expected + "0\n1\n"
    assert gw.request("/?name=localhost&hosts=1").body.endswith("\n1\n1\n")


def test_a_name_that_nobody_knows_is_an_error(gateway: Start) -> None:
    gw = gateway(RESOLVER)
    lines = gw.request("/?name=no-such-host.invalid").body.splitlines()
    assert lines[0].startswith("nil failed to query the DNS server: ")
    assert lines[1].startswith("nil failed to query the DNS server: ")
    assert "failed to parse domain: no-such-host.invalid, error: " in gw.log()


UTILS = """
local utils = require("apisix.core.utils")
return {
    content = function()
        ngx.say(utils.gethostname())
        ngx.say(table.concat(utils.split_uri("/a/b"), "|"))
        local ctx = {var = {}}
        utils.set_var_rate_limiting_info(ctx, "k", 10, "3", 60)
        utils.set_var_rate_limiting_info(nil)
        ngx.say(ctx.var.rate_limiting_info)
        local start = ngx.now()
        utils.sleep(2.5)
        ngx.say(ngx.now() - start)
    end,
}
"""


def test_utils_that_need_a_worker(gateway: Start) -> None:
    clock = VirtualClock()
    gw = gateway(UTILS, clock=clock)
    job = gevent.spawn(gw.request)
    with gevent.Timeout(5):
        while not job.ready():
            clock.advance(0.5)
            gevent.sleep(0)
    lines = job.value.body.splitlines()
    assert lines[:3] == [
        socket.gethostname(),
        "|a|b",
        '{"rate_limiting_key":"k","rate_limiting_limit":10,'
        '"rate_limiting_remaining":3,"rate_limiting_reset":60}',
    ]
    assert 2.5 <= float(lines[3]) <= 3
