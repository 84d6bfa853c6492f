"""Secrets in the store: encrypted by the Admin API, plain for plugins, as APISIX writes them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from support.certificates import Authority

from pygw.admin.api import Api
from pygw.admin.messages import NOTHING, Answer, Request
from pygw.config.settings import load
from pygw.vm.checker import Checker

NEW_KEY, OLD_KEY = "qeddd145sfvddff3", "edd1c9f0985e76a2"
ENCRYPTION = {"enable_encrypt_fields": True, "keyring": [NEW_KEY, OLD_KEY]}
ADMIN = {"admin": {"admin_key": [{"name": "a", "key": "the-admin-key", "role": "admin"}]}}
PEM = "-----BEGIN PRIVATE KEY-----\n" + "a" * 200
GIVEN = {
    "token": "a token",
    "list": ["one", "$env://TWO"],
    "map": {"authorization": "Bearer x", "x": ""},
    "deep": {"token": "below", "servers": [{"password": "p1", "host": "h"}, {"host": "none"}]},
    "count": 12345678901234567,
}


def encrypted(text: str, key: str = NEW_KEY) -> str:
    padder = padding.PKCS7(128).padder()
    padded = padder.update(text.encode()) + padder.finalize()
    encryptor = Cipher(algorithms.AES(key.encode()), modes.CBC(key.encode())).encryptor()
    return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()


STORED = {
    "token": encrypted("a token"),
    "list": [encrypted("one"), encrypted("$env://TWO")],
    "map": {"authorization": encrypted("Bearer x"), "x": encrypted("")},
    "deep": {
        "token": encrypted("below"),
        "servers": [{"password": encrypted("p1"), "host": "h"}, {"host": "none"}],
    },
    "count": 12345678901234567,
}


class Administered:
    """A gateway and an Admin API on its store."""

    def __init__(self, gateway: Any, api: Api) -> None:
        self.gateway, self._api = gateway, api

    def admin(self, method: str, path: str, body: Any = NOTHING) -> Answer:
        text = b"" if body is NOTHING else json.dumps(body).encode()
        full = f"/apisix/admin/{path}"
        return self._api.answer(
            Request(method, full, "127.0.0.1", lambda _limit: text, {}, "the-admin-key")
        )

    def made(self, path: str, body: Any, method: str = "PUT") -> Any:
        answer = self.admin(method, path, body)
        assert answer.status in (200, 201), answer
        return answer.body["value"]

    def shown(self, path: str) -> Any:
        return self.admin("GET", path).body["value"]

    def stored(self, path: str) -> Any:
        _, found = self.gateway.store.get(f"/apisix/{path}".encode())
        return json.loads(found.value)

    def wait(self, path: str, seen: Callable[[Any], bool], **headers: str) -> Any:
        """What the plugin on the route `path` says once it is what is waited for."""

        def arrived() -> bool:
            answer = self.gateway.ask(path, **headers)
            return answer.status == 200 and seen(answer.json)

        self.gateway.until(arrived)
        return self.gateway.ask(path, **headers).json


@pytest.fixture
def administered(start: Callable[..., Any], tmp_path: Any) -> Iterator[Callable[..., Administered]]:
    checkers = []

    def run(encryption: dict[str, Any] = ENCRYPTION) -> Administered:
        config: dict[str, Any] = {
            "plugins": ["t-secret", "key-auth"],
            "apisix": {"data_encryption": encryption},
            "deployment": ADMIN,
        }
        gateway = start({}, config)
        conf = gateway.log_path.with_name("conf") / "config.yaml"
        settings = load(conf)
        with (tmp_path / "checker.log").open("ab") as log:
            checkers.append(Checker(settings, error_fd=log.fileno()))
            api = Api(settings, gateway.store, checkers[-1])
        return Administered(gateway, api)

    yield run
    for checker in checkers:
        checker.close()


def route(conf: dict[str, Any], uri: str = "/r") -> dict[str, Any]:
    upstream = {"type": "roundrobin", "nodes": {"127.0.0.1:1": 1}}
    return {"uri": uri, "upstream": upstream, "plugins": {"t-secret": conf}}


def test_fields_of_every_shape(administered: Callable[..., Administered]) -> None:
    gateway = administered()
    written = gateway.made("routes/1", route(GIVEN))
    assert written["plugins"]["t-secret"] == STORED  # the answer to a write is what was written
    assert gateway.stored("routes/1")["plugins"]["t-secret"] == STORED
    assert gateway.shown("routes/1")["plugins"]["t-secret"] == GIVEN
    (listed,) = gateway.admin("GET", "routes").body["list"]
    assert listed["value"]["plugins"]["t-secret"] == GIVEN
    conf = gateway.wait("/r", lambda told: "conf" in told)["conf"]
    assert (conf["token"], conf["list"][0], conf["map"]) == ("a token", "one", GIVEN["map"])
    assert conf["deep"] == GIVEN["deep"]


def test_a_value_that_apisix_wrote_with_a_key_that_has_moved_back(
    administered: Callable[..., Administered],
) -> None:
    gateway = administered()
    item = {"id": "9", **route({"token": encrypted("of old", OLD_KEY)})}
    gateway.gateway.put("routes/9", item)
    assert gateway.wait("/r", lambda told: "conf" in told)["conf"]["token"] == "of old"
    assert gateway.shown("routes/9")["plugins"]["t-secret"]["token"] == "of old"
    gateway.made("routes/9", {"desc": "touched"}, "PATCH")
    assert gateway.stored("routes/9")["plugins"]["t-secret"]["token"] == encrypted("of old")


def test_a_value_stored_before_its_field_was_secret_stays(
    administered: Callable[..., Administered],
) -> None:
    gateway = administered()
    gateway.gateway.put("routes/1", {"id": "1", **route({"token": "not encrypted"})})
    assert gateway.wait("/r", lambda told: "conf" in told)["conf"]["token"] == "not encrypted"
    assert gateway.shown("routes/1")["plugins"]["t-secret"]["token"] == "not encrypted"
    assert "not encrypted" not in gateway.gateway.log()


def test_a_patch_encrypts_once(administered: Callable[..., Administered]) -> None:
    gateway = administered()
    gateway.made("routes/1", route({"token": "a", "list": ["b"]}))
    gateway.made("routes/1", {"plugins": {"t-secret": {"list": ["c"]}}}, "PATCH")
    stored = gateway.stored("routes/1")["plugins"]["t-secret"]
    assert stored == {"token": encrypted("a"), "list": [encrypted("c")]}
    gateway.made("routes/1/plugins", {"t-secret": {"token": "d"}}, "PATCH")
    assert gateway.stored("routes/1")["plugins"]["t-secret"] == {"token": encrypted("d")}


def test_a_value_is_checked_as_it_was_given(administered: Callable[..., Administered]) -> None:
    gateway = administered()
    answer = gateway.admin("PUT", "routes/1", route({"token": "x" * 21}))
    assert answer.status == 400
    assert "string too long, expected at most 20, got 21" in answer.body["error_msg"]
    gateway.made("routes/1", route({"token": "x" * 20}))
    assert len(gateway.stored("routes/1")["plugins"]["t-secret"]["token"]) > 20
    assert gateway.wait("/r", lambda told: "conf" in told)["conf"]["token"] == "x" * 20


@pytest.mark.parametrize("directory", ["services", "plugin_configs", "global_rules"])
def test_other_resources_with_plugins(
    administered: Callable[..., Administered], directory: str
) -> None:
    gateway = administered()
    gateway.made(f"{directory}/1", {"plugins": {"t-secret": {"token": "t"}}})
    assert gateway.stored(f"{directory}/1")["plugins"]["t-secret"]["token"] == encrypted("t")
    assert gateway.shown(f"{directory}/1")["plugins"]["t-secret"]["token"] == "t"


def test_consumers_and_credentials_have_the_schema_of_consumers(
    administered: Callable[..., Administered],
) -> None:
    gateway = administered()
    gateway.made("routes/1", route({}))
    gateway.made(
        "consumers", {"username": "jack", "plugins": {"t-secret": {"key": "j", "open": "o"}}}
    )
    gateway.made("consumers/jack/credentials/1", {"plugins": {"t-secret": {"key": "c"}}})
    own = gateway.stored("consumers/jack")["plugins"]["t-secret"]
    assert own == {"key": encrypted("j"), "open": "o"}
    assert gateway.shown("consumers/jack")["plugins"]["t-secret"] == {"key": "j", "open": "o"}
    path = "consumers/jack/credentials/1"
    assert gateway.stored(path)["plugins"]["t-secret"]["key"] == encrypted("c")
    assert gateway.shown(path)["plugins"]["t-secret"]["key"] == "c"
    told = gateway.wait("/r", lambda told: told.get("consumer") == "jack", key="j")
    assert told["open"] == "o"
    gateway.wait("/r", lambda told: told.get("consumer") == "jack", key="c")


def test_metadata(administered: Callable[..., Administered]) -> None:
    gateway = administered()
    gateway.made("routes/1", route({}))
    gateway.made("plugin_metadata/t-secret", {"license": "l"})
    assert gateway.stored("plugin_metadata/t-secret")["license"] == encrypted("l")
    assert gateway.shown("plugin_metadata/t-secret")["license"] == "l"
    gateway.wait("/r", lambda told: told.get("license") == "l")


def test_private_keys_of_certificates(
    administered: Callable[..., Administered], tmp_path: Path
) -> None:
    gateway = administered()
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    leaf = Authority(tmp_path).issue("one.test", key=key)
    pair = {"sni": "one.test", "cert": leaf.pem, "key": leaf.key_pem}
    gateway.made("ssls/1", {**pair, "certs": [leaf.pem], "keys": [leaf.key_pem]})
    gateway.made("ssls/1", {"status": 0}, "PATCH")
    stored = gateway.stored("ssls/1")
    assert (stored["key"], stored["keys"]) == (encrypted(leaf.key_pem), [encrypted(leaf.key_pem)])


def test_private_keys_are_never_shown_again(administered: Callable[..., Administered]) -> None:
    gateway = administered()
    cert = PEM.replace("PRIVATE KEY", "CERTIFICATE")
    upstream = {
        "type": "roundrobin",
        "nodes": {"127.0.0.1:1": 1},
        "tls": {"client_cert": cert, "client_key": PEM},
    }
    gateway.made("upstreams/1", upstream)
    assert gateway.stored("upstreams/1")["tls"]["client_key"] == encrypted(PEM)
    assert gateway.shown("upstreams/1")["tls"]["client_key"] == encrypted(PEM)
    gateway.made("upstreams/1", {"desc": "touched"}, "PATCH")
    assert gateway.stored("upstreams/1")["tls"]["client_key"] == encrypted(PEM)
    gateway.made("routes/1", {"uri": "/r", "upstream": upstream})
    assert gateway.stored("routes/1")["upstream"]["tls"]["client_key"] == encrypted(PEM)


@pytest.mark.parametrize(
    "encryption",
    [
        {"enable_encrypt_fields": False, "keyring": [NEW_KEY]},
        {"enable_encrypt_fields": True, "keyring": []},
    ],
)
def test_nothing_is_encrypted_unless_it_is_told_to_and_has_a_key(
    administered: Callable[..., Administered], encryption: dict[str, Any]
) -> None:
    gateway = administered(encryption)
    gateway.made("routes/1", route(GIVEN))
    assert gateway.stored("routes/1")["plugins"]["t-secret"] == GIVEN
    assert gateway.shown("routes/1")["plugins"]["t-secret"] == GIVEN
    assert gateway.wait("/r", lambda told: "conf" in told)["conf"]["token"] == "a token"


def test_a_key_is_one_consumers_alone_though_it_is_encrypted(
    administered: Callable[..., Administered],
) -> None:
    gateway = administered()
    plugins = {"key-auth": {"key": "k"}}
    gateway.made("consumers", {"username": "ann", "plugins": plugins})
    assert gateway.stored("consumers/ann")["plugins"]["key-auth"]["key"] == encrypted("k")
    answer = gateway.admin("PUT", "consumers", {"username": "bob", "plugins": plugins})
    assert (answer.status, answer.body["error_msg"]) == (
        400,
        "duplicate key of plugin key-auth found with consumer: ann",
    )
