"""What each method does to resources, on a real embedded store. Answers are APISIX's (v3)."""

from __future__ import annotations

import json
import time
from typing import Any

import gevent
import pytest

NODES = {"type": "roundrobin", "nodes": {"127.0.0.1:1980": 1}}
ROUTE = {"uri": "/hello", "upstream": NODES}
NOT_FOUND = {"message": "Key not found"}


def test_put_creates_then_replaces(client: Any) -> None:
    made = client.ask("PUT", "routes/1", ROUTE)
    assert made.status == 201
    assert made.body["key"] == "/apisix/routes/1"
    assert made.body["value"].items() >= {**ROUTE, "id": "1"}.items()
    again = client.ask("PUT", "routes/1", {**ROUTE, "uri": "/other"})
    assert (again.status, again.body["value"]["uri"]) == (200, "/other")
    assert client.stored("routes/1") == again.body["value"]


def test_a_resource_has_its_times(client: Any) -> None:
    client.store.put(b"/apisix/routes/1", json.dumps({**ROUTE, "create_time": 7}).encode())
    before = int(time.time())
    value = client.made("routes/1", ROUTE)
    assert value["create_time"] == 7
    assert before <= value["update_time"] <= time.time()


def test_defaults_are_not_written_into_what_is_stored(client: Any) -> None:
    client.made("routes/1", {**ROUTE, "plugins": {"t-count": {"count": 1}}})
    assert set(client.stored("routes/1")) == {
        "uri", "upstream", "plugins", "id", "create_time", "update_time",
    }  # fmt: skip


def test_get_shows_where_and_since_when(client: Any) -> None:
    client.made("routes/1", ROUTE)
    client.made("routes/1", ROUTE)
    answer = client.ask("GET", "routes/1")
    assert answer.status == 200
    assert set(answer.body) == {"key", "value", "createdIndex", "modifiedIndex"}
    assert answer.body["createdIndex"] + 1 == answer.body["modifiedIndex"]


def test_what_is_not_there_is_not_found(client: Any) -> None:
    for method, body in (("GET", None), ("DELETE", None), ("PATCH", {"uri": "/x"})):
        answer = client.ask(method, "routes/1", body)
        assert (answer.status, answer.body) == (404, NOT_FOUND)


def test_delete_tells_the_key(client: Any) -> None:
    client.made("routes/1", ROUTE)
    answer = client.ask("DELETE", "routes/1")
    assert (answer.status, answer.body) == (200, {"deleted": "1", "key": "/apisix/routes/1"})
    assert client.stored("routes/1") is None


def test_post_makes_an_id_of_its_own_each_time(client: Any) -> None:
    answers = [client.ask("POST", "routes", ROUTE) for _ in range(3)]
    assert [answer.status for answer in answers] == [201] * 3
    ids = [answer.body["value"]["id"] for answer in answers]
    assert len({*ids}) == 3
    assert all(len(each) == 20 and client.stored(f"routes/{each}") for each in ids)


def test_posts_at_once_all_get_their_own(client: Any) -> None:
    jobs = [gevent.spawn(client.ask, "POST", "routes", ROUTE) for _ in range(4)]
    answers = [job.get(timeout=20) for job in jobs]
    assert [answer.status for answer in answers] == [201] * 4
    assert client.ask("GET", "routes").body["total"] == 4


