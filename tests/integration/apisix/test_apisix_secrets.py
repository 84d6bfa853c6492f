"""References to secret managers, of plugins and consumers, with servers of their formats."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.gateway import Gateway
from support.references import advance, complaint, manage, secret_gateway, teller
from support.secret_servers import Vault

TTL, FAILURE_TTL = 300, 60  # seconds, APISIX's defaults


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with secret_gateway(tmp_path) as gateway:
        yield gateway


@pytest.fixture
def vault(gateway: Gateway) -> Iterator[Vault]:
    vault = Vault()
    manage(gateway, "vault/1", {"uri": vault.uri, "prefix": "kv", "token": Vault.TOKEN})
    yield vault
    vault.stop()


# Vault


def test_a_value_of_vault(gateway: Gateway, vault: Vault) -> None:
    vault.kv["jack"] = {"key": "open sesame"}
    vault.kv["a/b"] = {"c": "deep"}
    tell = teller(gateway)
    assert tell("$secret://vault/1/jack/key") == "open sesame"
    assert tell("$secret://vault/1/a/b/c") == "deep"
    assert tell("$secret://vault/1//a/./b/c") == "deep"


def test_an_engine_of_version_2(gateway: Gateway, vault: Vault) -> None:
    vault.versioned = {"jack": {"key": "versioned"}, "gone": None}
    conf = {"uri": vault.uri, "prefix": "/secret/data", "token": Vault.TOKEN}
    manage(gateway, "vault/2", conf)
    assert teller(gateway)("$secret://vault/2/jack/key") == "versioned"
    assert complaint(gateway, "$secret://vault/2/gone/key").count("no value") == 1


def test_an_engine_of_version_1_may_hold_names_of_version_2(gateway: Gateway, vault: Vault) -> None:
    vault.kv["odd"] = {"data": "d", "metadata": "m"}
    assert teller(gateway)("$secret://vault/1/odd/data") == "d"


def test_a_namespace_and_a_token_from_the_environment(
    gateway: Gateway, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYGW_TEST_VAULT_TOKEN", Vault.TOKEN)
    vault.namespace = "team/a"
    vault.kv["jack"] = {"key": "of a team"}
    conf = {"uri": vault.uri, "prefix": "kv", "namespace": "team/a"}
    manage(gateway, "vault/3", {**conf, "token": "$ENV://PYGW_TEST_VAULT_TOKEN"})
    assert teller(gateway)("$secret://vault/3/jack/key") == "of a team"


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("$secret://vault/1/jack/other", "no value"),
        ("$secret://vault/1/jack", "error key format, key: jack"),
        ("$secret://vault/1/jack/", "can't find sub key, key: jack/"),
        ("$secret://vault/1//key", "can't find main key, key: /key"),
        ("$secret://vault/1/jill/key", 'failed to decode result, res: {"errors": []}'),
        ("$secret://vault/9/jack/key", "no secret conf, secret_uri: $secret://vault/9/jack/key"),
        ("$secret://vault/1", "error format: no secret conf id"),
        ("$secret://vault", "error format: no secret manager"),
        ("$secret://vault/1/", "error format: no secret key id"),
    ],
)
def test_what_vault_does_not_have(
    gateway: Gateway, vault: Vault, reference: str, reason: str
) -> None:
    vault.kv["jack"] = {"key": "open sesame"}
    assert complaint(gateway, reference).startswith(f"{reference}, field: token, err: {reason}")
    assert "open sesame" not in gateway.log


def test_a_vault_that_refuses_or_talks_nonsense(gateway: Gateway, vault: Vault) -> None:
    conf = {"uri": vault.uri, "prefix": "kv", "token": "wrong"}
    manage(gateway, "vault/4", conf)
    assert "permission denied" in complaint(gateway, "$secret://vault/4/jack/key")
    vault.broken = 200, b"no JSON, but a s3cret"
    assert "failed to decode result, err: " in complaint(gateway, "$secret://vault/1/jack/key")
    manage(gateway, "vault/5", {**conf, "uri": "http://127.0.0.1:1"})
    line = complaint(gateway, "$secret://vault/5/jack/key")
    assert "failed to retrtive data from vault kv engine: connection refused" in line
    assert "s3cret" not in gateway.log


def test_a_value_is_kept_then_refreshed_behind_the_requests(gateway: Gateway, vault: Vault) -> None:
    vault.kv["jack"] = {"key": "old"}
    path = gateway.route({"t-secret": {"token": "$secret://vault/1/jack/key"}})

    def token() -> str:
        told: str = gateway.ask(path).json()["conf"]["token"]
        return told

    assert (token(), token(), vault.asked) == ("old", "old", 1)
    vault.kv["jack"] = {"key": "new"}
    advance(gateway, TTL - 2)
    assert (token(), vault.asked) == ("old", 1)
    advance(gateway, 4)
    assert token() == "old"  # nobody waits for the new one
    advance(gateway, 1.1)
    gateway.until(lambda: vault.asked == 2)
    gateway.until(lambda: token() == "new")
    assert vault.asked == 2


def test_a_failure_is_kept_for_a_shorter_time(gateway: Gateway, vault: Vault) -> None:
    reference = "$secret://vault/1/jack/key"
    path = gateway.route({"t-secret": {"token": reference}})
    for _ in range(3):
        assert gateway.ask(path).json()["conf"]["token"] == reference
    assert vault.asked == 1
    vault.kv["jack"] = {"key": "there now"}
    advance(gateway, FAILURE_TTL + 1)
    assert gateway.ask(path).json()["conf"]["token"] == "there now"


def test_a_new_setting_of_the_manager_is_used_at_once(gateway: Gateway, vault: Vault) -> None:
    vault.kv["jack"] = {"key": "here"}
    path = gateway.route({"t-secret": {"token": "$secret://vault/6/jack/key"}})
    assert gateway.ask(path).json()["conf"]["token"].startswith("$secret")
    manage(gateway, "vault/6", {"uri": vault.uri, "prefix": "kv", "token": Vault.TOKEN})
    assert gateway.ask(path).json()["conf"]["token"] == "here"


def test_settings_that_are_refused(gateway: Gateway) -> None:
    log = gateway.refused("secrets/vault/7", {"id": "vault/7", "token": "t", "prefix": "kv"})
    assert 'property "uri" is required' in log
    log = gateway.refused("secrets/nobody/1", {"id": "nobody/1", "uri": "http://127.0.0.1:1"})
    assert "secret manager not exits, manager: nobody" in log
    log = gateway.refused("secrets/vault/8", {"prefix": "the prefix"})
    assert "no secret id" in log
    assert "the prefix" not in log


# consumers


def ask_as(gateway: Gateway, path: str, key: str) -> int:
    status: int = gateway.ask(path, {"apikey": key}).status
    return status


def test_a_consumers_key_in_vault_is_looked_up_again(gateway: Gateway, vault: Vault) -> None:
    vault.kv["jack"] = {"key": "first"}
    reference = "$secret://vault/1/jack/key"
    gateway.put("consumers/jack", {"username": "jack", "plugins": {"key-auth": {"key": reference}}})
    path = gateway.route({"key-auth": {}})
    assert [ask_as(gateway, path, key) for key in ("first", "second", reference)] == [200, 401, 401]
    assert vault.asked == 1
    vault.kv["jack"] = {"key": "second"}
    advance(gateway, TTL + 2)
    assert ask_as(gateway, path, "nobody's") == 401
    advance(gateway, 1.1)
    gateway.until(lambda: vault.asked == 2)
    advance(gateway, FAILURE_TTL)
    assert [ask_as(gateway, path, key) for key in ("second", "first")] == [200, 401]


def test_a_consumer_whose_key_could_not_be_found_is_tried_again(
    gateway: Gateway, vault: Vault
) -> None:
    plugins = {"key-auth": {"key": "$secret://vault/1/jack/key"}}
    gateway.put("consumers/jack", {"username": "jack", "plugins": plugins})
    path = gateway.route({"key-auth": {}})
    assert ask_as(gateway, path, "late") == 401
    assert "skipping consumer: jack" in gateway.log
    vault.kv["jack"] = {"key": "late"}
    advance(gateway, FAILURE_TTL + 1)
    assert ask_as(gateway, path, "late") == 200
