"""The `gateway` fixture."""

from __future__ import annotations

import os
import socket
import time
from typing import Any

import pytest

from pygw.hub.clock import Clock
from pygw.testing import Gateway, GatewayError, LuaError
from pygw.vm import compiled

LIMIT = {"count": 1, "time_window": 60, "rejected_code": 429, "key": "remote_addr"}


def functions(*code: str, phase: str = "access") -> dict[str, Any]:
    return {"serverless-pre-function": {"phase": phase, "functions": list(code)}}


def test_a_request_takes_the_whole_way_without_a_port(gateway: Gateway) -> None:
    path = gateway.route({"response-rewrite": {"headers": {"set": {"X-A": "b"}}}})
    answer = gateway.request("POST", f"{path}/x?y=1", headers={"X-B": "c"}, json={"d": [1]})
    assert gateway.port is None
    assert (answer.status, answer.reason, answer.text) == (200, "OK", "hello")
    assert answer.headers["x-a"] == "b"
    seen = gateway.upstream.last
    assert (seen.method, seen.path, seen.target) == ("POST", f"{path}/x", f"{path}/x?y=1")
    assert (seen.headers["X-B"], seen.json()) == ("c", {"d": [1]})
    assert gateway.asked == [f"POST {path}/x?y=1: 200"]


def test_what_the_upstream_answers_is_up_to_the_test(gateway: Gateway) -> None:
    path = gateway.route()
    gateway.upstream.reply(201, {"a": 1}, {"X-Up": "yes"})
    answer = gateway.get(path)
    assert (answer.status, answer.json(), answer.headers["X-Up"]) == (201, {"a": 1}, "yes")
    gateway.upstream.respond(lambda seen: (200, None, seen.target))
    assert gateway.get(f"{path}?z").text == f"{path}?z"
    gateway.upstream.reset()
    assert gateway.upstream.requests == []
    with pytest.raises(AssertionError, match="no request came to the upstream"):
        gateway.upstream.last  # noqa: B018


def test_one_answer_differs(gateway: Gateway) -> None:
    path = gateway.route()
    gateway.upstream.reply(202, "always")
    gateway.upstream.reply_once(500, "never")
    gateway.upstream.reply_once(503, "once", {"Connection": "close"})
    assert [gateway.get(path).text for _ in range(3)] == ["once", "always", "always"]
    assert gateway.upstream.connections == 2
    gateway.upstream.reply_once(503)
    gateway.upstream.reset()
    assert gateway.get(path).text == "hello"


def test_heads_and_empty_answers(gateway: Gateway) -> None:
    path = gateway.route()
    assert gateway.request("HEAD", path).body == b""
    gateway.upstream.reply(204)
    assert gateway.get(path).status == 204


def test_the_address_of_the_client_is_the_tests_to_say(gateway: Gateway) -> None:
    path = gateway.route({"ip-restriction": {"whitelist": ["10.0.0.0/8"]}})
    assert gateway.get(path, remote_addr="10.1.2.3").status == 200
    assert gateway.get(path, remote_addr="11.1.2.3").status == 403
    assert gateway.upstream.last.headers["X-Real-IP"] == "10.1.2.3"


def test_windows_pass_in_virtual_time(gateway: Gateway) -> None:
    path = gateway.route({"limit-count": LIMIT})
    assert [gateway.get(path).status for _ in range(2)] == [200, 429]
    gateway.clock.advance(60)
    assert gateway.get(path).status == 200


def test_time_jumps_while_everything_waits(gateway: Gateway) -> None:
    path = gateway.route(functions("return function() ngx.sleep(3600) end"))
    before = gateway.clock.now
    assert gateway.get(path).status == 200
    assert gateway.clock.now - before == pytest.approx(3600, abs=1)


def test_time_stands_still_without_autojump(make_gateway: Any) -> None:
    gateway = make_gateway(autojump=None)
    path = gateway.route()
    before = gateway.clock.now
    assert gateway.get(path).status == 200
    assert gateway.clock.now == before


def test_an_item_that_is_refused_says_why(gateway: Gateway) -> None:
    with pytest.raises(GatewayError, match='property "uri" validation failed: wrong type'):
        gateway.put("routes/1", {"uri": 1})
    with pytest.raises(GatewayError, match='property "count" validation'):
        gateway.route({"limit-count": {**LIMIT, "count": -1}})


def test_a_whole_configuration_as_yaml(gateway: Gateway) -> None:
    gateway.load(f"""
        routes:
          - {{id: 1, uri: /a, upstream_id: up, plugins: {{key-auth: {{}}}}}}
        consumers:
          - {{username: jack, plugins: {{key-auth: {{key: secret}}}}}}
        upstreams:
          - {{id: up, type: roundrobin, nodes: {{"{gateway.upstream.node}": 1}}}}
    """)
    assert gateway.get("/a").status == 401
    assert gateway.get("/a", headers={"apikey": "secret"}).status == 200
    gateway.delete("routes/1")
    assert gateway.get("/a").status == 404


