"""What is written by the Admin API is served by the gateway, on the embedded store."""

from __future__ import annotations

import json
import os
import signal
import socket
from typing import Any

import pytest
from support.http import Client

ADMIN_KEY = "integration-admin-key"
PATIENCE = 30.0  # seconds before a test gives up on an event

Document = dict[str, Any]


def test_a_route_is_served_changed_and_gone(gateway: Any, upstream: Document) -> None:
    assert gateway.get("/one").status == 404
    route = {"uri": "/one", "upstream": upstream, "plugins": {"t-stamp": {"stamp": "a"}}}
    assert gateway.admin("PUT", "routes/one", route).status == 201
    assert gateway.until("/one", 200).json == ["/one", "a"]

    assert gateway.admin("PATCH", "routes/one", {"uri": "/two"}).status == 200
    assert gateway.until("/two", 200).json == ["/two", "a"]
    gateway.until("/one", 404)

    assert gateway.admin("DELETE", "routes/one").json["deleted"] == "1"
    gateway.until("/two", 404)


def test_resources_that_refer_to_one_another(gateway: Any, upstream: Document) -> None:
    for path, body in [
        ("upstreams/u", upstream),
        ("services/s", {"upstream_id": "u", "plugins": {"t-stamp": {"stamp": "service"}}}),
        ("plugin_configs/p", {"plugins": {"t-stamp": {"stamp": "plugin config"}}}),
        ("routes/r", {"uri": "/r", "service_id": "s", "plugin_config_id": "p"}),
    ]:
        assert gateway.admin("PUT", path, body).status == 201
    assert gateway.until("/r", 200).json == ["/r", "plugin config"]
    refused = gateway.admin("DELETE", "upstreams/u")
    assert refused.status == 400
    assert refused.json["error_msg"] == (
        "can not delete this upstream, service [s] is still using it now"
    )
    for path in ("routes/r", "plugin_configs/p", "services/s", "upstreams/u"):
        assert gateway.admin("DELETE", path).status == 200
    gateway.until("/r", 404)


def test_consumers_and_credentials_are_let_in(gateway: Any, upstream: Document) -> None:
    route = {"uri": "/private", "upstream": upstream, "plugins": {"t-key": {}}}
    gateway.admin("PUT", "routes/private", route)
    gateway.until("/private", 401)
    gateway.admin("PUT", "consumers", {"username": "jack", "plugins": {"t-key": {"key": "j"}}})
    gateway.until("/private", 200, X_Key="j")
    credential = {"plugins": {"t-key": {"key": "j2"}}}
    assert gateway.admin("PUT", "consumers/jack/credentials/c", credential).status == 201
    gateway.until("/private", 200, X_Key="j2")
    assert gateway.admin("DELETE", "consumers/jack").status == 200
    gateway.until("/private", 401, X_Key="j2")
    gateway.until("/private", 401, X_Key="j")


def test_global_rules_are_everybodys(gateway: Any, upstream: Document) -> None:
    gateway.admin("PUT", "routes/g", {"uri": "/g", "upstream": upstream})
    gateway.until("/g", 200)
    rule = {"plugins": {"t-stamp": {"stamp": "global"}}}
    assert gateway.admin("PUT", "global_rules/1", rule).status == 201
    while gateway.get("/g").json != ["/g", "global"]:
        pass
    assert gateway.admin("DELETE", "global_rules/1").status == 200
    while gateway.get("/g").json != ["/g", None]:
        pass


def test_a_bad_route_is_refused_and_the_good_one_stays(gateway: Any, upstream: Document) -> None:
    route = {"uri": "/good", "upstream": upstream}
    gateway.admin("PUT", "routes/good", route)
    gateway.until("/good", 200)
    for plugins, words in [
        ({"t-stamp": {}}, 't-stamp err: property "stamp" is required'),
        ({"t-hello": {}}, 't-hello err: property "name" is required'),
    ]:
        refused = gateway.admin("PUT", "routes/good", {**route, "plugins": plugins})
        assert refused.status == 400
        prefix = "failed to check the configuration of plugin "
        assert refused.json == {"error_msg": prefix + words}
    assert gateway.get("/good").status == 200


