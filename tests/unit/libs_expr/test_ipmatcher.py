"""resty.ipmatcher: sets of addresses and CIDR blocks, checked against Python's ipaddress."""

import ipaddress
import random
from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def matches(run_lua: Run) -> Callable[[list[str], str], Any]:
    def match(entries: list[str], ip: str) -> Any:
        return run_lua(
            """
            local entries, ip = ...
            local list = {}
            for entry in entries:gmatch("[^ ]+") do list[#list + 1] = entry end
            return (assert(require("resty.ipmatcher").new(list)):match(ip))
            """,
            " ".join(entries),
            ip,
        )

    return match


@pytest.mark.parametrize(
    ("entries", "ip", "expected"),
    [
        (["127.0.0.1"], "127.0.0.1", True),
        (["127.0.0.1"], "127.0.0.2", False),
        (["10.0.0.0/8"], "10.255.0.1", True),
        (["10.0.0.0/8"], "11.0.0.1", False),
        (["192.168.0.0/16", "192.0.0.0/16"], "192.168.1.1", True),
        (["0.0.0.0/0"], "8.8.8.8", True),
        (["0.0.0.0/0"], "::1", False),
        (["128.0.0.0/1"], "200.0.0.1", True),
        (["128.0.0.0/1"], "100.0.0.1", False),
        (["::1"], "::1", True),
        (["::1"], "[::1]", True),
        (["::1"], "0:0:0:0:0:0:0:1", True),
        (["fe80::/32"], "fe80::1", True),
        (["fe80::/32"], "fe80:1::", False),
        (["fe80::/8"], "fe81::", True),
        (["2409:8928:6a00::/39"], "2409:8928:6a01::", True),
        (["2409:8928:a000::/39"], "2409:8928:a200::", False),
        (["::/0"], "ff80::", True),
        (["::ffff:192.0.2.128"], "::ffff:c000:280", True),
    ],
)
def test_match(matches: Any, entries: list[str], ip: str, expected: bool) -> None:
    assert matches(entries, ip) is expected


def test_agrees_with_ipaddress_on_random_sets_and_addresses(matches: Any) -> None:
    rng = random.Random(7)
    for family in (ipaddress.IPv4Network, ipaddress.IPv6Network):
        width = 32 if family is ipaddress.IPv4Network else 128
        address = ipaddress.IPv4Address if width == 32 else ipaddress.IPv6Address
        for _ in range(60):
            base = rng.getrandbits(width)
            nets = []
            for _ in range(5):
                near = base ^ (1 << rng.randrange(width))
                nets.append(family((near, rng.randint(1, width)), strict=False))
            probe = address(base ^ (1 << rng.randrange(width)))
            expected = any(probe in net for net in nets)
            assert matches([str(net) for net in nets], str(probe)) is expected, (nets, probe)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("127.0.0.ffff", "invalid ip address: 127.0.0.ffff"),
        ("", "invalid ip address: "),
        ("127.0.0.1/33", "invalid ip address: 127.0.0.1/33"),
        ("127.0.0.1/x", "invalid ip address: 127.0.0.1/x"),
        ("::1/129", "invalid ip address: ::1/129"),
        ("127.0.0.1\0junk", "invalid ip address: 127.0.0.1\0junk"),
    ],
)
def test_a_bad_entry_is_refused_with_its_text(run_lua: Run, entry: str, message: str) -> None:
    result = run_lua('return require("resty.ipmatcher").new({ (...) })', entry)
    assert result == (None, message)


def test_what_is_no_address_matches_nothing_and_says_so(run_lua: Run) -> None:
    code = 'return require("resty.ipmatcher").new({ "::/0", "0.0.0.0/0" }):match(...)'
    error = "invalid ip address, not ipv4 and ipv6"
    assert run_lua(code, "localhost") == (False, error)
    assert run_lua(code, None) == (False, error)


def test_binary_addresses_match_as_their_text_does(run_lua: Run) -> None:
    code = 'return (require("resty.ipmatcher").new({ "10.0.0.0/8", "fe80::/10" }):match_bin(...))'
    assert run_lua(code, ipaddress.ip_address("10.1.2.3").packed) is True
    assert run_lua(code, ipaddress.ip_address("11.1.2.3").packed) is False
    assert run_lua(code, ipaddress.ip_address("febf::1").packed) is True
    assert run_lua(code, b"abc") is False


def test_values_come_back_the_longest_prefix_first(run_lua: Run) -> None:
    code = """
        local m = require("resty.ipmatcher").new_with_value({
            ["192.168.1.0/24"] = "level3", ["192.168.0.0/16"] = "level2",
            ["192.0.0.0/8"] = "level1", ["192.168.1.9"] = "level4", ["fe80::/32"] = "six",
            ["fe81::/32"] = false,
        })
        return m:match(...)
    """
    for ip, value in {
        "192.168.1.9": "level4",
        "192.168.1.2": "level3",
        "192.168.2.2": "level2",
        "192.2.2.2": "level1",
        "1.1.1.1": False,
        "fe80::1": "six",
        "fe81::1": False,
    }.items():
        assert run_lua(code, ip) == value


def test_parsed_addresses_are_unsigned_numbers(run_lua: Run) -> None:
    assert run_lua('return require("resty.ipmatcher").parse_ipv4("255.0.0.1")') == 0xFF000001
    words = run_lua('return unpack(require("resty.ipmatcher").parse_ipv6("fe80::1"))')
    assert words == (0xFE800000, 0, 0, 1)
    assert run_lua('return require("resty.ipmatcher").parse_ipv6("127.0.0.1")') is False
    assert run_lua('return require("resty.ipmatcher").parse_ipv4(nil)') is False
