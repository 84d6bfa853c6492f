"""The schemas of the resources: what they accept, refuse and fill in."""

from collections.abc import Callable
from typing import Any

import pytest

RunLua = Callable[..., Any]

CHECK = """
local schema_def = require "apisix.schema_def"
local validate = function(name, data)
    return require("jsonschema").generate_validator(schema_def[name])(data)
end
"""
CERT = f"('c'):rep({128})"
KEY = f"('k'):rep({64})"

ACCEPTED = [
    ("route", '{uri = "/a", plugins = {}}'),
    ("route", '{uris = {"/a", "/b"}, upstream_id = 1, host = "*.a.com", methods = {"GET"}}'),
    (
        "route",
        '{uri = "/a", service_id = "s-1_.", remote_addrs = {"10.0.0.0/8", "::1", "fe80::/8"}}',
    ),
    ("route", '{uri = "/a", upstream = {nodes = {["a:80"] = 0}}, vars = {{"arg_x", "==", "1"}}}'),
    ("route", '{uri = "/a", script = "return 1 + 1"}'),
    ("service", '{hosts = {"a.com"}, enable_websocket = true}'),
    ("upstream", '{nodes = {{host = "a", port = 1, weight = 0}}}'),
    ("upstream", '{service_name = "s", discovery_type = "dns"}'),
    ("upstream", f"{{nodes = {{}}, tls = {{client_cert = {CERT}, client_key = {KEY}}}}}"),
    ("upstream", "{nodes = {}, tls = {client_cert_id = 1}}"),
    ("upstream", "{nodes = {}, checks = {active = {}, passive = {}}}"),
    ("consumer", '{username = "jack-1", plugins = {["key-auth"] = {key = "k"}}}'),
    ("credential", '{id = "jack/credentials/one", plugins = {["key-auth"] = {}}}'),
    ("consumer_group", "{id = 1, plugins = {}}"),
    ("ssl", f'{{cert = {CERT}, key = {KEY}, sni = "a.com"}}'),
    ("ssl", f'{{cert = {CERT}, key = {KEY}, type = "client"}}'),
    ("global_rule", "{id = 1, plugins = {}}"),
    ("plugin_config", '{id = "1", name = "", plugins = {}}'),
    ("plugins", '{{name = "a", stream = true}}'),
    ("proto", '{content = "syntax"}'),
    (
        "stream_route",
        '{server_port = 9000, server_addr = "127.0.0.1", protocol = {name = "redis"}}',
    ),
    ("graphql_cost_decoration", '{field_path = "Query.products.nodes"}'),
    ("discovery_nodes", '{{host = "a", weight = 1}}'),
]

REFUSED = [
    (
        "route",
        "{plugins = {}}",
        "allOf 1 failed: value should match only one schema, but matches none",
    ),
    ("route", '{uri = "/a"}', 'object matches none of the required: ["plugins","uri"] or '),
    (
        "route",
        '{uri = "/a", plugins = {}, host = "a", hosts = {"b"}}',
        "allOf 2 failed: value should match only one schema, but matches both schemas 2 and 3",
    ),
    (
        "route",
        '{uri = "/a", plugins = {}, script = "return 1+1"}',
        "value wasn't supposed to match",
    ),
    ("route", '{uri = "/a", plugins = {}, x = 1}', "additional properties forbidden, found x"),
    (
        "route",
        '{uri = "/a", plugins = {}, methods = {"GETS"}}',
        'property "methods" validation failed: failed to validate item 1: matches none of the enum',
    ),
    (
        "route",
        '{uri = "/a", plugins = {}, status = 2}',
        'property "status" validation failed: matches',
    ),
    (
        "route",
        '{uri = "/a", plugins = {}, id = "a/b"}',
        'property "id" validation failed: object matches none of the required',
    ),
    (
        "route",
        '{uri = "/a", plugins = {}, timeout = {connect = 1, send = 1}}',
        'property "timeout" validation failed: property "read" is required',
    ),
    (
        "route",
        '{uri = "/a", plugins = {}, remote_addr = "127.0.0.1/33"}',
        'property "remote_addr" validation failed: object matches none of the required',
    ),
    (
        "route",
        '{uri = "/a", plugins = {}, host = "a b"}',
        'property "host" validation failed: failed to match pattern',
    ),
    ("upstream", "{}", "value should match only one schema, but matches none"),
    (
        "upstream",
        f"{{nodes = {{}}, tls = {{client_cert = {CERT}}}}}",
        'property "tls" validation failed: failed to validate dependent schema for "client_cert": '
        'property "client_key" is required',
    ),
    (
        "upstream",
        f"{{nodes = {{}}, tls = {{client_cert_id = 1, client_cert = {CERT}, client_key = {KEY}}}}}",
        'property "tls" validation failed: failed to validate dependent schema for',
    ),
    (
        "upstream",
        "{nodes = {}, checks = {passive = {}}}",
        'property "checks" validation failed: object matches none of the required: ["active"] or '
        '["active","passive"]',
    ),
    ("consumer", "{plugins = {}}", 'property "username" is required'),
    (
        "consumer",
        '{username = "a.b"}',
        'property "username" validation failed: failed to match pat',
    ),
    (
        "credential",
        "{plugins = {a = {}, b = {}}}",
        'property "plugins" validation failed: expect object to have at most 1 properties',
    ),
    ("ssl", f"{{cert = {CERT}, key = {KEY}}}", "then clause did not match"),
    ("ssl", '{type = "client"}', "else clause did not match"),
    ("global_rule", "{id = 1}", 'property "plugins" is required'),
    ("proto", '{content = ""}', 'property "content" validation failed: string too short'),
    ("stream_route", "{server_port = 70000}", 'property "server_port" validation failed: expected'),
    ("graphql_cost_decoration", '{field_path = "a..b"}', 'property "field_path" validation failed'),
]


