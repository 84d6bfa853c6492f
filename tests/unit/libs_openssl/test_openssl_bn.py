"""resty.openssl.bn against Python's whole numbers."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]

RANDOM = random.Random(1)
NUMBERS = [0, 1, 2, 255, 256, 2**64 - 1, 2**64, *(RANDOM.getrandbits(300) for _ in range(4))]
PREPARE = """
    local bn = require "resty.openssl.bn"
    local a, b, m = ...
    a, b, m = bn.new(a), b and bn.new(b), m and bn.new(m)
"""


@pytest.mark.parametrize("number", NUMBERS)
def test_every_form(run_lua: Run, number: int) -> None:
    raw = number.to_bytes(-(-number.bit_length() // 8), "big")
    dec, hexa, padded, text, from_hex, from_binary, from_mpi = run_lua(
        f"""{PREPARE}
        return a:to_dec(), a:to_hex(), a:to_binary(40), tostring(a),
            tostring(bn.from_hex(a:to_hex())), tostring(bn.new(b and "" or a:to_binary(40), 2)),
            a:is_zero() and "0" or tostring(bn.from_mpi(a:to_mpi()))
        """,
        str(number),
    )
    assert dec == text == from_hex == from_binary == from_mpi == str(number)
    assert int(hexa, 16) == number
    assert padded.encode("latin-1") == raw.rjust(40, b"\0")
    if number:
        assert run_lua(f"{PREPARE} return a:to_binary()", str(number)).encode("latin-1") == raw


@pytest.mark.parametrize("a", NUMBERS[1:])
@pytest.mark.parametrize("b", NUMBERS[2:8])
def test_arithmetic(run_lua: Run, a: int, b: int) -> None:
    modulus = 2**89 - 1
    found = run_lua(
        f"""{PREPARE}
        local found = {{a + b, a - b, a * b, a / b, a % b, -a, a:sqr(), a:gcd(b), a:lshift(3),
            a:rshift(3), a:mod_add(b, m), a:mod_sub(b, m), a:mod_mul(b, m), a:mod_exp(b, m),
            a:mod_sqr(m), bn.pow(a, 3), bn.add(a, 5), 5 + a}}
        for i, value in ipairs(found) do
            found[i] = tostring(value)
        end
        return table.concat(found, " ")
        """,
        str(a),
        str(b),
        str(modulus),
    )
    modular = ((a + b), (a - b), (a * b))
    assert [int(text) for text in found.split(" ")] == [
        *(a + b, a - b, a * b, a // b, a % b, -a, a * a, math.gcd(a, b), a << 3, a >> 3),
        *(value % modulus for value in modular),
        *(pow(a, b, modulus), a * a % modulus, a**3, a + 5, a + 5),
    ]


@pytest.mark.parametrize(("a", "b"), [(1, 2), (2, 1), (2, 2), (2**70, 2**71)])
def test_comparisons(run_lua: Run, a: int, b: int) -> None:
    code = f"{PREPARE} return a < b, a <= b, a == b, a > b"
    assert run_lua(code, str(a), str(b)) == (a < b, a <= b, a == b, a > b)


def test_questions(run_lua: Run) -> None:
    assert run_lua(
        f"""{PREPARE}
        return a:is_zero(), a:is_one(), a:is_odd(), a:is_word(97), a:is_prime(),
            (a + 2):is_prime(), a:to_number(), bn.new():is_zero(), bn.generate_prime(64):is_prime()
        """,
        "97",
    ) == (False, False, True, True, True, False, 97, True, True)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("bn.new({})", "bn.new: set_bn: expect nil, a number or a string at #1"),
        ('bn.new("1", 7)', "bn.new: set_bn: unsupported base: 7"),
        ('bn.new("x")', "bn.new: set_dec failed"),
        ("bn.from_hex(1)", "bn.from_hex: expect a string at #1"),
        ('bn.from_hex("x")', "bn.from_hex: set_hex failed"),
        ("bn.new(1):set()", "expect a number or a string at #1"),
        ("bn.dup(1)", "bn.dup: expect a bn ctx at #1"),
        ('bn.new(1):to_binary("1")', "bn:to_binary: expect a number at #1"),
    ],
)
def test_says_what_is_wrong(run_lua: Run, call: str, error: str) -> None:
    assert run_lua(f'local bn = require "resty.openssl.bn" return {call}') == (None, error)


def test_bytes_that_do_not_suffice(run_lua: Run) -> None:
    found, error = run_lua('return require("resty.openssl.bn").new(256):to_binary(1)')
    assert found is None
    assert error.startswith("bn:to_binary")


@pytest.mark.parametrize("call", ["bn.new(1) + {}", "bn.new(1) / 0", 'bn.new(1) * "x"'])
def test_what_cannot_be_calculated_raises(run_lua: Run, call: str) -> None:
    code = f'local bn = require "resty.openssl.bn" return (pcall(function() return {call} end))'
    assert run_lua(code) is False
