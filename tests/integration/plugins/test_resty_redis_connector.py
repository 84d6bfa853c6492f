"""resty.redis.connector against real servers: directly, by DSN, through a sentinel."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.lua_console import LuaConsole
from support.redis_server import Redis, running_sentinel

Run = Callable[[str], Any]


@pytest.fixture
def server(redis: Redis) -> Redis:
    """Empty."""
    redis("flushall")
    return redis


@pytest.fixture(scope="module")
def run(module_app_server: Callable[..., Any]) -> Run:
    console = LuaConsole(module_app_server)
    return lambda code: console.run('local connector = require "resty.redis.connector"\n' + code)


def test_host_port_and_database(run: Run, server: Redis) -> None:
    code = f"""
        local rc = connector.new({{ port = {server.port}, db = 3, connect_timeout = 1000 }})
        local red = assert(rc:connect())
        red:set("in", "three")
        return rc:set_keepalive(red)
    """
    assert run(code) == [1]
    server("select", 3)
    assert server("get", "in") == "three"
    server("select", 0)


def test_parameters_of_connect_win_for_that_connection_alone(run: Run, server: Redis) -> None:
    code = f"""
        local rc = connector.new({{ port = 1, db = 3 }})
        local red = assert(rc:connect({{ port = {server.port}, db = 5 }}))
        local _, err = rc:connect()
        return red:client("info"):match("db=(%d+)"), err
    """
    assert run(code) == ["5", "connection refused"]


def test_a_pooled_connection_never_changes_its_database_or_user(run: Run, server: Redis) -> None:
    code = f"""
        local function connect(params)
            local rc = connector.new(params)
            local red = assert(rc:connect())
            local db = red:client("info"):match("db=(%d+)")
            local seen = {{ red:client("id"), db, red:acl("whoami") }}
            assert(red:set_keepalive(10000, 10))
            return seen
        end
        local port = {server.port}
        local first = connect({{ port = port, db = 1 }})
        local other_db = connect({{ port = port, db = 2 }})
        local other_user = connect({{ port = port, db = 1, username = "app", password = "secret" }})
        local again = connect({{ port = port, db = 1 }})
        return first, other_db, other_user, again
    """
    first, other_db, other_user, again = run(code)
    assert first == again
    assert len({first[0], other_db[0], other_user[0]}) == 3
    assert [other_db[1:], other_user[1:]] == [["2", "default"], ["1", "app"]]


def test_a_dsn(run: Run, server: Redis) -> None:
    code = f"""
        local rc = assert(connector.new({{ url = "redis://app:secret@127.0.0.1:{server.port}/4" }}))
        local red = assert(rc:connect())
        return red:acl("whoami"), red:client("info"):match("db=(%d+)")
    """
    assert run(code) == ["app", "4"]


@pytest.mark.parametrize(
    ("url", "parsed"),
    [
        ("redis://127.0.0.1:6379", {"host": "127.0.0.1", "port": 6379}),
        ("redis://pass@h:1/2", {"host": "h", "port": 1, "db": 2, "password": "pass"}),
        (
            "redis://user:pass@h:1/2",
            {"host": "h", "port": 1, "db": 2, "username": "user", "password": "pass"},
        ),
        ("sentinel://mymaster:m/1", {"master_name": "mymaster", "role": "master", "db": 1}),
        (
            "sentinel://pass@mymaster:s",
            {"master_name": "mymaster", "role": "slave", "password": "pass"},
        ),
    ],
)
def test_what_a_dsn_says(run: Run, url: str, parsed: dict[str, Any]) -> None:
    assert run(f'local p = connector.parse_dsn({{ url = "{url}" }}) return p') == [
        {"url": url, **parsed}
    ]


def test_what_stands_beside_the_dsn_wins(run: Run) -> None:
    code = 'return connector.parse_dsn({ url = "redis://h:1/2", db = 7 }).db'
    assert run(code) == [7]


@pytest.mark.parametrize("url", ["redis://h", "http://h:1", "redis://h:m", "sentinel://h:1", "x"])
def test_a_dsn_that_cannot_be_read(run: Run, url: str) -> None:
    assert run(f'return connector.new({{ url = "{url}" }})') == [None, "could not parse DSN"]


def test_an_unknown_parameter(run: Run) -> None:
    assert run("return connector.new({ prot = 1 })") == [None, "field prot does not exist"]
    code = "return select(2, pcall(connector.new().connect, connector.new(), { prot = 1 }))"
    assert "field prot does not exist" in run(code)[0]


def test_a_unix_socket(run: Run, server: Redis) -> None:
    path = server("config", "get", "unixsocket")[1]
    assert run(f'return connector.new({{ path = "{path}" }}):connect():ping()') == ["PONG"]


def test_a_wrong_password_is_refused(run: Run, server: Redis) -> None:
    params = f'{{ port = {server.port}, username = "app", password = "x" }}'
    code = f"return connector.new({params}):connect()"
    value, err = run(code)
    assert value is None
    assert err.startswith("WRONGPASS")


def test_disabled_commands_never_leave(run: Run, server: Redis) -> None:
    code = f"""
        local rc = connector.new({{ port = {server.port}, disabled_commands = {{ "flushall" }} }})
        local red = rc:connect()
        local _, err = red:flushall()
        return err, red:ping()
    """
    assert run(code) == ["Command flushall is disabled", "PONG"]


def test_a_proxy_gets_no_select_and_no_discard(run: Run, server: Redis) -> None:
    code = f"""
        local rc = connector.new({{ port = {server.port}, db = 9, connection_is_proxied = true }})
        local red = assert(rc:connect())
        local _, err = red:multi()
        return red:client("info") , err
    """
    assert run(code) == [None, "Command multi is disabled"]


def test_set_keepalive_leaves_a_transaction(run: Run, server: Redis) -> None:
    code = f"""
        local rc = connector.new({{ port = {server.port} }})
        local red = rc:connect()
        red:multi()
        rc:set_keepalive(red)
        red = rc:connect()
        return red:get_reused_times(), red:set("x", 1)
    """
    assert run(code) == [1, "OK"]


def test_the_first_host_that_answers(run: Run, server: Redis) -> None:
    code = f"""
        local hosts = {{
            {{ host = "127.0.0.1", port = 1 }}, {{ host = "127.0.0.1", port = {server.port} }},
        }}
        local red, err, errors = connector.new():try_hosts(hosts)
        local none, last, all = connector.new():try_hosts({{ hosts[1] }})
        return red:ping(), errors, none, last, all
    """
    refused = ["connection refused"]
    assert run(code) == ["PONG", refused, None, "no hosts available", refused]


def sentinel_params(sentinel: Redis, **more: object) -> str:
    fields = {"password": "data", "sentinel_password": "watch", **more}
    text = ", ".join(f"{name} = {value!r}" for name, value in fields.items())
    return f"{{ sentinels = {{ {{ host = '127.0.0.1', port = {sentinel.port} }} }}, {text} }}"


def test_the_master_by_a_sentinel(run: Run, watched: tuple[Redis, Redis, Redis]) -> None:
    master, _, sentinel = watched
    code = f"""
        local red = assert(connector.new({sentinel_params(sentinel, db=1)}):connect())
        red:set("written", "there")
        return red:role()[1], tonumber(red:config("get", "port")[2])
    """
    assert run(code) == ["master", master.port]


def test_a_slave_by_a_sentinel(run: Run, watched: tuple[Redis, Redis, Redis]) -> None:
    _, replica, sentinel = watched
    code = f"""
        local red = assert(connector.new({sentinel_params(sentinel, role="slave")}):connect())
        return red:role()[1], tonumber(red:config("get", "port")[2])
    """
    assert run(code) == ["slave", replica.port]


def test_what_sentinels_say_by_hand(run: Run, watched: tuple[Redis, Redis, Redis]) -> None:
    master, replica, sentinel = watched
    code = f"""
        local sentinels = require "resty.redis.sentinel"
        local rc = connector.new({{ port = {sentinel.port}, password = "watch" }})
        local red = assert(rc:connect())
        local master = sentinels.get_master(red, "mymaster")
        local slaves = sentinels.get_slaves(red, "mymaster")
        local none, err = sentinels.get_master(red, "nobody")
        return master, slaves[1].host, slaves[1].port, #slaves, none, err
    """
    assert run(code) == [
        {"host": "127.0.0.1", "port": str(master.port)},
        "127.0.0.1",
        str(replica.port),
        1,
        None,
        "invalid master name",
    ]


def test_an_unknown_master(run: Run, watched: tuple[Redis, Redis, Redis]) -> None:
    params = sentinel_params(watched[2], master_name="nobody")
    assert run(f"return connector.new({params}):connect()") == [None, "invalid master name"]


def test_no_sentinel_answers(run: Run) -> None:
    code = "return connector.new({ sentinels = { { host = '127.0.0.1', port = 1 } } }):connect()"
    assert run(code) == [None, "no hosts available", ["connection refused"]]


def test_a_sentinel_refuses_the_password(run: Run, watched: tuple[Redis, Redis, Redis]) -> None:
    params = sentinel_params(watched[2], sentinel_password="wrong", master_name="m2")
    _, err, errors = run(f"return connector.new({params}):connect()")
    assert err == "no hosts available"
    assert errors[0].startswith("WRONGPASS")


def test_a_master_that_is_known_is_not_asked_for_and_one_that_is_gone_is(
    run: Run, tmp_path: Path
) -> None:
    with running_sentinel(tmp_path) as (master, replica, sentinel):
        code = f"""
            local params = {{ sentinels = {{ {{ host = "127.0.0.1", port = {sentinel.port} }} }} }}
            local red = assert(connector.new(params):connect())
            return tonumber(red:config("get", "port")[2])
        """
        assert run(code) == [master.port]
        sentinel.pause()
        assert run(code) == [master.port], "from memory"
        sentinel.resume()
        sentinel("sentinel", "failover", "mymaster")
        sentinel.log.wait_for("+switch-master mymaster")
        master.stop()
        assert run(code) == [replica.port]
