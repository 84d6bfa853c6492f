"""What resty.jwt holds claims to: resty.jwt-validators, and the older options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support import jose

Run = Callable[..., Any]

NOW = 1_700_000_000
GOOD = "everything is awesome~ :p"
VERIFY = """
    local validators = require "resty.jwt-validators"
    validators.set_system_clock(function() return {now} end)
    local token = ...
    local found = require("resty.jwt"):verify("secret", token{specs})
    return found.verified, found.reason
"""


def verify(run_lua: Run, payload: Any, *specs: str) -> tuple[bool, str]:
    code = VERIFY.format(now=NOW, specs="".join(f", {spec}" for spec in specs))
    found: tuple[bool, str] = run_lua(code, jose.token("HS256", b"secret", payload))
    return found


@pytest.mark.parametrize(
    ("spec", "good", "bad", "reason"),
    [
        ("required()", 1, None, "'c' claim is required."),
        ('equals("a")', "a", "b", "Claim 'c' ('b') returned failure"),
        ('equals("a")', "a", None, "'c' claim is required."),
        ('opt_equals("a")', None, "b", "Claim 'c' ('b') returned failure"),
        ('equals("a")', "a", 1, "'c' is malformed.  Expected to be a string."),
        ('matches("^%d+$")', "12", "x", "Claim 'c' ('x') returned failure"),
        ('equals_any_of({"a", "b"})', "b", "c", "Claim 'c' ('c') returned failure"),
        ('matches_any_of({"^a", "^b"})', "bc", "c", "Claim 'c' ('c') returned failure"),
        ('contains_any_of({"x", "y"})', ["a", "y"], ["a"], "returned failure"),
        ("greater_than(3)", 4, 3, "Claim 'c' ('3') returned failure"),
        ("greater_than_or_equal(3)", 3, 2, "Claim 'c' ('2') returned failure"),
        ("less_than(3)", 2, 3, "Claim 'c' ('3') returned failure"),
        ("less_than_or_equal(3)", 3, 4, "Claim 'c' ('4') returned failure"),
        ("is_not_expired()", NOW + 1, NOW, "'c' claim expired at Tue, 14 Nov 2023 22:13:20 GMT"),
        ("is_not_before()", NOW, NOW + 1, "'c' claim not valid until Tue, 14 Nov 2023 22:13:21"),
        ("is_at()", NOW, NOW + 1, "'c' claim is only valid at Tue, 14 Nov 2023 22:13:21 GMT"),
        (
            "is_not_expired()",
            NOW + 1,
            "x",
            "'c' is malformed.  Expected to be a positive numeric value.",
        ),
        (
            'chain(validators.required(), validators.opt_matches("a"))',
            "ab",
            "b",
            "Claim 'c' ('b') returned failure",
        ),
        ("check(2, function(a, b) return a % b == 0 end)", 4, 5, "Claim 'c' ('5') returned"),
        ("any_of({2, 3}, function(a, b) return a % b == 0 end)", 9, 5, "Claim 'c' ('5') returned"),
    ],
)
def test_validators(run_lua: Run, spec: str, good: Any, bad: Any, reason: str) -> None:
    claims = [{} if value is None else {"c": value} for value in (good, bad)]
    assert verify(run_lua, claims[0], f"{{c = validators.{spec}}}") == (True, GOOD)
    verified, why = verify(run_lua, claims[1], f"{{c = validators.{spec}}}")
    assert not verified
    assert reason in why


def test_a_validator_of_the_whole_token(run_lua: Run) -> None:
    spec = '{__jwt = validators.require_one_of({"a", "b"})}'
    assert verify(run_lua, {"b": 1}, spec) == (True, GOOD)
    assert verify(run_lua, {}, spec) == (False, "Missing one of claims - [ a, b ].")


def test_a_function_of_ones_own(run_lua: Run) -> None:
    for body, expected in (
        ("return true", (True, GOOD)),
        ("return nil", (True, GOOD)),
        ("return false", (False, "Claim 'c' ('v') returned failure")),
        ('error("no " .. value .. claim)', (False, "no vc")),
        ('error({reason = "why"})', (False, "why")),
        ('error(require("cjson").decode(json).payload.c, 0)', (False, "v")),
    ):
        spec = f"{{c = function(value, claim, json) {body} end}}"
        assert verify(run_lua, {"c": "v"}, spec) == expected


def test_every_specification_must_hold(run_lua: Run) -> None:
    specs = ('{a = validators.equals("1")}', '{b = validators.equals("2")}')
    assert verify(run_lua, {"a": "1", "b": "2"}, *specs) == (True, GOOD)
    assert verify(run_lua, {"a": "1"}, *specs) == (False, "'b' claim is required.")


@pytest.mark.parametrize(
    ("payload", "verified"),
    [({}, True), ({"exp": NOW + 1}, True), ({"exp": NOW}, False), ({"nbf": NOW + 1}, False)],
)
def test_times_that_are_there_count_by_default(
    run_lua: Run, payload: dict[str, int], verified: bool
) -> None:
    assert verify(run_lua, payload)[0] is verified
    assert verify(run_lua, payload, "{}")[0] is True, "asked for nothing"


@pytest.mark.parametrize(
    ("options", "payload", "reason"),
    [
        ('{valid_issuers = {"a"}}', {"iss": "a"}, GOOD),
        ('{valid_issuers = {"a"}}', {"iss": "b"}, "Claim 'iss' ('b') returned failure"),
        ("{require_exp_claim = true}", {}, "'exp' claim is required."),
        ("{require_nbf_claim = true}", {}, "'nbf' claim is required."),
        ("{require_exp_claim = false}", {}, GOOD),
        ("{lifetime_grace_period = 10}", {}, "Missing one of claims - [ nbf, exp ]."),
        ("{lifetime_grace_period = 10}", {"exp": NOW - 9}, GOOD),
        ("{lifetime_grace_period = 10}", {"exp": NOW - 10}, "'exp' claim expired at Tue"),
        ("{lifetime_grace_period = 10}", {"nbf": NOW + 10}, GOOD),
    ],
)
def test_older_options(run_lua: Run, options: str, payload: dict[str, Any], reason: str) -> None:
    verified, why = verify(run_lua, payload, options)
    assert why.startswith(reason)
    assert verified is (reason == GOOD)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("equals(nil)", "Cannot create validator for nil check_val."),
        ("matches(1)", "Cannot create validator for non-string pattern."),
        ("equals_any_of(nil)", "Cannot create validator for nil check_values."),
        ("equals_any_of({})", "Cannot create validator for empty table check_values."),
        ("matches_any_of({1})", "Cannot create validator for non-string table patterns."),
        ('greater_than("1")', "Cannot create validator for non-number check_val."),
        ("check(1)", "Cannot create validator for nil check_function."),
        ("chain(1)", "Cannot create validator for non-function chain_function."),
        ("set_system_leeway(-1)", "leeway must be a non-negative number"),
        ("set_system_clock(1)", "clock must be a function"),
        (
            "set_system_clock(function() end)",
            "clock function must return a non-negative number",
        ),
    ],
)
def test_what_is_no_validator(run_lua: Run, call: str, error: str) -> None:
    code = f"""
        local validators = require "resty.jwt-validators"
        return pcall(function() return validators.{call} end)
    """
    assert run_lua(code) == (False, error)


def test_a_specification_that_is_none(run_lua: Run) -> None:
    ok, error = run_lua(
        """
        local jwt, token = require "resty.jwt", ...
        return pcall(jwt.verify, jwt, "secret", token, {c = 1})
        """,
        jose.token("HS256", b"secret", {}),
    )
    assert not ok
    assert error.startswith("Claim spec value must be a function")
