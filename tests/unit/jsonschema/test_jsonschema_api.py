"""generate_validator: defaults, references, options, large and wrong schemas."""

from collections.abc import Callable
from typing import Any

import pytest

RunLua = Callable[..., Any]
GENERATE = 'local generate = require("jsonschema").generate_validator '


def test_defaults_are_filled_in_place_at_any_depth(run_lua: RunLua) -> None:
    assert run_lua(
        GENERATE
        + """
        local data = {inner = {}, list = {{}}, kept = false}
        local integer = {type = "integer", default = 5}
        assert(generate {properties = {
            n = integer, s = {default = "a'\\"\\n"}, b = {default = false}, kept = {default = true},
            inner = {properties = {n = integer}}, list = {items = {properties = {n = integer}}},
            nothing = {default = require("cjson").null},
        }}(data))
        return data.n, data.s, data.b, data.kept, data.inner.n, data.list[1].n, data.nothing
    """
    ) == (5, "a'\"\n", False, False, 5, 5, None)


def test_a_table_as_default_is_a_new_one_each_time(run_lua: RunLua) -> None:
    assert run_lua(
        GENERATE
        + """
        local default = {1, {a = 2}}
        local validate = generate {properties = {t = {default = default}}}
        local one, other = {}, {}
        validate(one) validate(other)
        one.t[2].a = 3
        return other.t[2].a, default[2].a, one.t == other.t
    """
    ) == (2, 2, False)


def test_a_required_property_is_not_supplied_by_its_default(run_lua: RunLua) -> None:
    code = 'return generate {properties = {a = {default = 1}}, required = {"a"}} {}'
    assert run_lua(GENERATE + code) == (False, 'property "a" is required')


def test_the_schema_is_left_as_it_was(run_lua: RunLua) -> None:
    """Validators are cached by the schema's table, and schemas are shown by the Admin API."""
    assert (
        run_lua(
            GENERATE
            + """
        local cjson = require "cjson"
        local schema = {id = "http://a/", properties = {a = {["$ref"] = "#/definitions/d"}},
                        definitions = {d = {type = "string"}}}
        local core = require "apisix.core.json"
        local before = core.canonical_encode(schema)
        generate(schema)({a = "x"})
        return before == core.canonical_encode(schema)
    """
        )
        is True
    )


@pytest.mark.parametrize(
    ("reference", "definitions"),
    [
        ("#/definitions/n", '{n = {type = "integer"}}'),
        ("#/definitions/a~1b%25", '{["a/b%"] = {type = "integer"}}'),
        ("#/definitions/l/items/1", '{l = {items = {{}, {type = "integer"}}}}'),
        ("#name", '{n = {["$id"] = "#name", type = "integer"}}'),
        ("inner.json", '{n = {["$id"] = "inner.json", type = "integer"}}'),
        ("#/definitions/m", '{m = {["$ref"] = "#/definitions/n"}, n = {type = "integer"}}'),
    ],
)
def test_references_within_a_schema(run_lua: RunLua, reference: str, definitions: str) -> None:
    code = (
        f'local validate = generate {{properties = {{a = {{["$ref"] = "{reference}"}}}},'
        f" definitions = {definitions}}}"
        ' return validate {a = 1}, (validate {a = "x"})'
    )
    assert run_lua(GENERATE + code) == (True, False)


def test_a_schema_may_refer_to_itself(run_lua: RunLua) -> None:
    assert run_lua(
        GENERATE
        + """
        local validate = generate {properties = {child = {["$ref"] = "#"}, n = {type = "integer"}}}
        return select(2, validate {child = {child = {n = "x"}}})
    """
    ) == (
        'property "child" validation failed: property "child" validation failed: '
        'property "n" validation failed: wrong type: expected integer, got string'
    )


def test_other_documents_come_from_the_external_resolver(run_lua: RunLua) -> None:
    assert run_lua(
        GENERATE
        + """
        local asked = {}
        local validate = generate({properties = {a = {["$ref"] = "http://x/y.json#/definitions/n"},
                                                 b = {["$ref"] = "http://x/y.json"}}}, {
            external_resolver = function(uri)
                asked[#asked + 1] = uri
                return {type = "string", definitions = {n = {type = "integer"}}}
            end,
        })
        return (validate {a = 1, b = "x"}), (validate {a = "x"}), table.concat(asked, " ")
    """
    ) == (True, False, "http://x/y.json")


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ('{type = "text"}', "invalid JSON type: text"),
        ("{type = 1}", 'invalid "type" type: got number'),
        (
            '{["$ref"] = "#/definitions/x"}',
            'reference not found: #/definitions/x (at "definitions")',
        ),
        ('{["$ref"] = "http://x/y"}', "an external resolver is required to fetch http://x/y"),
        ('{["$ref"] = "#"}', "reference to itself: #"),
        ('{["$ref"] = "#nowhere"}', "reference not found: #nowhere"),
    ],
)
def test_a_wrong_schema_raises_at_generation(run_lua: RunLua, schema: str, message: str) -> None:
    ok, got = run_lua(GENERATE + f"return pcall(generate, {schema})")
    assert not ok
    assert got.endswith(message)


