"""resty.jit-uuid against Python's uuid, and resty.ksuid."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def ids(lua: Any) -> None:
    lua.execute('uuid = require "resty.jit-uuid"')


@pytest.mark.parametrize("call", ["uuid()", "uuid.generate_v4()"])
def test_version_4(ids: None, run_lua: Run, call: str) -> None:
    made = list(run_lua(f"local t = {{}} for i = 1, 2000 do t[i] = {call} end return t").values())
    assert len(set(made)) == 2000
    parsed = [uuid.UUID(text) for text in made]
    assert [str(one) for one in parsed] == made
    assert {one.version for one in parsed} == {4}
    assert {one.variant for one in parsed} == {uuid.RFC_4122}
    # Every other bit is 0 in some and 1 in others.
    fixed = sum(1 << bit for bit in (62, 63, 76, 77, 78, 79))
    ones = zeros = 0
    for one in parsed:
        ones, zeros = ones | one.int, zeros | ~one.int
    assert ones & zeros & (2**128 - 1) == (2**128 - 1) & ~fixed


def test_seeding_decides_version_4(ids: None, run_lua: Run) -> None:
    assert run_lua("return uuid.seed(42)") == 42
    first = run_lua("return uuid()")
    run_lua("uuid.seed(42)")
    assert run_lua("return uuid()") == first
    run_lua("uuid.seed(43)")
    assert run_lua("return uuid()") != first


def test_the_default_seed_is_the_time_and_the_pid(ids: None, lua: Any, run_lua: Run) -> None:
    lua.execute(
        "ngx.time = function() return 1000 end ngx.worker = {pid = function() return 7 end}"
    )
    assert run_lua("return uuid.seed()") == 1007


@pytest.mark.parametrize("name", ["hello", "", "foobar", "a" * 1000])
@pytest.mark.parametrize("namespace", [uuid.NAMESPACE_DNS, uuid.NAMESPACE_URL])
def test_versions_3_and_5(ids: None, run_lua: Run, namespace: uuid.UUID, name: str) -> None:
    arguments = f"'{namespace}', '{name}'"
    assert run_lua(f"return uuid.generate_v3({arguments})") == str(uuid.uuid3(namespace, name))
    assert run_lua(f"return uuid.generate_v5({arguments})") == str(uuid.uuid5(namespace, name))
    for version, expected in ((3, uuid.uuid3), (5, uuid.uuid5)):
        make = f"uuid.factory_v{version}('{str(namespace).upper()}')"
        assert run_lua(f"return {make}('{name}')") == str(expected(namespace, name))


@pytest.mark.parametrize("version", [3, 5])
def test_bad_namespaces_and_names(ids: None, run_lua: Run, version: int) -> None:
    refused = (None, "namespace must be a valid UUID")
    assert run_lua(f"return uuid.generate_v{version}('nonsense', 'x')") == refused
    assert run_lua(f"return uuid.factory_v{version}(nil)") == refused
    assert run_lua(f"return uuid.generate_v{version}('{uuid.NAMESPACE_DNS}', 5)") == (
        None, "name must be a string",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("'cbb297c0-a956-486d-ad1d-f9b42df9465a'", True),
        ("'CBB297C0-A956-486D-AD1D-F9B42DF9465A'", True),
        ("'cbb297c0-a956-486d-dd1d-f9b42df9465a'", False),  # variant
        ("'cbb297c0a956486dad1df9b42df9465a'", False),
        ("'cbb297c0-a956-486d-ad1d-f9bZZZZZZZZZ'", False),
        ("'cbb297c0-a956-486d-ad1d-f9b42df9465a\\n'", False),
        ("' cbb297c0-a956-486d-ad1d-f9b42df9465'", False),
        ("''", False),
        ("nil", False),
        ("5", False),
        ("{}", False),
    ],
)
def test_is_valid(ids: None, run_lua: Run, text: str, valid: bool) -> None:
    assert run_lua(f"return uuid.is_valid({text})") is valid


def number_of(ksuid: str) -> int:
    number = 0
    for character in ksuid:
        number = number * 62 + ALPHABET.index(character)
    return number


def test_a_ksuid_is_the_time_and_16_random_bytes(run_lua: Run, clock: Any) -> None:
    run_lua(
        'package.loaded["resty.random"] = {bytes = function(n) return ("\\1\\2"):rep(n / 2) end}'
    )
    made = run_lua('return require("resty.ksuid").generate()')
    assert len(made) == 27
    expected = (1_700_000_000 - 1_400_000_000).to_bytes(4, "big") + b"\1\2" * 8
    assert number_of(made).to_bytes(20, "big") == expected


def test_the_first_ksuid_of_all_is_padded(run_lua: Run, clock: Any) -> None:
    clock.cell[0] = 1_400_000_000.0
    run_lua('package.loaded["resty.random"] = {bytes = function(n) return ("\\0"):rep(n) end}')
    assert run_lua('return require("resty.ksuid").generate()') == "0" * 27


def test_the_greatest_ksuid_fits(run_lua: Run, clock: Any) -> None:
    clock.cell[0] = 1_400_000_000.0 + 2**32 - 1
    run_lua('package.loaded["resty.random"] = {bytes = function(n) return ("\\255"):rep(n) end}')
    assert run_lua('return require("resty.ksuid").generate()') == "aWgEPTl1tmebfsQzFP4bxwgy80V"


def test_ksuids_differ_and_sort_by_time(run_lua: Run, clock: Any) -> None:
    generate = 'return require("resty.ksuid").generate()'
    earlier = {run_lua(generate) for _ in range(100)}
    clock.advance(1)
    later = {run_lua(generate) for _ in range(100)}
    assert len(earlier) == len(later) == 100
    assert max(earlier) < min(later)