def test_the_id_may_stand_in_the_document_alone(client: Any) -> None:
    answer = client.ask("PUT", "routes/7", {**ROUTE, "id": 7})
    assert answer.body["value"]["id"] == "7"  # the URL's, as with APISIX
    answer = client.ask("PUT", "routes", {**ROUTE, "id": 5})
    assert (answer.status, answer.body["key"]) == (201, "/apisix/routes/5")
    assert answer.body["value"]["id"] == 5


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        ("PUT", "routes", ROUTE, "missing route id"),
        ("PUT", "routes/1", {**ROUTE, "id": "2"}, "wrong route id"),
        ("POST", "routes/1", ROUTE, "wrong route id, do not need it"),
        ("POST", "routes", {**ROUTE, "id": "1"}, "wrong route id, do not need it"),
        ("DELETE", "services", None, "missing service id"),
        ("PATCH", "upstreams", {}, "missing upstream id"),
        ("PUT", "consumers/jack/credentials", {}, "missing credential id"),
        ("PUT", "secrets/vault", {}, "missing secret id"),
        ("PATCH", "secrets/vault", {}, "no secret id"),
        ("PUT", "plugin_metadata", {}, "missing plugin name"),
        ("PUT", "routes/1", {**ROUTE, "create_time": 1}, "the property is forbidden:  create_time"),
        (
            "POST",
            "routes",
            {"uri": "/", "upstream": {**NODES, "update_time": 1}},
            "the property is forbidden:  upstream.update_time",
        ),
        ("PUT", "routes/1", b"", "missing configurations"),
        ("PATCH", "routes/1", b"", "missing new configuration"),
        ("PATCH", "routes/1", [], "invalid configuration"),
        (
            "PUT",
            "routes/a%20b",
            {**ROUTE, "plugins": {}},
            'invalid configuration: property "id" validation failed: object matches none of the '
            "required",
        ),
    ],
)
def test_what_is_wrong_in_a_request_is_said(
    client: Any, method: str, path: str, body: Any, words: str
) -> None:
    assert client.refused(method, path.replace("%20", " "), body) == (400, words)


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("POST", "consumers", "consumer"),
        ("PATCH", "consumers/jack", "consumer"),
        ("POST", "consumers/jack/credentials", "credential"),
        ("POST", "consumer_groups", "consumer group"),
        ("POST", "global_rules", "global rule"),
        ("POST", "plugin_configs", "plugin config"),
        ("PATCH", "plugin_metadata/x", "plugin_metadata"),
        ("POST", "secrets/vault/1", "secret"),
        ("PATCH", "protos/1", "proto"),
    ],
)
def test_methods_that_a_resource_has_not(client: Any, method: str, path: str, kind: str) -> None:
    words = f"not supported `{method}` method for {kind}"
    assert client.refused(method, path, {}) == (405, words)


# PATCH


def test_patch_merges_and_null_removes(client: Any) -> None:
    client.made("routes/1", {**ROUTE, "desc": "old", "methods": ["GET", "PUT"]})
    changes = {"desc": None, "methods": ["POST"], "upstream": {"nodes": {"127.0.0.1:1981": 2}}}
    answer = client.ask("PATCH", "routes/1", changes)
    assert answer.status == 200
    value = answer.body["value"]
    assert "desc" not in value
    assert value["methods"] == ["POST"]
    assert value["upstream"]["nodes"] == {"127.0.0.1:1980": 1, "127.0.0.1:1981": 2}
    assert client.stored("routes/1") == value


def test_patch_at_a_path_replaces_what_stands_there(client: Any) -> None:
    client.made("routes/1", ROUTE)
    nodes = {"127.0.0.1:1999": 1}
    value = client.ask("PATCH", "routes/1/upstream/nodes", nodes).body["value"]
    assert value["upstream"]["nodes"] == nodes
    assert client.ask("PATCH", "routes/1/methods", ["GET"]).body["value"]["methods"] == ["GET"]
    assert client.refused("PATCH", "routes/1/uri/x", "y") == (400, "invalid sub-path: /uri")


def test_a_patch_is_checked_as_a_whole(client: Any) -> None:
    client.made("routes/1", ROUTE)
    status, words = client.refused("PATCH", "routes/1", {"uri": 5})
    assert status == 400
    assert words.startswith('invalid configuration: property "uri" validation failed')
    assert client.refused("PATCH", "routes/1", {"id": "9"}) == (400, "wrong route id")
    assert client.stored("routes/1")["uri"] == "/hello"


def test_a_patch_may_set_the_times(client: Any) -> None:
    client.made("routes/1", ROUTE)
    value = client.ask("PATCH", "routes/1", {"create_time": 5, "update_time": 6}).body["value"]
    assert (value["create_time"], value["update_time"]) == (5, 6)


