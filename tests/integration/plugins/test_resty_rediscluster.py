"""resty.rediscluster against a real cluster of three masters and a replica."""

import binascii
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.lua_console import LuaConsole
from support.redis_server import SLOTS, Redis, running, running_cluster
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


KEYS = [
    "",
    "foo",
    "{user}:1",
    "a{user}b",
    "{}",
    "{}x",
    "foo{}{bar}",
    "foo{{bar}}zap",
    "a}b{c}",
    "\x7f",
]


@pytest.mark.parametrize("key", KEYS)
def test_the_slot_of_a_key_is_the_one_that_redis_says(
    console: LuaConsole, cluster: list[Redis], key: str
) -> None:
    code = f'return require("resty.rediscluster.slot")({lua_text(key)})'
    assert console.run(code) == [cluster[0]("cluster", "keyslot", key)]


def lua_text(text: str) -> str:
    return '"' + "".join(f"\\{byte:03d}" for byte in text.encode()) + '"'


def test_slots_are_crc16_xmodem(console: LuaConsole) -> None:
    keys = [str(i * i) for i in range(200)]
    expected = [binascii.crc_hqx(key.encode(), 0) % SLOTS for key in keys]
    code = """
        local slot, found = require "resty.rediscluster.slot", {}
        for i = 0, 199 do found[i + 1] = slot(tostring(i * i)) end
        return found
    """
    assert console.run(code) == [expected]


def test_commands_go_to_the_node_of_their_key(run: Run, cluster: list[Redis]) -> None:
    for port, key in keys_by_owner(cluster).items():
        assert run(f'return red:set("{key}", 1), red:incr("{key}")') == ["OK", 2]
        assert next(s for s in cluster if s.port == port)("get", key) == "2"


def test_an_error_of_redis_is_nil_and_its_text(run: Run) -> None:
    assert run('red:set("s", "x") return red:incr("s")') == [
        None,
        "ERR value is not an integer or out of range",
    ]


def test_absent_values_are_null(run: Run) -> None:
    assert run('return red:get("absent") == ngx.null') == [True]


def test_scripts_go_where_their_key_is(run: Run, cluster: list[Redis]) -> None:
    key = keys_by_owner(cluster)[cluster[2].port]
    script = "return {redis.call('incrby', KEYS[1], ARGV[1]), KEYS[1]}"
    assert run(f'red:del("{key}") return red:eval("{script}", 1, "{key}", 5)') == [[5, key]]
    code = f"""
        local sha = require("resty.string").to_hex(ngx.sha1_bin("{script}"))
        return red:evalsha(sha, 1, "{key}", 2)
    """
    assert run(code) == [[7, key]]
    assert run('return red:eval("return 1", 0)') == [1]


def test_the_keys_of_a_script_must_be_of_one_slot(run: Run) -> None:
    script = "return #KEYS"
    assert run(f'return red:eval("{script}", 2, "{{a}}1", "{{a}}2")') == [2]
    assert run(f'return red:eval("{script}", 2, "a", "b")') == [
        None,
        "Cannot execute eval with more than one keys for redis cluster",
    ]
    assert run(f'return red:eval("{script}", "x")') == [
        None,
        "Cannot execute eval without keys number",
    ]


def test_a_pipeline_over_all_nodes_keeps_the_order(run: Run, cluster: list[Redis]) -> None:
    keys = sorted(keys_by_owner(cluster).values())
    sets = "".join(f'red:set("{key}", "of {key}") ' for key in keys)
    gets = "".join(f'red:get("{key}") ' for key in keys)
    code = f"red:init_pipeline() {sets} {gets} return red:commit_pipeline()"
    assert run(code) == [["OK"] * 3 + [f"of {key}" for key in keys]]


def test_errors_in_a_pipeline_stay_in_their_place(run: Run) -> None:
    code = """
        red:init_pipeline()
        red:set("s", "x")
        red:incr("s")
        red:get("other")
        return red:commit_pipeline()
    """
    assert run(code)[0][:2] == ["OK", [False, "ERR value is not an integer or out of range"]]


def test_a_cancelled_pipeline_sends_nothing(run: Run) -> None:
    code = """
        red:del("c")
        red:init_pipeline()
        red:set("c", 1)
        red:cancel_pipeline()
        return red:commit_pipeline() == nil, red:get("c") == ngx.null
    """
    assert run(code) == [True, True]


