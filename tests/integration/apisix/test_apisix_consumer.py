"""apisix.consumer as plugins call it, on a gateway with consumers and credentials."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

# Lua code in a header, run in rewrite; what it returns is the response.
RUN = """return function(_, ctx)
    local core, consumer = require("apisix.core"), require("apisix.consumer")
    local code = "local consumer, ctx = ...; " .. core.request.header(ctx, "code")
    return 200, { assert(loadstring(code))(consumer, ctx) }
end"""


@pytest.fixture(scope="module")
def lua(module_start: Callable[..., Any]) -> Callable[[str], Any]:
    """Run code with `consumer` (the module) and `ctx`; returns what it returns, as an array."""

    def holder(**plugins: Any) -> dict[str, Any]:
        return {"plugins": plugins}

    gateway = module_start(
        {
            "consumers/ann": {
                "username": "ann",
                "labels": {"custom_id": "7"},
                "group_id": "staff",
                **holder(**{"key-auth": {"key": "a"}, "t-auth": {"key": "t"}}),
            },
            "consumers/bob": {"username": "bob"},
            "consumers/bob/credentials/c1": holder(**{"key-auth": {"key": "b"}}),
            "consumers/bob/credentials/c2": holder(**{"key-auth": {"key": "c"}}),
            "routes/1": {
                "uri": "/",
                "upstream": {"type": "roundrobin", "nodes": {"127.0.0.1:1": 1}},
                "plugins": {"serverless-pre-function": {"phase": "rewrite", "functions": [RUN]}},
            },
        },
        {"plugins": ["serverless-pre-function", "key-auth", "t-auth"]},
    )

    def run(code: str) -> Any:
        answer = gateway.ask("/", code=code)
        assert answer.status == 200, gateway.log()
        return json.loads(answer.body)

    return run


def test_consumers_are_found_by_their_own_credentials_and_by_others(
    lua: Callable[[str], Any],
) -> None:
    code = """
        local found, conf = consumer.find_consumer("key-auth", "key", "%s")
        return found.username, found.consumer_name, found.credential_id or "none",
            found.custom_id or "none", found.group_id or "none", found.auth_conf.key, conf.len
    """.replace("\n", " ")
    assert lua(code % "a") == ["ann", "ann", "none", "7", "staff", "a", 3]
    assert lua(code % "c") == ["bob", "bob", "c2", "none", "none", "c", 3]


def test_nobody_is_found(lua: Callable[[str], Any]) -> None:
    code = """
        local function shape(found, conf, err)
            return found == nil, conf ~= nil, err or "no error"
        end
        local a, b, c = shape(consumer.find_consumer("key-auth", "key", "nobody's"))
        return a, b, c, shape(consumer.find_consumer("jwt-auth", "key", "a"))
    """.replace("\n", " ")
    assert lua(code) == [True, True, "no error", True, False, "Missing related consumer"]


def test_lists_hold_no_credentials(lua: Callable[[str], Any]) -> None:
    code = """
        local list, version = consumer.consumers()
        local names = {}
        for i, item in ipairs(list) do names[i] = item.value.username end
        table.sort(names)
        return names, version ~= nil,
            consumer.get_consumer_key_from_credential_key("/consumers/bob/credentials/c1")
    """.replace("\n", " ")
    assert lua(code) == [["ann", "bob"], True, "/consumers/bob"]


def test_an_anonymous_consumer(lua: Callable[[str], Any]) -> None:
    code = """
        local found, conf = consumer.get_anonymous_consumer("bob")
        local none, no_conf, err = consumer.get_anonymous_consumer("nobody")
        return found.consumer_name, conf.conf_version == found.modifiedIndex, none == nil,
            no_conf == nil, err
    """.replace("\n", " ")
    failed = "failed to get anonymous consumer nobody"
    assert lua(code) == ["bob", True, True, True, failed]


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ("{['key-auth'] = {key = 'new'}}, 'carl'", None),
        ("{['key-auth'] = {key = 'a'}}, 'ann'", None),
        ("{['key-auth'] = {key = 'b'}}, 'bob'", None),
        ("{['key-auth'] = {key = 'b'}}, 'bob', 'c1'", None),
        ("{['key-auth'] = {key = '$env://KEY'}}, 'carl'", None),
        ("{['t-auth'] = {key = 't'}}, 'carl'", None),
        ("nil, 'carl'", None),
        ("{['key-auth'] = {key = 'a'}}, 'carl'", "consumer: ann"),
        ("{['key-auth'] = {key = 'a'}}, 'ann', 'x'", "consumer: ann"),
        ("{['key-auth'] = {key = 'b'}}, 'ann'", "credential: c1 of consumer: bob"),
        ("{['key-auth'] = {key = 'b'}}, 'bob', 'c2'", "credential: c1 of consumer: bob"),
    ],
)
def test_a_credential_is_one_consumers_alone(
    lua: Callable[[str], Any], arguments: str, fault: str | None
) -> None:
    code = f"local ok, err = consumer.check_duplicate_key({arguments}) return ok == true, err"
    if fault is None:
        assert lua(code) == [True]
    else:
        assert lua(code) == [False, f"duplicate key of plugin key-auth found with {fault}"]
