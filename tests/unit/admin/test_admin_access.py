"""Who may ask: addresses, keys, roles; and what is answered where no resource is asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from pygw.admin.api import Api
from pygw.admin.messages import MAX_BODY, NOTHING, Request
from pygw.config.embedded import EmbeddedStore
from pygw.config.model import Settings
from pygw.config.settings import ConfigError, load
from pygw.config.store import KeyValue
from pygw.vm.checker import Checker

ROUTE = {"uri": "/hello", "upstream": {"type": "roundrobin", "nodes": {"127.0.0.1:1980": 1}}}


def denied(reason: str) -> dict[str, str]:
    return {"error_msg": "failed to check token", "description": reason}


@pytest.mark.parametrize(
    ("key", "method", "reason"),
    [
        (None, "GET", "missing apikey"),
        ("nonsense", "GET", "wrong apikey"),
        ("", "GET", "wrong apikey"),
        ("ünïcode", "GET", "wrong apikey"),
        ("the-viewer-key", "PUT", "invalid method for role viewer"),
        ("the-viewer-key", "DELETE", "invalid method for role viewer"),
    ],
)
def test_a_key_that_does_not_do(client: Any, key: str | None, method: str, reason: str) -> None:
    answer = client.ask(method, "routes/1", ROUTE, key=key)
    assert (answer.status, answer.body) == (401, denied(reason))
    assert client.stored("routes/1") is None


def test_a_viewer_reads(client: Any) -> None:
    client.made("routes/1", ROUTE)
    assert client.ask("GET", "routes/1", key="the-viewer-key").status == 200


def test_an_empty_key_in_the_settings_opens_nothing(settings: Settings, checker: Checker) -> None:
    keys = tuple(replace(key, key="") for key in settings.admin.keys)
    admin = replace(settings.admin, keys=keys)
    api = Api(replace(settings, admin=admin), None, checker)
    answer = api.answer(Request("GET", "/apisix/admin/routes", "127.0.0.1", lambda n: b"", key=""))
    assert answer.status == 401


@pytest.mark.parametrize(
    ("listen", "keys", "refused"),
    [
        ("127.0.0.1", [""], False),
        ("::1", [""], False),
        ("0.0.0.0", ["a-key"], False),
        ("0.0.0.0", [""], True),
        ("::", ["a-key", ""], True),
    ],
)
def test_an_empty_key_is_refused_at_the_start_where_others_may_listen(
    tmp_path: Path, listen: str, keys: list[str], refused: bool
) -> None:
    entries = [{"name": str(i), "key": key, "role": "admin"} for i, key in enumerate(keys)]
    admin = {"admin_listen": {"ip": listen, "port": 9180}, "admin_key": entries}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"deployment": {"admin": admin}}))
    if not refused:
        assert load(path).admin.listen.ip == listen
        return
    words = rf"admin_key: an empty key is refused where the Admin API listens on {listen}$"
    with pytest.raises(ConfigError, match=words):
        load(path)


def test_no_key_is_asked_for_when_none_is_required(
    client: Any, settings: Settings, checker: Checker
) -> None:
    admin = replace(settings.admin, key_required=False)
    client.api = Api(replace(settings, admin=admin), client.store, checker)
    assert client.ask("PUT", "routes/1", ROUTE, key=None).status == 201


@pytest.mark.parametrize("address", ["10.0.0.1", "::1", "127.0.1.1"])
def test_addresses_that_are_not_allowed(client: Any, address: str) -> None:
    status, words = client.refused("GET", "routes", address=address)
    assert status == 403
    assert address in words


def test_a_head_of_the_root_needs_no_key(client: Any) -> None:
    answer = client.ask("HEAD", "/apisix/admin", key=None)
    assert (answer.status, answer.body) == (200, NOTHING)


@pytest.mark.parametrize("path", ["/", "/apisix", "/apisix/admin", "/hello"])
def test_nothing_is_beside_the_api(client: Any, path: str) -> None:
    assert client.refused("GET", path)[0] == 404


# Bodies


UNICODE = "Expected value but found invalid unicode escape code at character 8"
NESTED = "Found too many nested data structures (1001) at character 1001"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"uri"', "Expected colon but found T_END at character 7"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": 1e999}', "the number 1e999 is too large"),
        (b'"\xff"', "not UTF-8 at byte 2"),
        (b'{"a": "\\ud800"}', UNICODE),
        (b"[" * 5000 + b"]" * 5000, NESTED),
    ],
)
def test_a_body_that_is_no_json(client: Any, body: bytes, words: str) -> None:
    answer = client.ask("PUT", "routes/1", body)
    assert answer.status == 400
    assert answer.body["error_msg"].startswith(f"invalid request body: {words}")
    assert answer.body["req_body"] == body.decode("utf-8", "replace")


def test_strings_may_hold_line_breaks_as_in_apisix(client: Any) -> None:
    body = b'{"uri": "/x", "desc": "one\n\ttwo", "upstream": {"nodes": {"127.0.0.1:1": 1}}}'
    assert client.ask("PUT", "routes/1", body).status == 201
    assert client.ask("GET", "routes/1").body["value"]["desc"] == "one\n\ttwo"


def test_a_body_that_is_too_large(client: Any) -> None:
    body = b'"' + b"x" * (MAX_BODY - 1) + b'"'
    status, words = client.refused("PUT", "routes/1", body)
    assert status == 413
    assert words == f"invalid request body: larger than the maximum size {MAX_BODY} allowed"


def test_a_body_that_breaks_off(client: Any) -> None:
    def read_body(limit: int) -> bytes:
        raise OSError("unexpected end of file while reading request")

    request = Request("PUT", "/apisix/admin/routes/1", "127.0.0.1", read_body, key="the-admin-key")
    answer = client.api.answer(request)
    assert answer.status == 400
    assert answer.body["error_msg"].startswith("invalid request body: unexpected end of file")


# Schemas and plugins


def test_plugins_are_listed_and_shown(client: Any) -> None:
    assert client.ask("GET", "plugins/list").body == ["key-auth", "t-count", "t-python"]
    assert client.ask("GET", "plugins/list", subsystem="stream").body == []
    assert client.ask("GET", "plugins/t-count").body["required"] == ["count"]
    consumer = client.ask("GET", "plugins/key-auth", schema_type="consumer").body
    assert consumer["required"] == ["key"]
    assert client.ask("GET", "schema/plugins/t-count").body["required"] == ["count"]
    assert set(client.ask("GET", "plugins", all="true").body) == {"key-auth", "t-count", "t-python"}


def test_plugins_that_are_not_there(client: Any) -> None:
    words = "plugin not found in subsystem http"
    assert client.refused("GET", "plugins/nope") == (404, words)
    assert client.refused("GET", "plugins/t-count", schema_type="consumer") == (
        400,
        "not found schema",
    )
    assert client.refused("GET", "plugins/t-count", subsystem="x") == (
        400,
        "unsupported subsystem: x",
    )
    assert client.refused("PUT", "plugins/t-count", {}) == (404, "not found")


def test_schemas_are_shown_by_their_singular(client: Any) -> None:
    assert "uri" in client.ask("GET", "schema/route").body["properties"]
    assert client.refused("GET", "schema/routes") == (400, "not found schema: routes")


def test_validate_answers_by_schema_alone(client: Any) -> None:
    answer = client.ask("POST", "schema/validate/routes", ROUTE)
    assert (answer.status, answer.body) == (200, NOTHING)
    assert client.refused("POST", "schema/validate/routes", {"uri": 1, "upstream_id": 1}) == (
        400,
        'property "uri" validation failed: wrong type: expected string, got number',
    )
    assert client.refused("POST", "schema/validate/routs", {}) == (
        404,
        "Unsupported resource type: routs",
    )
    assert client.refused("POST", "schema/validate/routes", b"{")[0] == 400


# What is not the client's fault


def test_a_store_that_is_away_is_said(client: Any) -> None:
    client.store.close()
    status, words = client.refused("GET", "routes")
    assert status == 503
    assert words


def test_a_plugin_that_raises_is_a_500_with_its_words(client: Any) -> None:
    route = {**ROUTE, "plugins": {"t-count": {"count": 13}}}
    status, words = client.refused("PUT", "routes/1", route)
    assert status == 500
    assert words.startswith("a plugin failed at its check_schema: ")
    assert "thirteen" in words
    assert client.stored("routes/1") is None


class BrokenStore(EmbeddedStore):
    """A store with a mistake in it."""

    def readdir(self, prefix: bytes) -> tuple[int, list[KeyValue]]:
        raise ZeroDivisionError


def test_a_fault_of_ours_is_logged_and_not_shown(
    client: Any,
    settings: Settings,
    checker: Checker,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = BrokenStore(tmp_path / "broken.db")
    client.api = Api(settings, store, checker)
    assert client.refused("GET", "routes") == (
        500,
        "internal error: the error log has its traceback",
    )
    assert "ZeroDivisionError" in caplog.text
    store.close()


def test_without_a_store_the_file_is_named(
    settings: Settings, checker: Checker, tmp_path: Path
) -> None:
    api = Api(settings, None, checker)
    request = Request(
        "GET", "/apisix/admin/routes", "127.0.0.1", lambda n: b"", key="the-admin-key"
    )
    answer = api.answer(request)
    words = (
        f"no store to administer: the configuration is {settings.yaml_path},"
        " or /apisix/admin/configs"
    )
    assert (answer.status, answer.body) == (404, {"error_msg": words})
