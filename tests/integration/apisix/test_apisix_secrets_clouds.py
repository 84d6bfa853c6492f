"""References to secrets in the clouds, with servers of their wire formats."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from support.gateway import Gateway
from support.references import advance, complaint, manage, secret_gateway, teller
from support.secret_servers import Account, GoogleCloud, SecretsManager


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with secret_gateway(tmp_path) as gateway:
        yield gateway


# AWS


@pytest.fixture
def aws(gateway: Gateway) -> Iterator[SecretsManager]:
    server = SecretsManager()
    manage(gateway, "aws/1", aws_conf(server))
    yield server
    server.stop()


def aws_conf(server: SecretsManager, **more: str) -> dict[str, str]:
    credentials = {"access_key_id": server.KEY_ID, "secret_access_key": server.KEY}
    return {"endpoint_url": server.uri, **credentials, **more}


def test_values_of_aws(gateway: Gateway, aws: SecretsManager) -> None:
    aws.secrets = {"plain": "a text", "team/a/db": json.dumps({"password": "p", "x/y": "z"})}
    tell = teller(gateway)
    assert tell("$secret://aws/1/plain") == "a text"
    assert tell("$secret://aws/1/team/a/db/password") == "p"
    assert tell("$secret://aws/1/team/a/db/x/y") == "z"


def test_credentials_of_a_session_in_another_region(
    gateway: Gateway, aws: SecretsManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYGW_TEST_AWS_KEY", aws.KEY)
    aws.secrets, aws.session_token, aws.region = {"s": "v"}, "the session", "eu-central-1"
    conf = aws_conf(aws, session_token="the session", region="eu-central-1")
    manage(gateway, "aws/2", {**conf, "secret_access_key": "$env://PYGW_TEST_AWS_KEY"})
    assert teller(gateway)("$secret://aws/2/s") == "v"


def test_what_aws_does_not_have_or_refuses(gateway: Gateway, aws: SecretsManager) -> None:
    aws.secrets = {"text": "no JSON but a s3cret"}
    failed = "failed to retrieve data from aws secret manager: invalid status code 400, "
    line = complaint(gateway, "$secret://aws/1/a/b")
    assert failed in line
    assert "ResourceNotFoundException" in line
    assert "failed to decode result, err: " in complaint(gateway, "$secret://aws/1/text/field")
    assert "can't find main key, key: /a" in complaint(gateway, "$secret://aws/1//a")
    asked = aws.asked
    manage(gateway, "aws/3", {**aws_conf(aws), "secret_access_key": "wrong"})
    assert "InvalidSignatureException" in complaint(gateway, "$secret://aws/3/a/b")
    assert aws.asked == asked + 1  # only what is not there is looked for by another name
    assert "s3cret" not in gateway.log


# Google


@pytest.fixture(scope="module")
def google_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def google(google_key: rsa.RSAPrivateKey) -> Iterator[GoogleCloud]:
    google = GoogleCloud(Account(google_key.public_key()))
    yield google
    google.stop()


def account_of(google: GoogleCloud, key: rsa.RSAPrivateKey) -> dict[str, Any]:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return {
        "client_email": google.account.email,
        "private_key": pem.decode(),
        "project_id": google.PROJECT,
        "token_uri": f"{google.uri}/token",
        "entries_uri": f"{google.uri}/v1",
    }


def test_values_of_google(
    gateway: Gateway, google: GoogleCloud, google_key: rsa.RSAPrivateKey
) -> None:
    google.secrets = {"plain": "a text", "object": json.dumps({"a": "b", "c/d": "e"})}
    manage(gateway, "gcp/1", {"auth_config": account_of(google, google_key)})
    tell = teller(gateway)
    assert tell("$secret://gcp/1/plain") == "a text"
    assert tell("$secret://gcp/1/object/a") == "b"
    assert tell("$secret://gcp/1/object/c/d") == "e"
    assert len(google.account.tokens) == 1
    advance(gateway, google.lifetime - 59)
    google.secrets["other"] = "needs a new token"
    assert tell("$secret://gcp/1/other") == "needs a new token"
    assert len(google.account.tokens) == 2


def test_an_account_in_a_file(
    gateway: Gateway, google: GoogleCloud, google_key: rsa.RSAPrivateKey, tmp_path: Path
) -> None:
    google.secrets = {"plain": "a text"}
    path = tmp_path / "account.json"
    path.write_text(json.dumps({"type": "service_account", **account_of(google, google_key)}))
    manage(gateway, "gcp/1", {"auth_file": str(path)})
    assert teller(gateway)("$secret://gcp/1/plain") == "a text"


def test_what_google_does_not_have_or_refuses(
    gateway: Gateway, google: GoogleCloud, google_key: rsa.RSAPrivateKey, tmp_path: Path
) -> None:
    manage(gateway, "gcp/1", {"auth_config": account_of(google, google_key)})
    line = complaint(gateway, "$secret://gcp/1/absent")
    assert "failed to retrtive data from gcp secret manager: " in line
    assert "NOT_FOUND" in line
    assert "can't find main key, key: /a" in complaint(gateway, "$secret://gcp/1//a")
    stranger = {**account_of(google, google_key), "client_email": "stranger@example.com"}
    manage(gateway, "gcp/2", {"auth_config": stranger})
    assert "failed to get google oauth token" in complaint(gateway, "$secret://gcp/2/a")
    assert 'failed to refresh google oauth access token: {"error": "invalid_grant"}' in gateway.log
    manage(gateway, "gcp/3", {"auth_file": str(tmp_path / "absent.json")})
    assert "failed to read configuration, file: " in complaint(gateway, "$secret://gcp/3/a")
    assert "PRIVATE KEY" not in gateway.log
