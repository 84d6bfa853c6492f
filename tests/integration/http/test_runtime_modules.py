"""What resty.apisix.* and their like tell: upstream states, flags, names of what there is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.app_server import AppServer

APP = """
local upstream = require "resty.apisix.upstream"
local var = ngx.var
local cases = {}

local function show()
    ngx.say(var.upstream_status, "|", var.upstream_addr, "|", var.upstream_connect_time, "|",
        var.upstream_header_time, "|", var.upstream_response_time, "|",
        var.upstream_response_length)
end

cases["/one"] = function()
    assert(upstream.push_upstream_state({ addr = "10.0.0.1:443", status = 200, connect_time = 50,
        header_time = 120 }))
    assert(upstream.update_upstream_state({ response_time = 1500, response_length = 4096 }))
    show()
end
cases["/unset"] = function()
    upstream.push_upstream_state({ addr = "10.0.0.1:443", status = 502 })
    show()
end
cases["/two"] = function()
    upstream.push_upstream_state({ addr = "10.0.0.1:443", status = 502, connect_time = 30 })
    upstream.update_upstream_state({ response_time = 50 })
    upstream.push_upstream_state({ addr = "10.0.0.2:443", status = 200, connect_time = 20,
        header_time = 80 })
    upstream.update_upstream_state({ response_time = 500, response_length = 2048 })
    show()
end
cases["/without"] = function() ngx.say(upstream.update_upstream_state({ response_time = 1 })) end
cases["/wrong"] = function()
    ngx.say(upstream.push_upstream_state("x"))
    ngx.say(upstream.push_upstream_state({ addr = 1 }))
    ngx.say(upstream.update_upstream_state())
end
cases["/flags"] = function()
    ngx.say(require("resty.apisix.patch").client_cert_verified_in_handshake)
    ngx.say(require("resty.apisix.ssl").enable_ntls())
    ngx.say(require("resty.apisix.stream.metrics").dump())
    ngx.say(require("resty.apisix.process").get_last_reopen_ms())
end
cases["/ngxvar"] = function()
    local ngxvar = require "resty.ngxvar"
    local request = ngxvar.request()
    ngx.say(ngxvar.fetch("uri", request), " ", ngxvar.fetch("arg_a"), " ",
        type(ngxvar.fetch("request_time", request)), " ", ngxvar.fetch("http_none"))
end
cases["/ctxdump"] = function()
    local ctxdump = require "resty.ctxdump"
    ngx.ctx.value = "kept"
    local number = ctxdump.stash_ngx_ctx()
    ngx.say(ctxdump.apply_ngx_ctx(tostring(number)).value, " ", ctxdump.apply_ngx_ctx(number), " ",
        select(2, ctxdump.apply_ngx_ctx("x")), " ", select(2, ctxdump.apply_ngx_ctx(0)))
end

return { content = function() cases[var.uri]() end }
"""


@pytest.fixture(scope="module")
def server(module_app_server: Callable[..., AppServer]) -> AppServer:
    return module_app_server(APP)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/one", "200|10.0.0.1:443|0.050|0.120|1.500|4096\n"),
        ("/unset", "502|10.0.0.1:443|-|-|-|0\n"),
        (
            "/two",
            "502, 200|10.0.0.1:443, 10.0.0.2:443|0.030, 0.020|-, 0.080|0.050, 0.500|0, 2048\n",
        ),
        ("/without", "nilerror while updating upstream state\n"),
        ("/wrong", "nilopts must be a table\nniladdr must be a string\nnilopts must be a table\n"),
        (
            "/flags",
            "true\nnilNTLS needs Tongsuo; this runtime speaks TLS by OpenSSL\n"
            "nilthere is no stream proxy\n0\n",
        ),
        ("/ngxvar?a=1", "/ngxvar 1 number nil\n"),
        ("/ctxdump", "kept nil bad ref value bad ref value\n"),
    ],
)
def test_what_they_tell(server: AppServer, path: str, text: str) -> None:
    assert server.ask(path).text == text