def test_values_can_be_passed_over(run_lua: RunLua) -> None:
    assert run_lua(
        GENERATE
        + """
        local validate = generate({properties = {n = {type = "integer"}, s = {pattern = "^a"}}}, {
            skip_validation = function(value, schema)
                return value == "later" and schema.type ~= "boolean"
            end,
        })
        return validate {n = "later", s = "later"}, (validate {n = "x"})
    """
    ) == (True, False)


def test_null_patterns_and_addresses_can_be_the_callers(run_lua: RunLua) -> None:
    assert run_lua(
        GENERATE
        + """
        local none = {}
        local options = {
            null = none,
            match_pattern = function(text, pattern) return text == pattern end,
            parse_ipv4 = function(text) return text == "home" end,
        }
        return (generate({type = "null"}, options)(none)), (generate({pattern = "("}, options) "("),
            (generate({format = "ipv4"}, options) "home")
    """
    ) == (True, True, True)


def test_the_name_stands_in_stack_traces(run_lua: RunLua) -> None:
    assert "jsonschema:mine:" in run_lua(
        GENERATE
        + """
        local validate = generate({pattern = "a"}, {
            name = "mine",
            match_pattern = function() error(debug.traceback(), 0) end,
        })
        return select(2, pcall(validate, "a"))
    """
    )


def test_functions_and_tables_are_types_too(run_lua: RunLua) -> None:
    assert run_lua(
        GENERATE
        + """
        local callable, table_ = generate {type = "function"}, generate {type = "table"}
        return (callable(print)), (callable {}), (table_ {1}), (table_ {a = 1}), (table_ "x")
    """
    ) == (True, False, True, True, False)


def test_a_64_bit_integer_is_an_integer(run_lua: RunLua) -> None:
    assert run_lua(GENERATE + 'return generate {type = "integer"} (2LL)') is True


def test_an_object_may_have_thousands_of_properties(run_lua: RunLua) -> None:
    """More than one Lua function has room for jumps, locals or constants."""
    assert run_lua(
        GENERATE
        + """
        local schema, data = {properties = {}, additionalProperties = false}, {}
        for i = 1, 5000 do
            schema.properties["p" .. i] = {type = "integer", minimum = i, default = i}
            data["p" .. i] = i
        end
        local validate = generate(schema)
        local all, filled = validate(data), {}
        assert(validate(filled))
        data.p4999 = 0
        return all, filled.p77, (select(2, validate(data)))
    """
    ) == (
        True,
        77,
        'property "p4999" validation failed: expected 0 to be at least 4999',
    )


def test_a_schema_may_be_deep_and_wide(run_lua: RunLua) -> None:
    assert (
        run_lua(
            GENERATE
            + """
        local schema, data = {type = "integer"}, 1
        for i = 1, 150 do
            schema = {anyOf = {{type = "string"}, {properties = {["k" .. i] = schema}}}}
            data = {["k" .. i] = data}
        end
        return (generate(schema)(data))
    """
        )
        is True
    )


def test_invalid_utf8_counts_byte_by_byte(run_lua: RunLua) -> None:
    lengths = {
        b"\xff\xfe": 2,
        b"\xe2\x82": 2,
        b"\xe2\x82\xac": 1,
        b"\xed\xa0\x80": 3,
        b"\xf4\x90\x80\x80": 4,
        b"\xf0\x9f\x98\x80": 1,
        b"\xc3(": 2,
        b"\xc0\x80": 2,
    }
    for text, length in lengths.items():
        code = f"return generate {{minLength = {length}, maxLength = {length}}} (...)"
        assert run_lua(GENERATE + code, text) is True, text


def test_equality_of_cyclic_tables_ends(run_lua: RunLua) -> None:
    assert run_lua(
        GENERATE
        + """
        local function cycle(n) local t = {n = n} t.t = t return t end
        return (generate {uniqueItems = true} {cycle(1), cycle(2)}),
            (generate {uniqueItems = true} {cycle(1), cycle(1)})
    """
    ) == (True, False)


def test_the_source_can_be_looked_at(run_lua: RunLua) -> None:
    source = run_lua('return require("jsonschema").generate_validator_code {type = "string"}')
    assert "wrong type: expected string" in source
