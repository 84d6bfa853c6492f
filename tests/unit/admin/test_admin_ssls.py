"""Certificates: checked, stored, and their private keys never shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.certificates import Authority, Certificate


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return Authority(tmp_path).issue("one.test")


def describe(certificate: Certificate, **more: Any) -> dict[str, Any]:
    return {"sni": "one.test", "cert": certificate.pem, "key": certificate.key_pem, **more}


def test_a_private_key_is_stored_and_not_shown(client: Any, certificate: Certificate) -> None:
    pair = {"certs": [certificate.pem], "keys": [certificate.key_pem]}
    client.made("ssls/1", describe(certificate, **pair))
    assert client.stored("ssls/1").items() >= describe(certificate, **pair).items()
    shown = client.ask("GET", "ssls/1").body["value"]
    assert shown["cert"] == certificate.pem
    (listed,) = client.ask("GET", "ssls").body["list"]
    assert listed["value"] == shown
    assert not {"key", "keys"} & set(shown)


def test_a_patch_leaves_the_key(client: Any, certificate: Certificate) -> None:
    client.made("ssls/1", describe(certificate))
    assert client.ask("PATCH", "ssls/1", {"status": 0}).status == 200
    stored = client.stored("ssls/1")
    assert (stored["status"], stored["key"]) == (0, certificate.key_pem)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"sni": None}, "invalid configuration: "),
        ({"key": "x" * 128}, "failed to parse key: "),
        ({"cert": "x" * 128}, "failed to parse cert: "),
        ({"certs": ["x" * 128]}, "mismatched number of certs and keys"),
    ],
)
def test_what_is_refused(
    client: Any, certificate: Certificate, change: dict[str, Any], fault: str
) -> None:
    document = {**describe(certificate), **change}
    given = {name: value for name, value in document.items() if value is not None}
    status, message = client.refused("PUT", "ssls/1", given)
    assert status == 400
    assert message.startswith(fault)