def test_patches_at_once_are_all_kept(client: Any) -> None:
    client.made("routes/1", ROUTE)
    names = "abcdefghij"
    jobs = [
        gevent.spawn(client.ask, "PATCH", "routes/1", {"labels": {name: name}}) for name in names
    ]
    assert [job.get(timeout=20).status for job in jobs] == [200] * len(names)
    assert client.stored("routes/1")["labels"] == dict(zip(names, names, strict=True))


# What resources mean to one another


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        (
            "routes/1",
            {"uri": "/", "upstream_id": 9},
            "failed to fetch upstream info by upstream id [9], response code: 404",
        ),
        (
            "routes/1",
            {"uri": "/", "service_id": "s"},
            "failed to fetch service info by service id [s], response code: 404",
        ),
        (
            "routes/1",
            {**ROUTE, "plugin_config_id": "p"},
            "failed to fetch plugin config info by plugin config id [p], response code: 404",
        ),
        (
            "services/1",
            {"upstream_id": "u"},
            "failed to fetch upstream info by upstream id [u], response code: 404",
        ),
        (
            "consumers",
            {"username": "jack", "group_id": "g"},
            "failed to fetch consumer group info by consumer group id [g], response code: 404",
        ),
    ],
)
def test_what_a_resource_refers_to_must_exist(
    client: Any, path: str, body: Any, words: str
) -> None:
    assert client.refused("PUT", path, body) == (400, words)


@pytest.mark.parametrize("path", ["upstreams/1", "routes/1", "services/1"])
def test_a_certificate_for_upstreams_is_one_for_clients(client: Any, path: str) -> None:
    upstream = {**NODES, "tls": {"client_cert_id": 7}}
    document: dict[str, Any] = {"uri": "/", "upstream": upstream}
    if path != "routes/1":
        document = upstream if path == "upstreams/1" else {"upstream": upstream}
    words = "failed to fetch ssl info by ssl id [7], "
    assert client.refused("PUT", path, document) == (400, f"{words}response code: 404")
    client.store.put(b"/apisix/ssls/7", b'{"type":"server"}')
    assert client.refused("PUT", path, document) == (400, f"{words}wrong ssl type")
    client.store.put(b"/apisix/ssls/7", b'{"type":"client"}')
    assert client.ask("PUT", path, document).status == 201


SPLIT = {"traffic-split": {"rules": [{"weighted_upstreams": [{"upstream_id": 1}]}]}}


@pytest.mark.parametrize(
    ("path", "user", "document", "words"),
    [
        ("upstreams/1", "routes/r", {"upstream_id": 1}, "this upstream, route [r]"),
        ("upstreams/1", "services/s", {"upstream_id": "1"}, "this upstream, service [s]"),
        ("upstreams/1", "routes/r", {"plugins": SPLIT}, "this upstream, plugin in route [r]"),
        (
            "upstreams/1",
            "plugin_configs/p",
            {"plugins": SPLIT},
            "this upstream, plugin in plugin_config [p]",
        ),
        (
            "upstreams/1",
            "consumers/jack",
            {"plugins": SPLIT},
            "this upstream, plugin in consumer [jack]",
        ),
        (
            "upstreams/1",
            "global_rules/g",
            {"plugins": SPLIT},
            "this upstream, plugin in global_rules [g]",
        ),
        ("services/1", "routes/r", {"service_id": 1}, "this service directly, route [r]"),
        (
            "services/1",
            "stream_routes/r",
            {"service_id": 1},
            "this service directly, stream_route [r]",
        ),
        ("plugin_configs/1", "routes/r", {"plugin_config_id": 1}, "this plugin config, route [r]"),
        (
            "consumer_groups/1",
            "consumers/jack",
            {"group_id": "1"},
            "this consumer group, consumer [jack]",
        ),
        (
            "protos/1",
            "routes/r",
            {"plugins": {"grpc-transcode": {"proto_id": "1"}}},
            "this proto, route [r]",
        ),
    ],
)
def test_what_is_in_use_stays_unless_forced(
    client: Any, path: str, user: str, document: Any, words: str
) -> None:
    for key, value in ((path, {}), (user, document)):
        client.store.put(f"/apisix/{key}".encode(), json.dumps(value).encode())
    words = f"can not delete {words} is still using it now"
    assert client.refused("DELETE", path) == (400, words)
    assert client.refused("DELETE", path, force="yes") == (400, words)
    assert client.ask("DELETE", path, force="true").status == 200
    assert client.stored(path) is None


