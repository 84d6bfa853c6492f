"""The request parser beside h11 and llhttp (httptools): where it is stricter, and that it is never
laxer than both, nor reads what it accepts in another way.
"""

from collections.abc import Callable
from dataclasses import dataclass

import h11
import httptools
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from support.app_server import AppServer
from support.requests import INVALID, VALID

# What both others accept, and why we do not.
STRICTER = {
    "versions that do not exist, or are not ours": ["version 0.9", "version 2.0"],
    "targets that we would not know what to do with": [
        "another scheme",
        "absolute target without a host",
        "absolute target with a user",
        "asterisk for another method",
        "authority",
        "trace",
    ],
    "paths that two servers may read in two ways": [
        "percent without digits",
        "percent with one digit",
        "percent with no digits but letters",
        "escaped NUL",
        "above the root",
        "above the root, escaped",
    ],
    "hosts that are none": [
        "empty Host",
        "dot as Host",
        "two dots in Host",
        "list of Hosts",
        "space in Host",
        "path in Host",
        "user in Host",
        "query in Host",
        "port that is no number",
        "two ports",
        "open bracket in Host",
        "bytes above ASCII in Host",
    ],
    "a framing that HTTP/1.0 does not have": ["chunked in HTTP/1.0"],
    "an expectation that cannot be met": ["unknown expectation"],
    "limits": ["request line too long", "field too long", "too many fields"],
}
# What we accept and one of them does not.
LAXER = {
    "an unknown method": "llhttp has a list of methods; a gateway must pass on new ones",
    "a method in lower case": "llhttp has a list of methods",
    "empty lines before": "h11 reads none, RFC 9112, section 2.2, wants one at least",
    "bytes above ASCII": "both want them escaped; nginx and browsers of old do not",
}


@dataclass
class Reading:
    """How a parser reads a request."""

    method: str
    target: str
    body: bytes


def by_h11(data: bytes) -> Reading | None:
    """None: refused, or incomplete."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1_000_000)
    reading = None
    try:
        connection.receive_data(data)
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                reading = Reading(event.method.decode(), event.target.decode("latin-1"), b"")
            elif isinstance(event, h11.Data):
                assert reading
                reading.body += event.data
            elif isinstance(event, h11.EndOfMessage) or event is h11.PAUSED:
                return reading
            else:
                return None
    except h11.RemoteProtocolError:
        return None


class _Events:
    def __init__(self) -> None:
        self.target, self.body, self.complete = b"", b"", False
        self.parser = httptools.HttpRequestParser(self)
        self.method = ""

    def on_url(self, url: bytes) -> None:
        if not self.complete:
            self.target += url

    def on_body(self, body: bytes) -> None:
        if not self.complete:
            self.body += body

    def on_headers_complete(self) -> None:
        self.method = self.method or self.parser.get_method().decode()

    def on_message_complete(self) -> None:
        self.complete = True


def by_llhttp(data: bytes) -> Reading | None:
    """None: refused, or incomplete."""
    events = _Events()
    try:
        events.parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        events.complete = True
    except httptools.HttpParserError:
        pass
    if not events.complete:
        return None
    return Reading(events.method, events.target.decode("latin-1"), events.body)


READ = """
return {
    content = function()
        ngx.req.read_body()
        ngx.print(ngx.req.get_method(), " ", ngx.var.request_uri, " ",
            ngx.req.get_body_data() or "")
    end,
}
"""


@pytest.fixture(scope="module")
def server(module_app_server: Callable[..., AppServer]) -> AppServer:
    return module_app_server(READ)


def by_us(server: AppServer, data: bytes) -> Reading | None:
    """None: refused, or incomplete."""
    with server.connect() as client:
        client.send(data)
        client.shut()
        if client.closed():
            return None
        response = client.response()
        if response.status != 200:
            return None
        method, target, body = response.body.split(b" ", 2)
        return Reading(method.decode(), target.decode("latin-1"), body)


@pytest.mark.parametrize("name", INVALID)
def test_we_are_stricter_than_both_where_it_is_meant(name: str) -> None:
    data = INVALID[name][1].encode("latin-1")
    meant = any(name in names for names in STRICTER.values())
    both = by_h11(data) is not None and by_llhttp(data) is not None
    assert both is meant


@pytest.mark.parametrize("name", VALID)
def test_what_we_accept_others_accept_but_where_it_is_meant(name: str) -> None:
    data = VALID[name][1].encode("latin-1")
    both = by_h11(data) is not None and by_llhttp(data) is not None
    assert both is (name not in LAXER)


ENDS = st.sampled_from(["\r\n"] * 150 + ["\n", "\r", "\r\r\n", "", " \r\n", "\r\n "])
METHODS = st.sampled_from(
    ["GET", "POST"] * 20 + ["PUT", "OPTIONS", "G T", "", " GET", "GE\x00T", "get"]
)
SPACES = st.sampled_from([" "] * 60 + ["  ", "\t", ""])
TARGETS = st.sampled_from(
    [
        "/",
        "/a?b=c",
        "/a/../b",
        "/%41",
        "/%",
        "*",
        "http://h/x?y",
        "http://",
        "a",
        "/\x00",
        "/#f",
        "",
    ]
)
VERSIONS = st.sampled_from(["HTTP/1.1"] * 30 + ["HTTP/1.0", "HTTP/2.0", "http/1.1", ""])
FIELDS = st.sampled_from(
    [
        *["Accept: */*", "Content-Length: 5", "Transfer-Encoding: chunked"] * 8,
        "Host: b:80",
        "Content-Length: 05",
        "Content-Length: +5",
        "content-length: 5 ",
        "Content-Length : 5",
        "Content-Length: 5, 5",
        "transfer-encoding:CHUNKED",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding : chunked",
        "Transfer_Encoding: chunked",
        "Connection: close",
        "Expect: 100-continue",
        "X: \xff",
        "X: a\x00b",
        "X: a\rb",
        "X\x0b: a",
        " X: folded",
        "X",
        ": x",
    ]
)
BODIES = st.sampled_from(
    [
        "",
        "hello",
        "5\r\nhello\r\n0\r\n\r\n",
        "05;x=y\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nT: x\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ]
)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Requests that are nearly right."""
    line = draw(METHODS) + draw(SPACES) + draw(TARGETS) + draw(SPACES) + draw(VERSIONS)
    lines = [
        line,
        *draw(st.lists(FIELDS, max_size=3)),
        *draw(st.sampled_from([["Host: a"]] * 9 + [[]])),
    ]
    text = "".join(each + draw(ENDS) for each in [*lines, ""])
    return (text + draw(BODIES)).encode("latin-1")


@settings(max_examples=1500, deadline=None)
@given(data=requests())
def test_what_we_accept_is_accepted_elsewhere_and_read_alike(
    server: AppServer, data: bytes
) -> None:
    ours = by_us(server, data)
    if ours is None:
        return
    event("accepted")
    others = [reading for reading in (by_h11(data), by_llhttp(data)) if reading]
    assert others, "only we accept it"
    for reading in others:
        assert (reading.method, reading.body) == (ours.method, ours.body)
        assert reading.target.removeprefix("http://h") == ours.target
