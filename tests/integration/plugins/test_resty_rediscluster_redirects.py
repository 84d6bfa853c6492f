"""resty.rediscluster on keys that are somewhere else than it thought."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.lua_console import LuaConsole
from support.redis_server import Redis
from support.redis_slots import keys_by_owner

Run = Callable[[str], Any]


@pytest.fixture(scope="module")
def console(module_app_server: Callable[..., Any]) -> LuaConsole:
    return LuaConsole(module_app_server)


@pytest.fixture
def run(console: LuaConsole, cluster: list[Redis]) -> Run:
    """Run Lua code that has `config` and `red`, a client of the cluster."""
    prelude = f"""
        local rediscluster = require "resty.rediscluster"
        local config = {{
            name = "one", auth = "secret", connect_timeout = 1000,
            serv_list = {{ {{ ip = "127.0.0.1", port = {cluster[1].port} }} }},
        }}
        local red = assert(rediscluster:new(config))
    """
    return lambda code: console.run(prelude + code)


def test_moved_is_followed_and_remembered(run: Run, cluster: list[Redis]) -> None:
    source, target = cluster[1], cluster[2]
    key = keys_by_owner(cluster)[source.port]
    slot = source("cluster", "keyslot", key)
    run(f'red:del("{key}")')
    set_owner(cluster, slot, target)
    try:
        assert run(f'return red:set("{key}", "moved")') == ["OK"]
        assert target("get", key) == "moved"
        calls = errors_of(source)
        assert run(f'return red:get("{key}")') == ["moved"]
        assert errors_of(source) == calls, "asked at the new place at once"
    finally:
        run(f'red:del("{key}")')
        set_owner(cluster, slot, source)


def set_owner(cluster: list[Redis], slot: int, owner: Redis) -> None:
    """Give an empty slot to a master, all masters knowing it."""
    for server in sorted(cluster[:3], key=lambda server: server is not owner):
        server("cluster", "setslot", slot, "node", owner("cluster", "myid"))


def errors_of(server: Redis) -> str:
    """How many errors a server has answered."""
    lines: list[str] = server("info", "errorstats").splitlines()
    return next((line for line in lines if line.startswith("errorstat_MOVED")), "")


def test_moved_in_a_pipeline_is_followed(run: Run, cluster: list[Redis]) -> None:
    source, target = cluster[1], cluster[2]
    key = keys_by_owner(cluster)[source.port]
    slot = source("cluster", "keyslot", key)
    run(f'red:del("{key}")')
    set_owner(cluster, slot, target)
    try:
        code = (
            f'red:init_pipeline() red:set("{key}", 3) red:get("{key}") return red:commit_pipeline()'
        )
        assert run(code) == [["OK", "3"]]
    finally:
        run(f'red:del("{key}")')
        set_owner(cluster, slot, source)
        run(f'red:get("{key}")')


@pytest.fixture
def migrating(cluster: list[Redis]) -> Iterator[str]:
    """A key that is absent from its master, whose slot is on its way to another one."""
    source, target = cluster[1], cluster[2]
    key = keys_by_owner(cluster)[source.port]
    slot = source("cluster", "keyslot", key)
    source("del", key)
    target("cluster", "setslot", slot, "importing", source("cluster", "myid"))
    source("cluster", "setslot", slot, "migrating", target("cluster", "myid"))
    yield key
    for server in (source, target):
        server("cluster", "setslot", slot, "stable")
    if target("cluster", "countkeysinslot", slot):
        target("flushall")


def test_ask_is_followed_once(run: Run, migrating: str) -> None:
    assert run(f'return red:set("{migrating}", "asked"), red:get("{migrating}")') == ["OK", "asked"]


def test_ask_in_a_pipeline_is_followed(run: Run, migrating: str) -> None:
    code = f"""
        red:init_pipeline()
        red:set("{migrating}", 1)
        red:get("{migrating}")
        return red:commit_pipeline()
    """
    assert run(code) == [["OK", "1"]]


def test_reads_from_replicas_when_allowed(run: Run, cluster: list[Redis]) -> None:
    key = keys_by_owner(cluster)[cluster[0].port]
    run(f'red:set("{key}", "copied")')
    cluster[3].until(lambda: cluster[3]("dbsize") > 0)
    before = reads_of(cluster[3])
    code = f"""
        config.enable_slave_read = true
        local found = {{}}
        for i = 1, 20 do found[i] = red:get("{key}") end
        return found
    """
    assert run(code) == [["copied"] * 20]
    assert 0 < reads_of(cluster[3]) - before < 20, "both are asked"


def reads_of(server: Redis) -> int:
    lines = server("info", "commandstats").splitlines()
    line = next((each for each in lines if each.startswith("cmdstat_get:")), "calls=0,")
    return int(line.split("calls=")[1].split(",")[0])
