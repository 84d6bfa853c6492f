"""apisix.utils.upstream: comparing and resolving nodes."""

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]

UPSTREAM = """
    require("server.bridge").call.local_conf = function()
        return '{"apisix":{"enable_ipv6":true}}'
    end
    local upstream = require("apisix.utils.upstream")
    local function node(host, port, weight, more)
        local made = { host = host, port = port, weight = weight }
        for name, value in pairs(more or {}) do made[name] = value end
        return made
    end
"""


@pytest.mark.parametrize(
    ("conf", "new", "same"),
    [
        ("nil", "{}", False),
        ("{}", "{}", False),
        ("{ nodes = {} }", "{}", True),
        (
            "{ nodes = { node('a', 1, 1), node('b', 2, 1) } }",
            "{ node('b', 2, 1), node('a', 1, 1) }",
            True,
        ),
        ("{ nodes = { node('a', 1, 1) } }", "{ node('a', 1, 1), node('b', 1, 1) }", False),
        ("{ nodes = { node('a', 1, 1) } }", "{ node('a', 2, 1) }", False),
        ("{ nodes = { node('a', 1, 1) } }", "{ node('a', 1, 2) }", False),
        ("{ nodes = { node('a', 1, 1) } }", "{ node('a', 1, 1, { priority = 1 }) }", False),
        ("{ nodes = { node('a', 1, 1, { x = 1 }) } }", "{ node('a', 1, 1) }", True),
        (
            "{ nodes = { node('a', 80, 1) }, original_nodes = { node('a', nil, 1) } }",
            "{ node('a', nil, 1) }",
            True,
        ),
        ("{ nodes = {}, original_nodes = { node('a', 1, 1) } }", "{ node('a', 1, 1) }", False),
    ],
)
def test_whether_nodes_are_others(run_lua: Run, conf: str, new: str, same: bool) -> None:
    assert run_lua(UPSTREAM + f"return upstream.compare_upstream_node({conf}, {new})") is same


def test_domains_get_addresses_and_those_without_are_left_out(run_lua: Run) -> None:
    code = (
        UPSTREAM
        + """
        local resolver = require("apisix.core").resolver
        local known = { ["one.test"] = "10.0.0.1" }
        resolver.parse_domain = function(host)
            return known[host], not known[host] and "unknown" or nil
        end
        local nodes = {
            node("one.test", 80, 1), node("10.0.0.9", 80, 2), node("::1", 80, 3),
            node("no.test", 80, 1),
        }
        local found = upstream.parse_domain_for_nodes(nodes)
        local up = { value = { dns_nodes = nodes } }
        local first = upstream.parse_domain_in_up(up).value.nodes
        local again = upstream.parse_domain_in_up(up).value.nodes
        known["one.test"] = "10.0.0.2"
        local later = upstream.parse_domain_in_up(up).value.nodes
        return #found, found[1].host, found[1].domain, found[2] == nodes[2], nodes[1].host,
            first == again, later[1].host, up.value._nodes_ver
    """
    )
    found = run_lua(code)
    assert found == (3, "10.0.0.1", "one.test", True, "one.test", True, "10.0.0.2", 2)


def test_the_version_of_an_upstream(run_lua: Run) -> None:
    code = (
        UPSTREAM + "return upstream.version(3, 2), upstream.version('a'), upstream.version(nil, 1)"
    )
    assert run_lua(code) == ("32", "a", None)
