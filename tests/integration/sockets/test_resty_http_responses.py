"""resty.http over real connections: responses of each framing."""

import pytest
from support.resty_http import OK, Recorder, Run
from support.upstream import Conversation, answer_with

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("response", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", "body"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""),
        (b"HTTP/1.1 200 OK\r\n\r\nto the end", "to the end"),
        (b"HTTP/1.0 200 OK\r\n\r\n", ""),
        (
            CHUNKED + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
            "abcde",
        ),
        (
            CHUNKED + b"A;x=y\r\n0123456789\r\n0\r\n\r\n",
            "0123456789",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n0\r\n\r\n", ""),
    ],
)
@pytest.mark.parametrize("size", ["", "1", "3", "1000"])
def test_response_bodies(connected: Run, response: bytes, body: str, size: str) -> None:
    code = f"""
        local reader = httpc:request{{}}.body_reader
        local pieces, longest = {{}}, 0
        while true do
            local piece, err = reader({size})
            assert(not err, err)
            if not piece then break end
            pieces[#pieces + 1] = piece
            longest = math.max(longest, #piece)
        end
        local _, dead = reader({size})
        return table.concat(pieces), longest <= {size or 1000}, dead
    """
    dead = "can't resume a dead coroutine"
    assert connected(answer_with(response), code) == [body, True, dead]


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body(connected: Run, status: int) -> None:
    script = answer_with(f"HTTP/1.1 {status} None\r\nContent-Length: 5\r\n\r\n".encode(), OK)
    code = """
        local res = httpc:request{}
        local second = httpc:request{}
        return res.has_body, res:read_body(), res.body_reader(), second:read_body()
    """
    assert connected(script, code) == [False, "", None, "ok"]


def test_head_has_no_body(connected: Run) -> None:
    script = answer_with(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", OK)
    code = """
        local res = httpc:request{ method = "HEAD" }
        local headers = res.headers
        return res.has_body, headers.content_length, headers["CONTENT-length"],
            httpc:request{}:read_body()
    """
    assert connected(script, code) == [False, None, "5", "ok"]


def test_interim_responses_are_passed_over(connected: Run) -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    code = "local res = httpc:request{} return res.status, res.headers.Link, res:read_body()"
    assert connected(answer_with(early + OK), code) == [200, None, "ok"]


def test_fields_that_repeat_and_fold(connected: Run) -> None:
    fields = b"A: 1\r\na: 2\r\nA:3 \r\nB: x\r\n  y\r\nEmpty:\r\nContent-Length: 0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\n" + fields
    code = "local h = httpc:request{}.headers return h.A, h.b, h.empty, rawget(h, 'b'), h.none"
    assert connected(answer_with(head), code) == [["1", "2", "3"], "x y", ""]


def test_trailers(connected: Run) -> None:
    response = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\nX-Kept: 1\r\n\r\n"
        b"2\r\nab\r\n0\r\nX-Sum: 7\r\nX-Kept: 2\r\n\r\n"
    )
    code = """
        local res = httpc:request{}
        local body = res:read_body()
        local nothing = res:read_trailers()
        local reuse = httpc:set_keepalive()
        return body, res.headers["x-sum"], res.headers["X-kept"], nothing, reuse
    """
    assert connected(Recorder(response), code) == ["ab", "7", "1", None, 1]


def test_no_trailers_announced(connected: Run) -> None:
    code = "return httpc:request{}:read_trailers()"
    assert connected(answer_with(OK), code) == [None, "no trailers"]


def test_expect_continue_holds_the_body_back(connected: Run) -> None:
    order: list[str] = []

    def script(conversation: Conversation) -> None:
        conversation.request()
        order.append("head")
        conversation.send(b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n")
        order.append(conversation.read_exactly(4).decode())
        conversation.send(OK)
        conversation.closed()

    code = """
        local headers = { Expect = "100-continue" }
        local res = httpc:request{ method = "POST", body = "data", headers = headers }
        return res.status, res:read_body(), httpc:set_keepalive()
    """
    assert connected(script, code) == [200, "ok", 1]
    assert order == ["head", "data"]


def test_expect_continue_refused(connected: Run) -> None:
    refusal = b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno"
    code = """
        local headers = { Expect = "100-continue" }
        local res = httpc:request{ method = "POST", body = "data", headers = headers }
        return res.status, res.reason, res:read_body(), httpc:set_keepalive()
    """
    # the server still expects the body: the connection cannot be used again
    expected = [417, "Expectation Failed", "no", 2, "connection must be closed"]
    assert connected(answer_with(refusal), code) == expected
