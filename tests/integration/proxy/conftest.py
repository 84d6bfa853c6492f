"""A worker that proxies to upstreams whose every byte the test decides."""

import socket
from collections.abc import Callable
from typing import Any

import pytest
from support.app_server import AppServer

APP = """
local balancer = require "ngx.balancer"
local peers = {PEERS}

return {
    balancer = function()
        local ctx = ngx.ctx
        ctx.tries = (ctx.tries or 0) + 1
        if ctx.tries == 1 then
            assert(balancer.set_more_tries(#peers - 1))
        else
            local state, code = balancer.get_last_failure()
            ctx.failures = (ctx.failures or "") .. state .. "=" .. code .. ";"
        end
        assert(balancer.set_current_peer("127.0.0.1", peers[ctx.tries]))
    end,
    log = function()
        ngx.log(ngx.WARN, "served: ", ngx.status, " upstream: ", ngx.var.upstream_status or "-",
            " failures: ", ngx.ctx.failures or "-", " end")
    end,
    MORE
}
"""


@pytest.fixture
def proxy(app_server: Callable[..., AppServer]) -> Callable[..., AppServer]:
    """A proxy: proxy(port, …, more="", **settings of the server, virtual=False).

    Tries the ports in turn; `more`: further entries of the application, as Lua text. When a request
    is over, the log gets "served: STATUS upstream: … failures: …".
    """

    def start(*ports: int, more: str = "", **settings: Any) -> AppServer:
        source = APP.replace("PEERS", ", ".join(map(str, ports))).replace("MORE", more)
        return app_server(source, **settings)

    return start


@pytest.fixture
def refusing_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