def test_garbage_in_the_store_uses_nothing(client: Any) -> None:
    client.made("upstreams/1", NODES)
    for i, value in enumerate((b"no json", b"[]", b'{"plugins":[],"upstream_id":[]}')):
        client.store.put(f"/apisix/routes/{i}".encode(), value)
    client.store.put(b"/apisix/services/s", b'{"plugins":{"traffic-split":{"rules":[1,{}]}}}')
    assert client.ask("DELETE", "upstreams/1").status == 200


def test_a_plugin_is_in_one_global_rule_at_most(client: Any) -> None:
    rule = {"plugins": {"t-count": {"count": 1}}}
    client.made("global_rules/1", rule)
    client.made("global_rules/1", rule)
    words = "plugin 't-count' already exists in global rule with id '1'"
    assert client.refused("PUT", "global_rules/2", rule) == (400, words)


# Consumers and their credentials


def auth(key: str) -> dict[str, Any]:
    return {"plugins": {"key-auth": {"key": key}}}


def test_a_consumer_is_named_by_its_document(client: Any) -> None:
    answer = client.ask("PUT", "consumers", {"username": "jack", **auth("k")})
    assert (answer.status, answer.body["key"]) == (201, "/apisix/consumers/jack")
    assert "id" not in client.stored("consumers/jack")
    assert client.ask("PUT", "consumers/jack", {"username": "jack"}).status == 200


def test_credentials_stand_below_their_consumer(client: Any) -> None:
    assert client.refused("PUT", "consumers/jack/credentials/a", auth("k")) == (
        404,
        "consumer not found",
    )
    client.made("consumers", {"username": "jack"})
    answer = client.ask("PUT", "consumers/jack/credentials/a", auth("k"))
    assert (answer.status, answer.body["key"]) == (201, "/apisix/consumers/jack/credentials/a")
    assert answer.body["value"]["id"] == "a"
    assert client.ask("GET", "consumers/jack/credentials/a").body["value"]["id"] == "a"
    listed = client.ask("GET", "consumers/jack/credentials").body
    assert (listed["total"], listed["list"][0]["value"]["id"]) == (1, "a")
    assert client.ask("GET", "consumers").body["total"] == 1


def test_a_consumer_takes_its_credentials_along(client: Any) -> None:
    for name in ("jack", "jackson"):
        client.made("consumers", {"username": name})
        client.made(f"consumers/{name}/credentials/a", auth(name))
    assert client.ask("DELETE", "consumers/jack").status == 200
    assert client.stored("consumers/jack/credentials/a") is None
    assert client.stored("consumers/jackson/credentials/a")
    answer = client.ask("GET", "consumers/jack/credentials")
    assert (answer.status, answer.body) == (404, NOT_FOUND)


def test_a_key_belongs_to_one_consumer(client: Any) -> None:
    client.made("consumers", {"username": "jack", **auth("k")})
    client.made("consumers", {"username": "jack", **auth("k")})
    client.made("consumers", {"username": "bob"})
    client.made("consumers/bob/credentials/c", auth("l"))
    client.made("consumers/bob/credentials/c", auth("l"))
    duplicate = "duplicate key of plugin key-auth found with "
    assert client.refused("PUT", "consumers", {"username": "bob", **auth("k")}) == (
        400,
        f"{duplicate}consumer: jack",
    )
    assert client.refused("PUT", "consumers/bob/credentials/d", auth("l")) == (
        400,
        f"{duplicate}credential: c of consumer: bob",
    )
    client.made("consumers", {"username": "bob", **auth("$env://KEY")})
    client.made("consumers", {"username": "eve", **auth("$env://KEY")})