@pytest.mark.parametrize(("name", "data"), ACCEPTED)
def test_accepted(run_lua: RunLua, name: str, data: str) -> None:
    assert run_lua(CHECK + f'return validate("{name}", {data})') is True


@pytest.mark.parametrize(("name", "data", "message"), REFUSED)
def test_refused(run_lua: RunLua, name: str, data: str, message: str) -> None:
    ok, got = run_lua(CHECK + f'return validate("{name}", {data})')
    assert ok is False
    assert got.startswith(message)


def test_defaults_of_an_upstream(run_lua: RunLua) -> None:
    assert run_lua(
        CHECK
        + """
        local data = {nodes = {{host = "a", weight = 1}}, keepalive_pool = {}, checks = {active = {
            healthy = {}, unhealthy = {}}, passive = {healthy = {}, unhealthy = {}}}}
        assert(validate("upstream", data))
        local pool, active, passive = data.keepalive_pool, data.checks.active, data.checks.passive
        return data.type, data.hash_on, data.scheme, data.pass_host, data.nodes[1].priority,
            pool.size, pool.idle_timeout, pool.requests,
            active.type, active.timeout, active.concurrency, active.http_path, active.http_method,
            table.concat(active.healthy.http_statuses, " "), active.healthy.successes,
            table.concat(active.unhealthy.http_statuses, " "), active.unhealthy.http_failures,
            active.unhealthy.tcp_failures, active.unhealthy.timeouts, active.unhealthy.interval,
            #passive.healthy.http_statuses, passive.healthy.successes,
            passive.unhealthy.http_failures, passive.unhealthy.timeouts
    """
    ) == (
        *("roundrobin", "vars", "http", "pass", 0),
        *(320, 60, 1000),
        *("http", 1, 10, "/", "GET"),
        *("200 302", 2),
        *("429 404 500 501 502 503 504 505", 5, 2, 3, 1),
        *(19, 5, 5, 7),
    )


def test_defaults_of_a_route(run_lua: RunLua) -> None:
    assert run_lua(
        CHECK
        + """
        local data = {uri = "/a", plugins = {}}
        assert(validate("route", data))
        return data.status, data.priority
    """
    ) == (1, 0)


def test_a_realm_takes_what_a_quoted_string_can_hold(run_lua: RunLua) -> None:
    assert run_lua("""
        local schema = require("apisix.schema_def").get_realm_schema("basic")
        local validate = require("jsonschema").generate_validator(schema)
        return schema.default, (validate "a realm!#[]~"), (validate 'a"b'), (validate "a\\\\b"),
            (validate "a\\nb"), (validate "")
    """) == ("basic", True, False, False, False, False)


def test_plugins_may_add_to_the_schema_of_certificates(run_lua: RunLua) -> None:
    """As gm and ocsp-stapling do when they are loaded, before the first check."""
    assert (
        run_lua(
            CHECK
            + f"""
        schema_def.ssl.properties.gm = {{type = "boolean", default = false}}
        local data = {{cert = {CERT}, key = {KEY}, sni = "a"}}
        assert(validate("ssl", data))
        return data.gm
    """
        )
        is False
    )
