"""Error pages of the application in the stead of responses (proxy_intercept_errors)."""

from collections.abc import Callable

import pytest
from support.app_server import AppServer
from support.upstream import Upstream, answer_with

APP = """
local balancer = require "ngx.balancer"
local function content()
    ngx.print("page for ", ngx.status, " after ", ngx.var.upstream_status)
end
return {
    error_pages = { [404] = "/page", [401] = "@named" },
    locations = {
        {
            path = "/", proxy = { intercept_errors = INTERCEPT },
            balancer = function() assert(balancer.set_current_peer("127.0.0.1", PORT)) end,
        },
        { path = "/page", internal = true, content = content },
        { path = "@named", match = "named", content = content },
    },
}
"""


def response(status: int) -> bytes:
    return (
        f"HTTP/1.1 {status} X\r\nContent-Length: 5\r\nX-Theirs: 1\r\n"
        "WWW-Authenticate: Basic\r\n\r\ntheir".encode()
    )


@pytest.mark.parametrize(
    ("intercept", "status", "text", "challenge"),
    [
        ("true", 404, "page for 404 after 404", None),
        ("true", 401, "page for 401 after 401", "Basic"),
        ("true", 403, "their", "Basic"),
        ("true", 200, "their", "Basic"),
        ("false", 404, "their", "Basic"),
    ],
)
def test_which_responses_are_replaced(
    app_server: Callable[..., AppServer],
    upstream: Callable[..., Upstream],
    intercept: str,
    status: int,
    text: str,
    challenge: str | None,
) -> None:
    port = upstream(answer_with(response(status))).port
    server = app_server(APP.replace("INTERCEPT", intercept).replace("PORT", str(port)))
    with server.connect() as client:
        answer = client.ask("/")
        assert (answer.status, answer.text) == (status, text)
        assert answer.header("WWW-Authenticate") == challenge
        assert (answer.header("X-Theirs") is None) == (text != "their")
