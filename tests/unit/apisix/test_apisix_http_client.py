"""apisix.utils.http: the client of a name."""

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]

HTTP = """
    require("server.bridge").call.local_conf = function() return '{}' end
    local http = require("apisix.utils.http")
"""


@pytest.mark.parametrize("name", [None, "lua-resty-http", "ngx_http_ffi_client"])
def test_each_name_gives_a_client_of_our_sockets(run_lua: Run, name: str | None) -> None:
    code = (
        HTTP
        + """
        require("resty.http").new = function() return "ours" end
        return http.new(...)
    """
    )
    assert run_lua(code, name) == "ours"


def test_a_client_in_the_users_tree_is_used(run_lua: Run) -> None:
    code = (
        HTTP
        + """
        package.loaded["resty.ngx_http_ffi_client"] = {
            set_resolver = function(resolve) given = resolve end,
            new = function() return "theirs" end,
        }
        return http.new(), given == require("apisix.core").resolver.parse_domain
    """
    )
    assert run_lua(code) == ("theirs", True)


def test_another_name_is_refused(run_lua: Run) -> None:
    code = HTTP + 'return http.new("curl")'
    assert run_lua(code) == (None, "unknown http client: curl")


def test_the_schema_for_configurations(run_lua: Run) -> None:
    code = (
        HTTP
        + """
        local check = require("apisix.core").schema.check
        local conf = {}
        local schema = { properties = { client = http.client_schema } }
        return check(schema, conf), conf.client, (check(schema, { client = "curl" }))
    """
    )
    assert run_lua(code) == (True, "ngx_http_ffi_client", False)
