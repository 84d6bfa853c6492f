"""core.schema: checks with cached validators, and references to secrets."""

from collections.abc import Callable
from typing import Any

import pytest

RunLua = Callable[..., Any]
SCHEMA = 'local schema = require "apisix.core.schema" '


def test_check_fills_defaults_and_reports(run_lua: RunLua) -> None:
    assert run_lua(
        SCHEMA
        + """
        local s = {type = "object", properties = {n = {type = "integer", default = 3}}}
        local data = {}
        assert(schema.check(s, data))
        return data.n, schema.check(s, {n = "x"})
    """
    ) == (
        3,
        False,
        'property "n" validation failed: wrong type: expected integer, got string',
    )


def test_a_wrong_schema_is_an_answer_and_not_an_error(run_lua: RunLua) -> None:
    code = SCHEMA + 'local s = {type = "x"} '
    ok, message = run_lua(code + "return schema.check(s, 1)")
    assert not ok
    assert message.endswith(" invalid JSON type: x")
    assert run_lua(code + "return (schema.valid(s))") is None


def test_a_schema_is_compiled_once(run_lua: RunLua) -> None:
    assert run_lua(
        SCHEMA
        + """
        local s = {type = "string"}
        return schema.valid(s) == schema.valid(s), schema.valid(s) == schema.valid {type = "string"}
    """
    ) == (True, False)


# Knowing a reference takes apisix.secret, and that takes apisix.core, which asks for config.yaml.
WITH_CONFIG = """
require("server.bridge").call.local_conf = function() return "{}" end
"""


@pytest.mark.parametrize("reference", ["$secret://vault/1/k", "$env://NAME", "$ENV://NAME"])
def test_a_reference_passes_where_a_string_is_wanted(run_lua: RunLua, reference: str) -> None:
    code = (
        WITH_CONFIG
        + SCHEMA
        + f"""
        local s = {{properties = {{s = {{type = "string", pattern = "^x", maxLength = 3}},
            e = {{enum = {{"a"}}}}, n = {{type = "integer"}}}}}}
        return (schema.check(s, {{s = "{reference}"}})), (schema.check(s, {{e = "{reference}"}})),
            (schema.check(s, {{n = "{reference}"}})), (schema.check(s, {{s = "$other"}}))
    """
    )
    assert run_lua(code) == (True, True, False, False)


def test_the_definitions_are_fields_and_nothing_can_be_added(run_lua: RunLua) -> None:
    assert run_lua(
        SCHEMA
        + """
        local def = require "apisix.schema_def"
        local added = pcall(function() schema.mine = 1 end)
        return schema.TYPE_CONSUMER, schema.TYPE_METADATA, schema.route == def.route,
            schema.uri_def == def.uri_def, added
    """
    ) == (1, 2, True, True, False)


def test_schemas_that_are_no_longer_used_can_be_collected(run_lua: RunLua) -> None:
    """Plugins make schemas at run time; the cache holds no more than a thousand validators."""
    assert (
        run_lua(
            SCHEMA
            + """
        local held = setmetatable({}, {__mode = "k"})
        for i = 1, 3000 do
            local s = {type = "integer", minimum = i}
            held[s] = true
            schema.check(s, i)
        end
        collectgarbage() collectgarbage()
        local count = 0
        for _ in pairs(held) do count = count + 1 end
        return count < 2000  -- compiled traces hold some for a while
    """
        )
        is True
    )
