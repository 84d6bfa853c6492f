"""Subrequests begin and end with their parent, and leave nothing behind."""

from collections.abc import Callable

import pytest
from support.app_server import AppServer
from support.upstream import Conversation, Upstream

Start = Callable[..., AppServer]
Serve = Callable[..., Upstream]

PROXY = """
local function peer() require("ngx.balancer").set_current_peer("127.0.0.1", PORT) end
local function show(res)
    ngx.say(res.status, " ", tostring(res.truncated), " ", res.header["X"] or "-", " ", res.body)
end
return {
    locations = {
        { path = "/up", balancer = peer },
        { path = "/get", content = function() show(ngx.location.capture("/up?a=b")) end },
        { path = "/two", content = function()
            local a, b = ngx.location.capture_multi({ { "/up/1" }, { "/up/2" } })
            show(a)
            show(b)
        end },
        { path = "/post", content = function()
            ngx.req.read_body()
            for _ = 1, 2 do
                show(ngx.location.capture("/up", { method = ngx.HTTP_POST }))
            end
        end },
    },
}
"""


def answer(body: str, extra: str = "") -> str:
    return f"HTTP/1.1 200 OK\r\nX: up\r\n{extra}Content-Length: {len(body)}\r\n\r\n{body}"


def test_a_proxied_subrequest(app_server: Start, upstream: Serve) -> None:
    heads = []

    def script(conversation: Conversation) -> None:
        for head in conversation.requests():
            heads.append(head.decode())
            conversation.send(answer("body"))

    server = app_server(PROXY.replace("PORT", str(upstream(script).port)))
    assert server.ask("/get", "X-Own: kept").text == "200 false up body\n"
    assert heads[0].startswith("GET /up?a=b HTTP/1.1\r\n")
    assert "X-Own: kept\r\n" in heads[0]
    assert server.ask("/two").text == "200 false up body\n" * 2


def test_an_upstream_that_ends_too_early_truncates_the_result(
    app_server: Start, upstream: Serve
) -> None:
    def script(conversation: Conversation) -> None:
        conversation.request()
        conversation.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\npart")

    server = app_server(PROXY.replace("PORT", str(upstream(script).port)))
    assert server.ask("/get").text == "200 true - part\n"
    server.log.wait_for("upstream prematurely closed connection")


@pytest.mark.parametrize("size", [10, 100_000])
def test_a_body_goes_to_several_subrequests_from_where_it_lies(
    app_server: Start, upstream: Serve, size: int
) -> None:
    bodies = []

    def script(conversation: Conversation) -> None:
        for head in conversation.requests():
            length = dict(line.split(b": ") for line in head.split(b"\r\n")[1:-2])
            bodies.append(conversation.read_exactly(int(length[b"Content-Length"])))
            conversation.send(answer("ok"))

    server = app_server(PROXY.replace("PORT", str(upstream(script).port)))
    body = b"abcdefghij" * (size // 10)
    before = server.descriptors()
    with server.connect() as client:
        for _ in range(2):
            assert client.ask("/post", method="POST", body=body).text == "200 false up ok\n" * 2
    assert bodies == [body] * 4
    server.settle()
    assert server.descriptors() <= before + 1  # the connection that is kept to the upstream


@pytest.mark.parametrize("code", [408, 444, 499])
def test_some_codes_end_the_parent_too(app_server: Start, code: int) -> None:
    app = """
    return {
        log = function() ngx.log(ngx.WARN, "log ", ngx.var.uri, " ", ngx.status) end,
        locations = {
            { path = "/ask", content = function()
                ngx.location.capture_multi({ { "/sleep" }, { "/leave", { args = ngx.var.args } } })
                ngx.say("never")
            end },
            { path = "/sleep", content = function() ngx.sleep(1000) end },
            { path = "/leave", content = function() ngx.exit(tonumber(ngx.var.args)) end },
        },
    }
    """
    server = app_server(app)
    with server.connect() as client:
        client.send(f"GET /ask?{code} HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.closed()
    server.log.wait_for(f"log /ask {code}")
    assert len(server.log.lines("log /")) == 1


def test_what_ends_the_parent_ends_its_subrequests(app_server: Start) -> None:
    app = """
    local function stop(code)
        ngx.thread.spawn(function()
            ngx.sleep(0.01)
            ngx.exit(code)
        end)
        ngx.location.capture("/wait")
        ngx.log(ngx.ERR, "never")
    end
    return { locations = {
        { path = "/error", content = function() stop(ngx.ERROR) end },
        { path = "/gone", content = function() stop(499) end },
        { path = "/fails", content = function()
            ngx.thread.spawn(function() ngx.location.capture("/wait") end)
            error("on purpose")
        end },
        { path = "/wait", content = function()
            local sock = ngx.socket.tcp()
            sock:connect("127.0.0.1", tonumber(ngx.var.server_port))
            ngx.location.capture("/sleep")
            ngx.log(ngx.ERR, "never")
        end },
        { path = "/sleep", content = function() ngx.sleep(1000) ngx.log(ngx.ERR, "never") end },
    } }
    """
    server = app_server(app)
    before = server.descriptors()
    for target in ("/error", "/gone"):
        with server.connect() as client:
            client.send(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.closed()
    assert server.ask("/fails").status == 500
    server.settle()
    assert server.descriptors() == before
    assert "never" not in server.log.text


def test_nothing_is_left_of_many_subrequests(app_server: Start) -> None:
    app = """
    return { locations = {
        { path = "/many", content = function()
            local list = {}
            for i = 1, 100 do
                list[i] = { "/one", { args = { i = i } } }
            end
            local sum = 0
            for _, res in ipairs({ ngx.location.capture_multi(list) }) do
                sum = sum + tonumber(res.body)
            end
            ngx.say(sum)
        end },
        { path = "/one", content = function() ngx.sleep(0) ngx.print(ngx.var.arg_i) end },
        { path = "/size", content = function()
            collectgarbage()
            ngx.say(collectgarbage("count"))
        end },
    } }
    """
    server = app_server(app)

    def size() -> float:
        server.ask("/size")
        return float(server.ask("/size").text)

    def run(times: int) -> None:
        with server.connect() as client:
            for _ in range(times):
                assert client.ask("/many").text == "5050\n"

    run(10)
    before = size()
    run(30)
    assert size() < before + 200  # KiB; 3000 subrequests that stayed would be 20 MiB and more


def test_output_of_the_parent_goes_on_beside_its_subrequests(app_server: Start) -> None:
    app = """
    return { locations = {
        { path = "/ask", content = function()
            ngx.say("first")
            ngx.flush(true)
            local t = ngx.thread.spawn(function() return ngx.location.capture("/sub") end)
            ngx.say("second")
            local ok, res = ngx.thread.wait(t)
            ngx.print(res.body)
            ngx.eof()
            ngx.log(ngx.WARN, "after eof ", ngx.location.capture("/sub").body)
        end },
        { path = "/sub", content = function()
            ngx.sleep(0)
            ngx.header.x = "of the subrequest"
            ngx.print("from the subrequest")
            ngx.flush(true)
        end },
    } }
    """
    server = app_server(app)
    response = server.ask("/ask")
    assert response.text == "first\nsecond\nfrom the subrequest"
    assert response.header("X") is None
    server.log.wait_for("after eof from the subrequest")
