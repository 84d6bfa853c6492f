"""resty.dns.resolver against a nameserver of dnslib's."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.lua_console import LuaConsole
from support.nameserver import Nameserver, running

Run = Callable[[str], Any]


@pytest.fixture(scope="module")
def nameserver() -> Iterator[Nameserver]:
    with running() as server:
        yield server


@pytest.fixture
def run(console: LuaConsole, nameserver: Nameserver) -> Run:
    """Run Lua code that has `resolver`, `r` (of the nameserver) and `port`."""
    prelude = f"""
        local resolver = require "resty.dns.resolver"
        local port = {nameserver.port}
        local r = assert(resolver:new{{
            nameservers = {{ {{ "127.0.0.1", port }} }}, timeout = 300, retrans = 2,
        }})
    """
    nameserver.asked.clear()
    return lambda code: console.run(prelude + code)


def records(run: Run, name: str, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = run(f'return r:query("{name}", {{ qtype = r.TYPE_{kind} }})')[0]
    return found


def test_addresses_come_with_all_their_fields(run: Run) -> None:
    answers = run('return (r:query("a.test"))')[0]
    assert answers == [
        {
            "name": "a.test",
            "type": 1,
            "class": 1,
            "section": 1,
            "ttl": ttl,
            "address": f"192.0.2.{last}",
        }
        for last, ttl in ((1, 60), (2, 30))
    ]


@pytest.mark.parametrize(
    ("name", "kind", "fields"),
    [
        ("v6.test", "AAAA", {"address": "2001:db8:0:0:0:0:0:1"}),
        ("mail.test", "MX", {"preference": 10, "exchange": "mx.a.test"}),
        ("ns.test", "NS", {"nsdname": "ns1.a.test"}),
        ("one.test", "TXT", {"txt": "one string"}),
        ("many.test", "TXT", {"txt": ["first", "second", ""]}),
        ("srv.test", "SRV", {"priority": 1, "weight": 2, "port": 8080, "target": "a.test"}),
        (
            "soa.test",
            "SOA",
            {"mname": "ns.test", "rname": "admin.test", "serial": 2026112201, "minimum": 300},
        ),
        ("alias.test", "CNAME", {"cname": "a.test"}),
        ("4.3.2.1.in-addr.arpa", "PTR", {"ptrdname": "host.test"}),
    ],
)
def test_the_fields_of_each_type(run: Run, name: str, kind: str, fields: dict[str, Any]) -> None:
    [record] = records(run, name, kind)
    assert {key: record[key] for key in fields} == fields


def test_the_data_of_a_type_that_is_not_known_come_raw(run: Run) -> None:
    [record] = run('return (r:query("odd.test", { qtype = 257 }))')[0]
    assert record["rdata"] == "\0\x05issueca.test"


def test_a_name_that_is_not_there_has_an_error_code(run: Run) -> None:
    code = 'local a = r:query("none.test") return a.errcode, a.errstr, #a'
    assert run(code) == [3, "name error", 0]


def test_what_was_cut_is_asked_for_by_tcp(run: Run, nameserver: Nameserver) -> None:
    assert run('return r:query("big.test")[1].address') == ["192.0.2.3"]
    assert run('return r:query("cut.test")[1].address') == ["192.0.2.4"]
    assert [transport for transport, _, _ in nameserver.asked] == ["udp", "tcp", "udp", "tcp"]


def test_tcp_alone(run: Run, nameserver: Nameserver) -> None:
    assert run('return r:tcp_query("a.test")[2].address') == ["192.0.2.2"]
    assert nameserver.asked == [("tcp", "a.test", "1")]


def test_replies_to_other_queries_are_passed_over(run: Run) -> None:
    assert run('return r:query("stray.test")[1].address') == ["192.0.2.5"]


def test_a_silent_server_is_asked_as_often_as_said(run: Run, nameserver: Nameserver) -> None:
    answers, err, tries = run('r:set_timeout(50) return r:query("silent.test", nil, {})')
    assert answers is None
    assert err == f"failed to receive reply from UDP server 127.0.0.1:{nameserver.port}: timeout"
    assert tries == [err, err]
    assert len(nameserver.asked) == 2


def test_servers_take_turns(run: Run, nameserver: Nameserver) -> None:
    code = """
        local both = resolver:new{ no_random = true, retrans = 2, timeout = 500,
            nameservers = { { "127.0.0.1", 1 }, { "127.0.0.1", port } } }
        local answers, _, tries = both:query("a.test", nil, {})
        return #answers, tries[1]
    """
    refused = "failed to receive reply from UDP server 127.0.0.1:1: connection refused"
    assert run(code) == [2, refused]


@pytest.mark.parametrize("name", [".a.test", "a..test", "x" * 64 + ".test"])
def test_names_that_are_none(run: Run, name: str) -> None:
    assert run(f'return r:query("{name}")') == [None, "bad name"]


def test_what_new_wants(run: Run) -> None:
    assert run("return resolver:new()") == [None, "no options table specified"]
    assert run("return resolver:new{ nameservers = {} }") == [None, "no nameservers specified"]


def test_nothing_works_once_destroyed(run: Run) -> None:
    assert run('r:destroy() return r:query("a.test")') == [None, "not initialized"]
    assert run('r:destroy() return r:tcp_query("a.test")') == [None, "not initialized"]
    assert run("r:destroy() return r:set_timeout(1)") == [None, "not initialized"]


def test_the_name_of_an_address(run: Run) -> None:
    assert run('return r:reverse_query("1.2.3.4")[1].ptrdname') == ["host.test"]


@pytest.mark.parametrize(
    ("call", "result"),
    [
        ('compress_ipv6_addr("FF01:0:0:0:0:0:0:101")', "FF01::101"),
        ('compress_ipv6_addr("0:0:0:0:0:0:0:0")', "::"),
        ('compress_ipv6_addr("1:0:0:0:0:0:0:0")', "1::"),
        ('compress_ipv6_addr("1:2:3:4:5:6:7:8")', "1:2:3:4:5:6:7:8"),
        ('expand_ipv6_addr("FF01::101")', "FF01:0:0:0:0:0:0:101"),
        ('expand_ipv6_addr("::")', "0:0:0:0:0:0:0:0"),
        ('arpa_str("1.2.3.4")', "4.3.2.1.in-addr.arpa"),
        ('arpa_str("FF01::101")', "1.0.1" + 25 * ".0" + ".1.0.F.F.ip6.arpa"),
        ('arpa_str("no address")', "no address"),
    ],
)
def test_addresses_as_text(run: Run, call: str, result: str) -> None:
    assert run(f"return (resolver.{call})") == [result]


def test_a_connect_by_name_asks_the_configured_server(
    app_server: Callable[..., Any], nameserver: Nameserver
) -> None:
    console = LuaConsole(
        app_server, resolver=f"127.0.0.1:{nameserver.port} ipv6=off", resolver_timeout=1
    )
    code = """
        local _, err = ngx.socket.tcp():connect("%s", 1)
        return err
    """
    none = "none.test could not be resolved (3: Host not found)"
    silent = "silent.test could not be resolved (110: Operation timed out)"
    assert console.run(code % "none.test") == [none]
    assert console.run(code % "silent.test") == [silent]
    nameserver.asked.clear()
    for _ in range(2):
        assert console.run(code % "here.test") == ["connection refused"]
    assert nameserver.asked == [("udp", "here.test", "1")]  # once: it may be kept


def test_without_a_resolver_no_name_is_known(app_server: Callable[..., Any]) -> None:
    code = 'return ngx.socket.tcp():connect("a.test", 1)'
    console = LuaConsole(app_server, resolver="")
    assert console.run(code) == [None, 'no resolver defined to resolve "a.test"']
