"""No client keeps a worker to itself."""

from collections.abc import Callable

from support.app_server import AppServer

BUSY = """
local served = 0
return { content = function()
    if ngx.var.uri == "/count" then
        return ngx.print(served)
    end
    local stop = os.clock() + 0.002
    repeat until os.clock() > stop
    served = served + 1
    ngx.print("x")
end }
"""


def test_a_long_pipeline_lets_others_in(app_server: Callable[..., AppServer]) -> None:
    server = app_server(BUSY)
    with server.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 500)
        assert client.response().text == "x"
        assert int(server.ask("/count").text) < 250
        assert [client.response().text for _ in range(499)] == ["x"] * 499
