"""What OpenResty refuses in some phases only because nginx cannot wait there: it works here."""

from collections.abc import Callable

import pytest
from support.app_server import AppServer

Start = Callable[..., AppServer]

PHASES = ["balancer", "header_filter", "body_filter", "log"]
WAITS = {
    "sleep": "ngx.sleep(0.001)",
    "thread": "ngx.thread.wait(ngx.thread.spawn(ngx.sleep, 0.001))",
    "read_body": "ngx.req.read_body() assert(ngx.req.get_body_data() == 'body')",
    "cosocket": "local ok, err = ngx.socket.tcp():connect('127.0.0.1', 1) "
    "assert(err == 'connection refused', err)",
    "semaphore": "require('ngx.semaphore').new():wait(0.001)",
}
SOURCE = """
return {
    settings = { socket_log_errors = false },
    PHASE = function()
        WAIT
        ngx.log(ngx.WARN, "waited in ", ngx.get_phase())
        END
    end,
    CONTENT
}
"""


@pytest.mark.parametrize("wait", ["sleep", "read_body", "cosocket", "semaphore"])
@pytest.mark.parametrize("phase", PHASES)
def test_waiting(app_server: Start, phase: str, wait: str) -> None:
    balancer = phase == "balancer"
    source = SOURCE.replace("PHASE", phase).replace("WAIT", WAITS[wait])
    source = source.replace("END", "ngx.exit(503)" if balancer else "")
    source = source.replace("CONTENT", "" if balancer else "content = function() ngx.say('x') end")
    server = app_server(source)
    for count in (1, 2):
        assert server.ask(method="POST", body=b"body").status == (503 if balancer else 200)
        server.log.wait_for(f"waited in {phase}", count)
    assert not server.log.lines("[error]")


@pytest.mark.parametrize("wait", ["sleep", "thread", "cosocket", "semaphore"])
def test_waiting_when_the_worker_starts(app_server: Start, wait: str) -> None:
    source = SOURCE.replace("PHASE", "init_worker").replace("WAIT", WAITS[wait]).replace("END", "")
    server = app_server(source.replace("CONTENT", "content = function() ngx.say('x') end"))
    assert server.ask().text == "x\n"
    server.log.wait_for("waited in init_worker")


@pytest.mark.parametrize("phase", ["header_filter", "body_filter", "log", "balancer"])
@pytest.mark.parametrize("call", ["ngx.sleep(0)", "ngx.socket.tcp()", "ngx.req.read_body()"])
def test_openresty_refuses_it(app_server: Start, phase: str, call: str) -> None:
    source = SOURCE.replace("PHASE", phase).replace("END", "")
    source = source.replace("WAIT", f"local _, err = pcall(function() {call} end)")
    source = source.replace('"waited in ", ngx.get_phase()', "err")
    content = "" if phase == "balancer" else "content = function() ngx.say('x') end"
    server = app_server(source.replace("CONTENT", content), strict=True)
    server.ask()
    server.log.wait_for(f"API disabled in the context of {phase}_by_lua*")
