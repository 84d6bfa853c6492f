"""resty.http over real connections: pipelines, which connections are kept, connecting."""

import pytest
from support.resty_http import OK, Recorder, Run
from support.upstream import Conversation


def test_a_pipeline(connected: Run) -> None:
    seen = Recorder()
    code = """
        local requests = { { path = "/1" }, { path = "/2", method = "HEAD" }, { path = "/3" } }
        local responses = httpc:request_pipeline(requests)
        local first = responses[1]:read_body()
        return #responses, first, responses[1].status, responses[2].nothing
    """
    assert connected(seen, code) == [3, "ok", 200]
    assert [head.split()[1] for head in seen.heads[:1]] == ["/1"]


def test_a_pipeline_cannot_wait_in_between(connected: Run) -> None:
    why = "Cannot pipeline request specifying Expect: 100-continue"
    code = 'return httpc:request_pipeline{ { headers = { Expect = "100-continue" } } }'
    assert connected(lambda _: None, code) == [None, why]


@pytest.mark.parametrize(
    ("head", "reusable"),
    [
        (b"HTTP/1.1 200 OK\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: Keep-Alive\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\n", False),
        (b"HTTP/1.1 200 OK\r\nConnection: x\r\nConnection: close\r\n", False),
        (b"HTTP/1.0 200 OK\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n", True),
    ],
)
def test_which_connections_are_kept(connected: Run, head: bytes, reusable: bool) -> None:
    code = """
        local res = httpc:request{}
        res:read_body()
        local kept, why = httpc:set_keepalive(1000, 5)
        httpc = http.new()
        assert(httpc:connect{ scheme = "http", host = "127.0.0.1", port = port })
        return kept, httpc:get_reused_times(), why
    """
    script = Recorder(head + b"Content-Length: 0\r\n\r\n")
    expected = [1, 1] if reusable else [2, 0, "connection must be closed"]
    assert connected(script, code) == expected


def test_request_uri_keeps_or_closes(run: Run) -> None:
    def script(conversation: Conversation) -> None:
        for _ in conversation.requests():
            conversation.send(OK.replace(b"ok", str(conversation.number).encode() * 2))

    code = """
        local bodies = {}
        for i = 1, 4 do
            local params = { keepalive = i ~= 2, keepalive_timeout = 1000 }
            bodies[i] = assert(httpc:request_uri(uri, params)).body
        end
        return unpack(bodies)
    """
    assert run(script, code) == ["11", "11", "22", "22"]


def test_the_callers_tables_stay_as_they_were(run: Run) -> None:
    code = """
        local params = { headers = { A = "1" }, query = { a = 1 } }
        httpc:request_uri(uri, params)
        local names = {}
        for name in pairs(params) do names[#names + 1] = name end
        table.sort(names)
        return names, next(params.headers), next(params.headers, "A")
    """
    assert run(Recorder(), code) == [["headers", "query"], "A"]


def test_the_positional_connect(run: Run) -> None:
    seen = Recorder()
    code = """
        local ok = httpc:connect("127.0.0.1", port)
        return ok, httpc:request{}:read_body(), httpc:close(), httpc:connect("unix:/nowhere.sock")
    """
    assert run(seen, code) == [1, "ok", 1, None, "no such file or directory"]


def test_a_port_needs_a_scheme(run: Run) -> None:
    code = 'return httpc:connect{ host = "127.0.0.1", port = port }'
    assert run(lambda _: None, code) == [None, "'scheme' is required when providing a port"]


def test_nobody_listens(run: Run) -> None:
    code = 'return httpc:request_uri("http://127.0.0.1:1/")'
    assert run(lambda _: None, code) == [None, "connection refused"]


def test_without_a_socket(run: Run) -> None:
    code = """
        local none = setmetatable({}, { __index = http })
        local whys = {}
        for _, name in ipairs{
            "set_timeout", "set_timeouts", "set_keepalive", "get_reused_times", "close",
            "ssl_handshake", "tcp_only_connect", "request",
        } do
            whys[select(2, none[name](none, {}))] = name
        end
        return whys["not initialized"], next(whys, "not initialized"), none:connect{ host = "a" }
    """
    assert run(lambda _: None, code) == ["request", None, None, "not initialized"]