def test_what_python_plugins_want_of_consumers_and_metadata_is_checked(gateway: Any) -> None:
    jack = {"username": "jack", "plugins": {"t-hello": {"word": 7}}}
    refused = gateway.admin("PUT", "consumers", jack)
    assert refused.status == 400
    assert 'property "word" validation failed' in refused.json["error_msg"]
    jack["plugins"] = {"t-hello": {"word": "x"}}
    assert gateway.admin("PUT", "consumers", jack).status == 201
    assert gateway.admin("DELETE", "consumers/jack").status == 200
    refused = gateway.admin("PUT", "plugin_metadata/t-hello", {"size": "big"})
    assert refused.status == 400
    assert 'property "size" validation failed' in refused.json["error_msg"]
    assert gateway.admin("PUT", "plugin_metadata/t-hello", {"size": 3}).status == 201
    shown = gateway.admin("GET", "schema/plugins/t-hello?schema_type=consumer").json
    assert shown["properties"] == {"word": {"type": "string"}}


def test_answers_are_json_and_say_which_version(gateway: Any) -> None:
    reply = gateway.admin("GET", "routes")
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.headers["X-API-VERSION"] == "v3"
    assert reply.headers["Server"] == "APISIX/3.18.0"
    assert reply.headers["Access-Control-Allow-Origin"] == "*"
    assert reply.body.endswith(b"}\n")


def test_keys_come_in_headers_queries_and_cookies(gateway: Any) -> None:
    key = "integration-viewer-key"
    assert gateway.ask_admin("routes", {"X-Api-Key": key}).status == 200
    assert gateway.ask_admin(f"routes?api_key={key}", {}).status == 200
    assert gateway.ask_admin("routes", {"Cookie": f"a=b; x_api_key={key}"}).status == 200
    assert gateway.ask_admin("routes", {"Cookie": "a=b"}).status == 401
    assert gateway.admin("DELETE", "routes/1", key=key).status == 401


@pytest.mark.parametrize("key", [None, "nonsense"])
def test_without_a_right_key_nothing_is_shown(gateway: Any, key: str | None) -> None:
    reply = gateway.admin("GET", "routes", key=key)
    assert reply.status == 401
    assert reply.json["error_msg"] == "failed to check token"


def test_a_browser_asks_first(gateway: Any) -> None:
    reply = gateway.admin("OPTIONS", "routes", key=None)
    assert (reply.status, reply.body) == (200, b"")
    assert "PATCH" in reply.headers["Access-Control-Allow-Methods"]


def test_a_body_may_be_chunked(gateway: Any, upstream: Document) -> None:
    body = json.dumps({"uri": "/chunked", "upstream": upstream}).encode()
    head = f"PUT /apisix/admin/routes/c HTTP/1.1\r\nHost: a\r\nX-API-KEY: {ADMIN_KEY}\r\n"
    with socket.create_connection(("127.0.0.1", gateway.admin_port)) as connection:
        connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        for part in (body[:7], body[7:], b""):
            connection.sendall(b"%x\r\n%s\r\n" % (len(part), part))
        assert Client(connection).response().status == 201


def test_a_body_that_is_too_large_is_413(gateway: Any) -> None:
    reply = gateway.admin("PUT", "routes/1", b'"' + b"x" * 1572864 + b'"')
    assert reply.status == 413
    assert "1572864" in reply.json["error_msg"]


def test_a_killed_admin_api_comes_back_with_all_it_knew(gateway: Any, upstream: Document) -> None:
    gateway.admin("PUT", "routes/kept", {"uri": "/kept", "upstream": upstream})
    os.kill(gateway.admin_pid(), signal.SIGKILL)
    # Its socket is the master's, so this request waits for the next process.
    assert gateway.admin("GET", "routes/kept").json["value"]["uri"] == "/kept"
    assert gateway.until("/kept", 200)


def accepts(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address).close()
    except ConnectionRefusedError:
        return False
    except ConnectionResetError:  # it was just being closed
        return True
    return True


def test_a_request_under_way_is_answered_before_a_quit(start: Any, upstream: Document) -> None:
    gateway = start()
    body = json.dumps({"uri": "/late", "upstream": upstream}).encode()
    address = ("127.0.0.1", gateway.admin_port)
    with socket.create_connection(address) as _idle, socket.create_connection(address) as busy:
        client = Client(busy)
        busy.sendall(
            f"PUT /apisix/admin/routes/late HTTP/1.1\r\nHost: a\r\nX-API-KEY: {ADMIN_KEY}\r\n"
            f"Expect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        )
        assert client.head().status == 100
        gateway.process.send_signal(signal.SIGQUIT)
        while accepts(address):
            pass
        busy.sendall(body)
        assert client.response().status == 201
        assert gateway.process.wait(PATIENCE) == 0
