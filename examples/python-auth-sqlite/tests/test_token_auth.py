"""Tests of token_auth.py: a real database, time that is moved by hand; no server is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import token_auth

from pygw.testing import GatewayError

PLUGIN = token_auth.__file__
HOUR = 3600.0


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "tokens.db"


@pytest.fixture
def pygw_config(database: Path) -> dict[str, Any]:
    attributes = {"token-db-auth": {"database": str(database)}}
    return {"plugins": [PLUGIN, "limit-count"], "plugin_attr": attributes}


@pytest.fixture
def path(gateway: Any) -> str:
    """The path of a route that ada may use."""
    gateway.put("consumers/ada", {"username": "ada", "plugins": {"token-db-auth": {"user": "ada"}}})
    return str(gateway.route({"token-db-auth": {}}))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def a_token(gateway: Any, database: Path, user: str = "ada") -> str:
    return token_auth.add_token(database, user, gateway.clock.now + HOUR)


def test_who_has_a_token_is_let_in_as_a_consumer(gateway: Any, path: str, database: Path) -> None:
    answer = gateway.get(path, headers=bearer(a_token(gateway, database)))
    assert answer.status == 200
    seen = gateway.upstream.last.headers
    assert seen["X-Consumer-Username"] == "ada"
    assert seen.get("Authorization") is None


def test_the_upstream_may_see_the_token(gateway: Any, path: str, database: Path) -> None:
    shown = gateway.route({"token-db-auth": {"hide_credentials": False}})
    token = a_token(gateway, database)
    assert gateway.get(shown, headers=bearer(token)).status == 200
    assert gateway.upstream.last.headers["Authorization"] == f"Bearer {token}"


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, "a token is needed"),
        ({"Authorization": "Basic YTpi"}, "a token is needed"),
        ({"Authorization": "Bearer"}, "a token is needed"),
        (bearer("made-up"), "the token is not valid"),
    ],
)
def test_who_has_none_is_not(gateway: Any, path: str, headers: Any, message: str) -> None:
    answer = gateway.get(path, headers=headers)
    assert (answer.status, answer.json()) == (401, {"message": message})
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert gateway.upstream.requests == []


def test_a_user_without_a_consumer_is_not_let_in(gateway: Any, path: str, database: Path) -> None:
    token = a_token(gateway, database, "grace")
    assert gateway.get(path, headers=bearer(token)).status == 401


def test_a_token_expires(gateway: Any, path: str, database: Path) -> None:
    token = a_token(gateway, database)
    gateway.clock.advance(HOUR - 1)
    assert gateway.get(path, headers=bearer(token)).status == 200
    gateway.clock.advance(1)
    assert gateway.get(path, headers=bearer(token)).status == 401


def test_a_revoked_token_is_valid_no_more(gateway: Any, path: str, database: Path) -> None:
    token = a_token(gateway, database)
    assert gateway.get(path, headers=bearer(token)).status == 200
    assert token_auth.revoke_tokens(database, "ada") == 1
    assert gateway.get(path, headers=bearer(token)).status == 401


def test_no_token_stands_in_the_database(gateway: Any, path: str, database: Path) -> None:
    token = a_token(gateway, database)
    assert gateway.get(path, headers=bearer(token)).status == 200
    files = [file.read_bytes() for file in database.parent.glob("tokens.db*")]
    assert any(b"ada" in each for each in files)
    assert not any(token.encode() in each for each in files)


def test_what_the_consumer_may_do_counts(gateway: Any, path: str, database: Path) -> None:
    limit = {"count": 1, "time_window": 60, "rejected_code": 429, "key": "consumer_name"}
    plugins = {"token-db-auth": {"user": "ada"}, "limit-count": limit}
    gateway.put("consumers/ada", {"username": "ada", "plugins": plugins})
    headers = bearer(a_token(gateway, database))
    assert [gateway.get(path, headers=headers).status for _ in range(2)] == [200, 429]


def test_nobody_is_let_in_without_the_database(
    gateway: Any, path: str, database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    token = a_token(gateway, database)
    with token_auth.open_database(database) as broken:
        broken.execute("DROP TABLE tokens")
    answer = gateway.get(path, headers=bearer(token))
    assert (answer.status, answer.json()) == (503, {"message": "tokens cannot be checked now"})
    assert "the database does not answer: no such table: tokens" in caplog.text


def test_a_consumer_needs_a_user(gateway: Any) -> None:
    with pytest.raises(GatewayError, match='property "user" is required'):
        gateway.put("consumers/bob", {"username": "bob", "plugins": {"token-db-auth": {}}})