def test_settle_waits_for_what_was_written_into_the_store(gateway: Gateway) -> None:
    made = b'{"uri": "/%d", "plugins": {"mocking": {"response_example": "%d"}}}'
    for number in range(20):
        gateway.store.put(b"/apisix/routes/%d" % number, made % (number, number))
    gateway.store.put(b"/apisix/routes/19", b'{"uri": 1}')
    gateway.store.put(b"/apisix/routes/bad", b'{"uri": 1}')
    gateway.store.put(b"/apisix/nobody/1", b"{}")
    gateway.store.put(b"/apisix/routes/19", made % (20, 20))
    gateway.settle()
    assert [gateway.get(path).text for path in ("/0", "/18", "/20")] == ["0", "18", "20"]
    assert gateway.get("/19").status == 404


def test_lua_is_seen_from_within(gateway: Gateway) -> None:
    path = gateway.route({"limit-count": LIMIT})
    gateway.get(path)
    (value,) = gateway.inside.shared("plugin-limit-count").values()
    assert value == 1
    assert gateway.inside.context()["route_id"] == path.rpartition("/")[2]
    assert gateway.inside.lua("return 1 + 1") == 2
    assert gateway.inside.lua('return "ä", { 1, { a = true } }') == ["ä", [1, {"a": True}]]
    assert gateway.inside.lua("local nothing") is None
    with pytest.raises(LuaError, match="test:1: so"):
        gateway.inside.lua("error('so')")
    with pytest.raises(LuaError, match="unexpected symbol"):
        gateway.inside.lua("return )")
    with pytest.raises(KeyError):
        gateway.inside.shared("nothing")


def test_it_listens_when_asked_to(make_gateway: Any) -> None:
    gateway = make_gateway(port=True)
    path = gateway.route()
    with socket.create_connection(("127.0.0.1", gateway.port)) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        gateway.until(lambda: bool(gateway.upstream.requests))
    assert gateway.upstream.last.path == path


def test_two_gateways_beside_each_other(make_gateway: Any) -> None:
    one, two = make_gateway({"plugins": ["mocking"]}), make_gateway()
    path = one.route({"mocking": {"response_example": "one"}})
    assert (one.get(path).text, two.get(path).status) == ("one", 404)


def test_what_runs_away_fails(gateway: Gateway) -> None:
    path = gateway.route(functions("return function() while true do end end"))
    assert gateway.get(path).status == 500
    assert "more than 20000000 instructions without an end" in gateway.log
    assert gateway.get(gateway.route()).status == 200


def test_leaks_are_told(gateway: Gateway) -> None:
    clean = gateway.route()
    gateway.get(clean)
    with gateway.no_leaks():
        gateway.get(clean)
    timer = gateway.route(functions("return function() ngx.timer.at(1000, print) end"))
    entry = gateway.route(
        functions('return function() ngx.shared.tracing_buffer:set(ngx.now(), "x") end')
    )
    thread = gateway.route(
        functions(
            "return function() ngx.timer.at(0, function() ngx.thread.spawn(ngx.sleep, 9e5) end) end"
        )
    )
    for path, what in [(timer, "timers"), (entry, "shared_entries"), (thread, "coroutines")]:
        leaks = gateway.no_leaks()
        leaks.__enter__()
        assert gateway.get(path).status == 200
        gateway.clock.advance(0)
        with pytest.raises(AssertionError, match=f"left behind: .*{what}"):
            leaks.__exit__(None, None, None)


def test_chance_begins_at_the_seed(make_gateway: Any) -> None:
    code = "return function() ngx.say(math.random(1e9)) end"

    def said(seed: int) -> list[str]:
        gateway = make_gateway(seed=seed)
        path = gateway.route(functions(code))
        return [gateway.get(path).text for _ in range(3)]

    assert said(7) == said(7) != said(8)


def test_real_time_is_waited_for(make_gateway: Any) -> None:
    gateway = make_gateway(clock=Clock())
    path = gateway.route(functions("return function() ngx.sleep(0.1) end"))
    assert gateway.get(path).status == 200


def test_only_the_first_gateway_compiles(
    make_gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_gateway()
    files: list[str] = []
    monkeypatch.setattr(compiled.Compiled, "keep", lambda _, file, *more: files.append(file))
    make_gateway()
    settled = time.time() - 10  # of a file that somebody edits now nothing is kept
    assert [file for file in files if os.stat(file).st_mtime < settled] == []
