"""resty.expr.v1: operators, logical forms and error texts."""

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.mark.parametrize(
    ("rule", "variables", "expected"),
    [
        ('{{"k", "==", "v"}}', '{k = "v"}', True),
        ('{{"k", "==", "v"}}', '{k = "w"}', False),
        ('{{"k", "==", "v"}}', "{}", False),
        ('{{"k", "v"}}', '{k = "v"}', True),
        ('{{"k", "=="}}', "{}", True),
        ('{{"k", "==", ngx.null}}', "{}", True),
        ('{{"k", "==", 10}}', '{k = "10"}', True),
        ('{{"k", "==", 10}}', '{k = "x"}', False),
        ('{{"k", "~=", 10}}', '{k = "x"}', True),
        ('{{"k", "~=", "v"}}', "{}", True),
        ('{{"k", "~=", "v"}}', '{k = "v"}', False),
        ('{{"k", ">", 10}}', '{k = "11"}', True),
        ('{{"k", ">", "10"}}', "{k = 10}", False),
        ('{{"k", ">", "ten"}}', "{k = 11}", False),
        ('{{"k", ">", 10}}', '{k = "eleven"}', False),
        ('{{"k", ">=", 10}}', "{k = 10}", True),
        ('{{"k", "<", 10}}', "{k = 9}", True),
        ('{{"k", "<=", 10}}', "{k = 10}", True),
        ('{{"k", "<=", 10}}', "{}", False),
        ('{{"k", "~~", "^a+$"}}', '{k = "aaa"}', True),
        ('{{"k", "~~", "^a+$"}}', '{k = "AAA"}', False),
        ('{{"k", "~*", "^a+$"}}', '{k = "AAA"}', True),
        ('{{"k", "~~", "^a+$"}}', "{}", False),
        ('{{"k", "~~", "("}}', '{k = "("}', False),
        ('{{"k", "in", {"a", "b"}}}', '{k = "b"}', True),
        ('{{"k", "IN", {"a", "b"}}}', '{k = "c"}', False),
        ('{{"k", "in", {"a", "b"}}}', "{}", False),
        ('{{"k", "in", "a"}}', '{k = "a"}', False),
        ('{{"k", "in", {1}}}', '{k = "1"}', False),
        ('{{"k", "has", "b"}}', '{k = {"a", "b"}}', True),
        ('{{"k", "has", "b"}}', '{k = "b"}', False),
        ('{{"k", "ipmatch", "10.0.0.0/8"}}', '{k = "10.1.1.1"}', True),
        ('{{"k", "ipmatch", {"::1", "10.0.0.0/8"}}}', '{k = "11.1.1.1"}', False),
        ('{{"k", "ipmatch", {"::1"}}}', "{}", False),
        ('{{"k", "!", "ipmatch", {"::1"}}}', '{k = "::2"}', True),
        ('{{"k", "!", "==", "v"}}', '{k = "v"}', False),
        ('{{"k", "!", "in", {"a"}}}', '{k = "b"}', True),
        ('{{"a", "==", 1}, {"b", "==", 2}}', "{a = 1, b = 2}", True),
        ('{{"a", "==", 1}, {"b", "==", 2}}', "{a = 1, b = 3}", False),
        ('{"AND", {"a", "==", 1}, {"b", "==", 2}}', "{a = 1}", False),
        ('{"or", {"a", "==", 1}, {"b", "==", 2}}', "{b = 2}", True),
        ('{"OR", {"a", "==", 1}, {"b", "==", 2}}', "{}", False),
        ('{"!OR", {"a", "==", 1}, {"b", "==", 2}}', "{}", True),
        ('{"!OR", {"a", "==", 1}, {"b", "==", 2}}', "{a = 1}", False),
        ('{"!AND", {"a", "==", 1}, {"b", "==", 2}}', "{a = 1}", True),
        ('{"!AND", {"a", "==", 1}, {"b", "==", 2}}', "{a = 1, b = 2}", False),
        ('{{"OR", {"a", "==", 1}, {"b", "==", 2}}, {"c", "==", 3}}', "{b = 2, c = 3}", True),
        ('{"OR", {{"a", "==", 1}, {"b", "==", 2}}, {"c", "==", 3}}', "{a = 1, b = 2}", True),
        ("{}", "{}", True),
    ],
)
def test_eval(run_lua: Run, rule: str, variables: str, expected: bool) -> None:
    code = f'return assert(require("resty.expr.v1").new({rule})):eval({variables})'
    assert run_lua(code) is expected


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("nil", "missing argument rule"),
        ('{"k", "==", "v"}', "rule should be wrapped inside brackets"),
        ('{{"k", "invalid", 10}}', "invalid operator 'invalid'"),
        ('{{"k"}}', "invalid expression"),
        ('{{"k", "==", "in", "v"}}', "bad 'not' expression"),
        ('{{"k", "!", "=="}}', "invalid operator '!'"),
        ("{{}}", "rule too short"),
        ('{"AND", {"a", "==", 1}}', "rule too short"),
        ('{{"OR", {"a", "==", 1}}}', "rule too short"),
        ('{{"k", "ipmatch"}}', "invalid ip address"),
        ('{{"k", "ipmatch", ""}}', "invalid ip address"),
        ('{{"k", "ipmatch", {}}}', "invalid ip address"),
        ('{{"k", "ipmatch", {"x"}}}', "invalid ip address: x"),
        ('{"AND", "a", "b"}', "invalid expression"),
    ],
)
def test_a_bad_rule_is_refused_with_the_reason(run_lua: Run, rule: str, message: str) -> None:
    assert run_lua(f'return require("resty.expr.v1").new({rule})') == (None, message)


def test_variables_must_be_a_table(run_lua: Run) -> None:
    code = 'return require("resty.expr.v1").new({{"k", "==", "v"}}):eval("text")'
    assert run_lua(code) == (None, "bad ctx type")


def test_a_rule_reads_only_the_variables_that_it_needs(run_lua: Run) -> None:
    code = """
        local read = {}
        local vars = setmetatable({}, {__index = function(_, name) read[#read + 1] = name end})
        local rule = {"AND", {"a", "==", "1"}, {"b", "==", "1"}}
        require("resty.expr.v1").new(rule):eval(vars)
        return table.concat(read, ",")
    """
    assert run_lua(code) == "a"