# The rest


def test_plugin_metadata_is_kept_without_times(client: Any) -> None:
    answer = client.ask("PUT", "plugin_metadata/t-count", {"format": "x"})
    assert answer.status == 201
    assert client.stored("plugin_metadata/t-count") == {"format": "x", "id": "t-count"}


def test_secrets_stand_below_their_manager(client: Any) -> None:
    for path in ("vault/1", "vault/2", "aws/1"):
        client.store.put(f"/apisix/secrets/{path}".encode(), b"{}")
    assert client.ask("GET", "secrets").body["total"] == 3
    assert client.ask("GET", "secrets/vault").body["total"] == 2
    assert client.ask("GET", "secrets/vault/1").body["key"] == "/apisix/secrets/vault/1"
    assert client.ask("DELETE", "secrets/vault/1").body["key"] == "/apisix/secrets/vault/1"
    assert client.refused("PUT", "secrets/nowhere/1", {}) == (
        400,
        "invalid secret manager: nowhere",
    )


def test_a_secret_manager_is_checked_by_its_own_schema(client: Any) -> None:
    conf = {"uri": "http://127.0.0.1:8200", "prefix": "kv", "token": "t"}
    client.made("secrets/vault/1", conf)
    assert client.stored("secrets/vault/1").items() >= {**conf, "id": "vault/1"}.items()
    account = {"client_email": "a", "private_key": "b", "project_id": "c"}
    for path, without in (
        ("secrets/vault/1", {"uri": "http://127.0.0.1:8200", "token": "t"}),
        ("secrets/aws/1", {"access_key_id": "a"}),
        ("secrets/gcp/1", {"auth_config": account, "auth_file": "/a"}),
    ):
        status, message = client.refused("PUT", path, without)
        assert status == 400
        assert message.startswith("invalid configuration: ")


def test_a_ttl_ends_a_resource(client: Any) -> None:
    client.ask("PUT", "routes/1", ROUTE, ttl="1")
    watch = client.store.open_watch(b"/apisix/routes/", 0)
    assert watch.next(20).events[0].type == "DELETE"
    watch.cancel()
    assert client.ask("GET", "routes/1").status == 404


@pytest.mark.parametrize("ttl", ["x", "0", "-1", "nan", "1e99"])
def test_a_ttl_is_a_number_of_seconds(client: Any, ttl: str) -> None:
    status, words = client.refused("PUT", "routes/1", ROUTE, ttl=ttl)
    assert status == 400
    assert words.startswith("invalid argument ttl: should be a number")


def test_what_is_unusable_in_the_store_can_be_seen_and_replaced(
    client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    client.store.put(b"/apisix/routes/", b"init_dir")
    client.store.put(b"/apisix/routes/1", b"{")
    status, words = client.refused("GET", "routes/1")
    assert status == 500
    assert words.startswith("the value of /apisix/routes/1 in the store is unusable: ")
    assert client.ask("GET", "routes").body == {"list": [], "total": 0}
    assert "/apisix/routes/1" in caplog.text
    assert "init_dir" not in caplog.text
    assert client.ask("PUT", "routes/1", ROUTE).status == 200


def test_stream_routes_are_refused_as_apisix_does_without_stream(client: Any) -> None:
    words = "stream mode is disabled, can not add stream routes"
    assert client.refused("PUT", "stream_routes/1", {}) == (400, words)


@pytest.mark.parametrize("path", ["routs", "certificates/1", "credentials", "configs"])
def test_a_resource_that_does_not_exist(client: Any, path: str) -> None:
    name = path.split("/")[0]
    assert client.refused("GET", path) == (404, f"Unsupported resource type: {name}")


def test_only_patch_takes_a_path_below_an_item(client: Any) -> None:
    client.made("routes/1", ROUTE)
    for method in ("GET", "PUT", "DELETE"):
        assert client.refused(method, "routes/1/upstream", ROUTE) == (404, "not found")
    assert client.refused("FETCH", "routes/1") == (404, "not found")
