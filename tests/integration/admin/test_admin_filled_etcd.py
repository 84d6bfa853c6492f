"""An etcd that APISIX filled, served and administered as it is: its keys, spelling, ciphers.

The values are as APISIX's cjson writes them ("\\/", an empty array as {}, ids as texts), and what
it encrypts is encrypted by its default keys.
"""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from support.certificates import Authority, Certificate

from pygw.admin.resources import RESOURCES

DEFAULT_KEY, OLD_DEFAULT_KEY = b"qeddd145sfvddff3", b"edd1c9f0985e76a2"
TIMES = '"create_time":1699941324,"update_time":1699941358'
DIRECTORIES = [*RESOURCES.keys() - {"credentials", "graphql_cost_decorations"}, "plugins"]


def encrypted(text: str, key: bytes = DEFAULT_KEY) -> str:
    padder = padding.PKCS7(128).padder()
    padded = padder.update(text.encode()) + padder.finalize()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key)).encryptor()
    return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()


def cjson(text: str) -> str:
    """A string as cjson writes it."""
    return json.dumps(text).replace("/", "\\/")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def client(authority: Authority) -> Certificate:
    return authority.issue("client.test")


@pytest.fixture(scope="module")
def strict(authority: Authority) -> Iterator[str]:
    """An upstream that wants a client's certificate."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = authority.issue("upstream.test").server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.path)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def gateway(module_start: Any, etcd: Any, upstream: Any, strict: str, client: Certificate) -> Any:
    ((node, weight),) = upstream["nodes"].items()
    host, port = node.split(":")
    pair = f'"cert":{cjson(client.pem)},"key":{cjson(encrypted(client.key_pem))}'
    nodes = f'"nodes":[{{"host":"{host}","port":{port},"weight":{weight}}}]'
    mutual = f'"nodes":{{"{strict}":1}},"type":"roundrobin","scheme":"https"'
    auth = '"plugins":{"key-auth":{"query":"apikey","hide_credentials":false,"header":"apikey"}}'
    post_id = "00000000000000000017"
    items = {
        **{f"{name}/": "init_dir" for name in DIRECTORIES},
        "plugins": '[{"name":"real-ip"},{"name":"key-auth"},{"name":"mqtt-proxy","stream":true}]',
        "upstreams/1": f'{{"id":"1",{TIMES},"hash_on":"vars","pass_host":"pass","scheme":"http",'
        f'"type":"roundrobin","labels":{{}},{nodes}}}',
        f"services/{post_id}": f'{{"id":"{post_id}","upstream_id":"1",{TIMES}}}',
        "routes/1": f'{{"uri":"\\/open\\/*","id":"1","status":1,"priority":0,{TIMES},'
        '"upstream_id":"1","methods":["GET"],"labels":{}}',
        "routes/2": f'{{"uris":["\\/keyed"],"id":"2",{TIMES},"service_id":"{post_id}",{auth}}}',
        "routes/3": f'{{"uri":"\\/rule","id":3,"plugin_config_id":"1",{TIMES},"upstream_id":1}}',
        "routes/4": f'{{"uri":"\\/mutual","id":"4",{TIMES},'
        f'"upstream":{{{mutual},"tls":{{"client_cert_id":"c","verify":false}}}}}}',
        "routes/5": f'{{"uri":"\\/mutual-own","id":"5",{TIMES},"upstream":{{{mutual},'
        f'"tls":{{"client_cert":{cjson(client.pem)},'
        f'"client_key":{cjson(encrypted(client.key_pem))}}}}}}}',
        "routes/bad": f'{{"uri":"\\/bad","id":"bad","priority":"high",{TIMES},"upstream_id":"1"}}',
        "plugin_configs/1": f'{{"id":"1",{TIMES},"plugins":{{"response-rewrite":'
        '{"headers":{"set":{"X-Rule":"1"}}}}}',
        "consumer_groups/g": f'{{"id":"g",{TIMES},"plugins":{{"response-rewrite":'
        '{"headers":{"set":{"X-Group":"g"}}}}}',
        "consumers/jack": f'{{"username":"jack","group_id":"g",{TIMES},'
        f'"plugins":{{"key-auth":{{"key":{cjson(encrypted("jacks"))}}}}}}}',
        "consumers/jack/credentials/old": f'{{"id":"old",{TIMES},"plugins":{{"key-auth":'
        f'{{"key":{cjson(encrypted("jacks old one", OLD_DEFAULT_KEY))}}}}}}}',
        "global_rules/1": f'{{"id":"1",{TIMES},"plugins":{{"request-id":{{"algorithm":"uuid",'
        '"include_in_response":true,"header_name":"X-Request-Id"}}}',
        "plugin_metadata/http-logger": '{"id":"http-logger","log_format":{"host":"$host"}}',
        "secrets/vault/1": f'{{"id":"vault\\/1",{TIMES},"uri":"http:\\/\\/127.0.0.1:8200",'
        '"prefix":"kv\\/apisix","token":"root"}',
        "ssls/c": f'{{"id":"c","type":"client","status":1,{TIMES},{pair}}}',
        "ssls/s": f'{{"id":"s","type":"server","status":1,"snis":["test.com"],{TIMES},{pair}}}',
        "protos/1": f'{{"id":"1",{TIMES},"content":"syntax = \\"proto3\\";"}}',
        "stream_routes/1": f'{{"id":"1","server_port":9100,{TIMES},"upstream_id":"1"}}',
        "data_plane/server_info/7b8a": '{"id":"7b8a","version":"3.18.0","boot_time":1699941000}',
    }
    for key, value in items.items():
        etcd.ctl("put", "--", f"/apisix/{key}", value)
    plugins = ["key-auth", "response-rewrite", "request-id", "http-logger"]
    return module_start(
        {"etcd": {"host": [etcd.url], "timeout": 5}}, config_changes={"plugins": plugins}
    )


def test_its_routes_are_served(gateway: Any) -> None:
    answer = gateway.until("/open/1", 200)
    assert answer.headers["X-Request-Id"]
    assert gateway.until("/rule", 200).headers["X-Rule"] == "1"
    assert gateway.get("/open").status == 404


def test_its_consumers_come_in_by_keys_that_are_encrypted_there(gateway: Any) -> None:
    assert gateway.until("/keyed", 200, apikey="jacks").headers["X-Group"] == "g"
    assert gateway.until("/keyed", 200, apikey="jacks old one").status == 200
    for key in (encrypted("jacks"), "jack"):
        assert gateway.get("/keyed", apikey=key).status == 401


@pytest.mark.parametrize("path", ["/mutual", "/mutual-own"])
def test_its_certificates_open_upstreams(gateway: Any, path: str) -> None:
    gateway.until(path, 200)


def test_a_bad_item_is_named_and_the_rest_served(gateway: Any) -> None:
    gateway.until("/open/1", 200)
    assert gateway.get("/bad").status == 404
    assert "/apisix/routes/bad" in gateway.log()


def test_the_admin_api_shows_it_plain_but_for_private_keys(gateway: Any) -> None:
    def listed(path: str) -> list[str]:
        answer = gateway.admin("GET", path).json
        assert answer["total"] == len(answer["list"])
        return [item["key"].removeprefix("/apisix/") for item in answer["list"]]

    assert listed("consumers") == ["consumers/jack"]
    assert listed("consumers/jack/credentials") == ["consumers/jack/credentials/old"]
    assert listed("secrets") == ["secrets/vault/1"]
    assert listed("plugin_metadata") == ["plugin_metadata/http-logger"]
    assert listed("routes") == [f"routes/{name}" for name in ("1", "2", "3", "4", "5", "bad")]
    jack = gateway.admin("GET", "consumers/jack").json["value"]
    assert jack["plugins"]["key-auth"]["key"] == "jacks"
    old = gateway.admin("GET", "consumers/jack/credentials/old").json["value"]
    assert old["plugins"]["key-auth"]["key"] == "jacks old one"
    for item in gateway.admin("GET", "ssls").json["list"]:
        assert "key" not in item["value"]
        assert "cert" in item["value"]


def test_what_it_refers_to_stays(gateway: Any) -> None:
    for path, words in (
        ("upstreams/1", "route [1]"),
        ("plugin_configs/1", "route [3]"),
        ("consumer_groups/g", "consumer [jack]"),
        ("services/00000000000000000017", "route [2]"),
    ):
        answer = gateway.admin("DELETE", path)
        assert answer.status == 400
        assert f"{words} is still using it now" in answer.json["error_msg"]


def test_a_change_keeps_what_is_encrypted(gateway: Any, etcd: Any) -> None:
    patched = gateway.admin("PATCH", "routes/4", {"labels": {"seen": "yes"}})
    assert patched.status == 200, patched.body
    gateway.until("/mutual", 200)
    jack = gateway.admin("GET", "consumers/jack").json["value"]
    jack = {name: jack[name] for name in ("username", "group_id", "plugins")}
    replaced = gateway.admin("PUT", "consumers", jack)
    assert (replaced.status, replaced.json["value"]["create_time"]) == (200, 1699941324)
    stored = json.loads(etcd.ctl("get", "/apisix/consumers/jack", "--print-value-only"))
    assert stored["plugins"]["key-auth"]["key"] == encrypted("jacks")
    assert gateway.admin("PATCH", "ssls/s", {"labels": {"a": "b"}}).status == 200
    stored = json.loads(etcd.ctl("get", "/apisix/ssls/s", "--print-value-only"))
    assert not stored["key"].startswith("---")
    gateway.until("/keyed", 200, apikey="jacks")


def test_the_list_of_plugins_is_that_of_config_yaml(gateway: Any, etcd: Any) -> None:
    assert gateway.admin("GET", "plugins/list").json[-1] != "mqtt-proxy"
    assert gateway.admin("PUT", "plugins/reload").status == 200
    listed = json.loads(etcd.ctl("get", "/apisix/plugins", "--print-value-only"))
    assert {"name": "request-id"} in listed
