"""apisix.core.lrucache where creators yield: one creator per key, refresh in the background."""

from collections.abc import Callable
from typing import Any

import gevent

from pygw.hub.clock import VirtualClock

Start = Callable[..., Any]

APP = """
local lrucache = require("apisix.core.lrucache")
local made = 0
local function make(pause, fail)
    made = made + 1
    local mine = made
    ngx.sleep(pause)
    if fail then error("creator failed") end
    return mine
end
local serial = lrucache.new({serial_creating = true})
local parallel = lrucache.new()
local refreshed = lrucache.new({ttl = 0.01, invalid_stale = true, refresh_stale = true})
local cases = {
    ["/serial"] = function() return serial("k", 1, make, 0.05) end,
    ["/parallel"] = function() return parallel("k", 1, make, 0.05) end,
    ["/fail"] = function() return select(2, pcall(serial, "f", 1, make, 0.01, true)) end,
    ["/refreshed"] = function() return refreshed("k", 1, make, 0) end,
    ["/made"] = function() return made end,
}
return {
    init_worker = function() assert(lrucache.init_worker()) end,
    content = function() ngx.print(tostring(cases[ngx.var.uri]())) end,
}
"""


def _at_once(gw: Any, target: str, count: int) -> set[str]:
    jobs = [gevent.spawn(gw.request, target) for _ in range(count)]
    gevent.joinall(jobs, raise_error=True)
    return {job.value.body for job in jobs}


def test_serial_creating_makes_an_object_once(gateway: Start) -> None:
    gw = gateway(APP)
    assert _at_once(gw, "/serial", 5) == {"1"}
    assert gw.request("/made").body == "1"


def test_without_it_every_miss_makes_one(gateway: Start) -> None:
    gw = gateway(APP)
    assert len(_at_once(gw, "/parallel", 3)) == 3


def test_a_creator_that_fails_lets_the_next_one_in(gateway: Start) -> None:
    gw = gateway(APP)
    assert all("creator failed" in body for body in _at_once(gw, "/fail", 3))
    assert gw.request("/made").body == "3"


def test_a_stale_object_serves_while_a_new_one_is_made_in_the_background(gateway: Start) -> None:
    clock = VirtualClock()
    gw = gateway(APP, clock=clock)
    assert gw.request("/refreshed").body == "1"
    clock.advance(0.9)
    assert gw.request("/refreshed").body == "1"
    assert gw.request("/made").body == "1"
    clock.advance(0.2)
    gw.request("/made")
    assert gw.request("/made").body == "2"
