"""core.json: what plugins encode and decode with."""

import re
from collections.abc import Callable
from typing import Any

import pytest

RunLua = Callable[..., Any]
JSON = 'local json = require "apisix.core.json" '


def test_an_empty_array_stays_one_and_slashes_stay_bare(run_lua: RunLua) -> None:
    assert run_lua(
        JSON
        + """return json.encode(json.decode '{"a":[]}'),
        json.encode(json.decode '{"o":{}}'), json.encode {u = "/a"},
        json.encode {a = setmetatable({}, json.array_mt)}"""
    ) == (
        '{"a":[]}',
        '{"o":{}}',
        '{"u":"/a"}',
        '{"a":[]}',
    )


@pytest.mark.parametrize("module", ["cjson", "cjson.safe"])
def test_instances_that_libraries_make_behave_the_same(run_lua: RunLua, module: str) -> None:
    code = 'return cjson.encode(cjson.decode \'{"a":[]}\'), cjson.encode "/"'
    for made in ("", ".new()", ".new().new()"):
        assert run_lua(f'{JSON} local cjson = require "{module}"{made} {code}') == (
            '{"a":[]}',
            '"/"',
        )


def test_force_writes_what_json_lacks_as_text(run_lua: RunLua) -> None:
    text = run_lua(JSON + 'return json.encode({t = "x", f = function() end}, true)')
    assert re.search(r'"f":"function: 0x[0-9a-f]+"', text)
    assert '"t":"x"' in text
    text = run_lua(JSON + 'return json.encode({c = require("ffi").new("char *[1]")}, true)')
    assert re.fullmatch(r'\{"c":"cdata<char \*\[1\]>: 0x[0-9a-f]+"\}', text)


def test_force_ends_a_cycle(run_lua: RunLua) -> None:
    text = run_lua(JSON + "local a, b = {}, {} a.b, b.a = b, a return json.encode(a, true)")
    assert re.fullmatch(r'\{"b":\{"a":\{"b":"table: 0x\w+"\}\}\}', text)


def test_force_keeps_false_null_and_arrays(run_lua: RunLua) -> None:
    code = JSON + "return json.encode(json.decode '[false,null,[],{}]', true)"
    assert run_lua(code) == "[false,null,[],{}]"
    assert run_lua(JSON + "return json.encode(false, true)") == "false"
    assert run_lua(JSON + "return json.encode(nil, true)") == "null"


def test_without_force_what_json_lacks_is_an_error(run_lua: RunLua) -> None:
    assert run_lua(JSON + "return json.encode(print)") == (
        None,
        "Cannot serialise function: type not supported",
    )


def test_nulls_can_be_left_out(run_lua: RunLua) -> None:
    assert run_lua(
        JSON
        + """
        local text = '{"a":null,"b":{"c":null,"d":1},"e":[null]}'
        local kept, left = json.decode(text), json.decode(text, {null_as_nil = true})
        return kept.a == json.null, left.a, left.b.c, left.b.d, #left.e,
            (json.decode("null", {null_as_nil = true}))
    """
    ) == (True, None, None, 1, 0, None)


def test_delayed_encoding_happens_only_when_read(run_lua: RunLua) -> None:
    assert run_lua(
        JSON
        + """
        local data = {v = 1}
        local delayed = json.delay_encode(data)
        data.v = 2
        return tostring(delayed), tostring(json.delay_encode {v = 3})
    """
    ) == ('{"v":2}', '{"v":3}')


def test_delayed_encodings_do_not_share_a_place(run_lua: RunLua) -> None:
    assert (
        run_lua(
            JSON
            + """
        local delayed = {}
        for i = 1, 100 do delayed[i] = json.delay_encode {i} end
        for i = 1, 100 do
            if tostring(delayed[i]) ~= "[" .. i .. "]" then return i end
        end
        return "all"
    """
        )
        == "all"
    )


@pytest.mark.parametrize("name", ["canonical_encode", "stably_encode"])
def test_canonical_text_does_not_depend_on_the_order_of_insertion(
    run_lua: RunLua, name: str
) -> None:
    assert run_lua(
        JSON
        + f"""
        local one, other = {{}}, {{}}
        for i = 1, 50 do one["k" .. i] = {{i}} end
        for i = 50, 1, -1 do other["k" .. i] = {{i}} end
        return json.{name}(one) == json.{name}(other), json.{name} {{b = {{d = 1, c = 2}}, a = "/"}}
    """
    ) == (True, '{"a":"/","b":{"c":2,"d":1}}')


def test_canonical_numbers_are_exact_and_no_longer_than_needed(run_lua: RunLua) -> None:
    code = JSON + "return json.canonical_encode {0.1, 1/3, 2^53 + 2, 1e300, 5}"
    assert run_lua(code) == "[0.1,0.3333333333333333,9007199254740994,1e+300,5]"


def test_canonical_encoding_keeps_null_and_empty_arrays(run_lua: RunLua) -> None:
    code = JSON + """return json.canonical_encode(json.decode '{"b":null,"a":[],"c":{}}')"""
    assert run_lua(code) == '{"a":[],"b":null,"c":{}}'