def test_flushall_goes_to_every_master(run: Run, cluster: list[Redis]) -> None:
    for key in keys_by_owner(cluster).values():
        run(f'red:set("{key}", 1)')
    assert run("return red:flushall()")[0] is True
    assert [server("dbsize") for server in cluster[:3]] == [0, 0, 0]


def test_what_makes_no_sense_in_a_cluster(run: Run) -> None:
    assert run('return red:config("get", "port")') == [None, "command not supported"]
    assert run("return red:shutdown()") == [None, "command not supported"]


def test_the_first_server_that_answers_tells_of_the_others(
    console: LuaConsole, cluster: list[Redis]
) -> None:
    code = f"""
        local red, err = require("resty.rediscluster"):new({{
            name = "two", auth = "secret", max_connection_attempts = 1,
            serv_list = {{
                {{ ip = "127.0.0.1", port = 1 }}, {{ ip = "127.0.0.1", port = {cluster[0].port} }},
            }},
        }})
        return err, red:set("x", 1)
    """
    assert console.run(code) == [None, "OK"]


@pytest.mark.parametrize(
    ("config", "error"),
    [
        ("{}", " redis cluster config name is empty"),
        ("{ name = 'x' }", " redis cluster config serv_list is empty"),
        ("{ name = 'x', serv_list = {} }", " redis cluster config serv_list is empty"),
        (
            "{ name = 'x', serv_list = { { ip = '127.0.0.1', port = 1 } } }",
            "failed to fetch slots: connection refused;connection refused;connection refused",
        ),
    ],
)
def test_what_is_no_cluster(console: LuaConsole, config: str, error: str) -> None:
    code = f'return require("resty.rediscluster"):new({config})'
    assert console.run(code) == [None, error]


def test_a_wrong_password(console: LuaConsole, cluster: list[Redis]) -> None:
    code = f"""
        return require("resty.rediscluster"):new({{
            name = "wrong", auth = "x",
            serv_list = {{ {{ ip = "127.0.0.1", port = {cluster[0].port} }} }},
        }})
    """
    _, err = console.run(code)
    assert err.startswith("failed to fetch slots: WRONGPASS")


def test_a_server_that_is_no_cluster(console: LuaConsole, tmp_path: Path) -> None:
    with running(tmp_path / "one") as server:
        code = f"""
            return require("resty.rediscluster"):new({{
                name = "none", serv_list = {{ {{ ip = "127.0.0.1", port = {server.port} }} }},
            }})
        """
        assert console.run(code) == [
            None,
            "failed to fetch slots: ERR This instance has cluster support disabled",
        ]


def test_tasks_that_come_together_ask_for_the_slots_once(
    console: LuaConsole, cluster: list[Redis]
) -> None:
    code = f"""
        local rediscluster, done = require "resty.rediscluster", {{}}
        local function use()
            local red = assert(rediscluster:new({{
                name = "shared", auth = "secret",
                serv_list = {{ {{ ip = "127.0.0.1", port = {cluster[0].port} }} }},
            }}))
            local reply = red:set("x", 1)
            done[#done + 1] = reply
        end
        local threads = {{}}
        for i = 1, 5 do threads[i] = ngx.thread.spawn(use) end
        for i = 1, 5 do ngx.thread.wait(threads[i]) end
        return done
    """
    before = slots_asked(cluster[0])
    assert console.run(code) == [["OK"] * 5]
    assert slots_asked(cluster[0]) - before == 1


def slots_asked(server: Redis) -> int:
    lines = server("info", "commandstats").splitlines()
    line = next((each for each in lines if each.startswith("cmdstat_cluster|slots:")), "calls=0,")
    return int(line.split("calls=")[1].split(",")[0])


def test_a_master_that_dies_is_replaced_by_its_replica(console: LuaConsole, tmp_path: Path) -> None:
    with running_cluster(tmp_path) as cluster:
        key = keys_by_owner(cluster)[cluster[0].port]
        prelude = f"""
            local red = assert(require("resty.rediscluster"):new({{
                name = "mortal", serv_list = {{ {{ ip = "127.0.0.1", port = {cluster[1].port} }} }},
            }}))
        """
        assert console.run(f'{prelude} return red:set("{key}", "kept")') == ["OK"]
        cluster[3].until(lambda: cluster[3]("dbsize") > 0)
        cluster[0].stop()
        for server in cluster[1:]:
            server.log.wait_for("Cluster state changed: ok", 2)
        assert console.run(f'{prelude} return red:get("{key}")') == ["kept"]
