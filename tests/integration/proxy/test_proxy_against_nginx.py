"""What ngx.req, ngx.var and the client's bytes make of the request to the upstream: as in nginx."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from support.app_server import AppServer, running_app
from support.nginx import Nginx, as_app, running_nginx
from support.upstream import Conversation, running_upstream

# Puts values into a field of the request, where the upstream shows them.
SHOW = """
local shown = {}
local function show(...)
    local parts = {}
    for i = 1, select("#", ...) do
        local value = select(i, ...)
        if type(value) == "table" then
            local pairs_of = {}
            for k, v in pairs(value) do
                pairs_of[#pairs_of + 1] = k .. "=" .. (type(v) == "table" and table.concat(v, "+")
                    or tostring(v))
            end
            table.sort(pairs_of)
            value = "{" .. table.concat(pairs_of, ",") .. "}"
        end
        parts[i] = tostring(value):gsub("^%S+:%d+: ", "")
    end
    shown[#shown + 1] = table.concat(parts, "|")
    ngx.req.set_header("X-Shown", table.concat(shown, "//"))
end
"""

PLAIN = "GET /NAME/a%20b?x=1&y=%20z HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nX-A: 2\r\nAccept: */*\r\n\r\n"
FORM = (
    "POST /NAME/p?q=1 HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    "Content-Length: 11\r\n\r\na=1&b=%20&c"
)
CHUNKED = (
    "POST /NAME/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
)
VARS = """
    uri request_uri args query_string is_args arg_x arg_Y arg_none host http_host scheme
    document_uri request_method request server_protocol content_length content_type remote_addr
    http_none http_accept cookie_a nosuch status request_length
"""

# Name -> code of the access phase, the client's request.
CASES: dict[str, tuple[str, str]] = {
    "as-it-came": ("", PLAIN),
    "form": ("", FORM),
    "set-uri": ('ngx.req.set_uri("/new path?x/%41;\\195\\169")', PLAIN),
    "set-uri-args": ('ngx.req.set_uri_args("a=b c&d=\\"e\\"\\0\\n\\127\\255%zz")', PLAIN),
    "set-uri-args-mark": ('ngx.req.set_uri_args("?a=1")', PLAIN),
    "set-uri-args-table": ('ngx.req.set_uri_args({ a = { 1, "x y", true } })', PLAIN),
    "set-uri-args-empty": ("ngx.req.set_uri_args({})", PLAIN),
    "set-uri-args-nothing": ('ngx.req.set_uri_args("")', PLAIN),
    "set-both": ('ngx.req.set_uri("/n") ngx.req.set_uri_args("k=v")', PLAIN),
    "set-var-args": ('ngx.var.args = "k=v"', PLAIN),
    "set-method": ("ngx.req.set_method(ngx.HTTP_PUT)", FORM),
    "set-method-post": ("ngx.req.set_method(ngx.HTTP_POST)", PLAIN),
    "set-method-bad": ("show(pcall(ngx.req.set_method, 99))", PLAIN),
    "set-header": ('ngx.req.set_header("X-A", "n")', PLAIN),
    "set-header-twice": ('ngx.req.set_header("X-A", { "n", "m" })', PLAIN),
    "set-header-new": ('ngx.req.set_header("X-N", "a\\r\\nb: c") show(ngx.var.http_x_n)', PLAIN),
    "set-header-name": ('ngx.req.set_header("X New", "a")', PLAIN),
    "set-header-empty": ('ngx.req.set_header("X-A", "")', PLAIN),
    "set-header-number": ('ngx.req.set_header("X-B", 3)', PLAIN),
    "set-header-host": ('ngx.req.set_header("Host", "other:80") show(ngx.var.host)', PLAIN),
    "set-header-type": ('ngx.req.set_header("Content-Type", "t/u")', FORM),
    "set-header-errors": ("show(pcall(ngx.req.set_header))", PLAIN),
    "clear-header": ('ngx.req.clear_header("x-a")', PLAIN),
    "clear-header-none": ('ngx.req.clear_header("x-none")', PLAIN),
    "read-body": (
        "ngx.req.read_body() show(ngx.req.get_body_data(), ngx.req.get_body_file())",
        FORM,
    ),
    "read-body-twice": ("ngx.req.read_body() ngx.req.read_body()", FORM),
    "read-body-chunked": ("ngx.req.read_body() show(ngx.req.get_body_data())", CHUNKED),
    "read-body-none": ("ngx.req.read_body() show(ngx.req.get_body_data())", PLAIN),
    "body-not-read": ("show(ngx.req.get_body_data())", FORM),
    "set-body": ('ngx.req.read_body() ngx.req.set_body_data("hello")', FORM),
    "set-body-chunked": ('ngx.req.read_body() ngx.req.set_body_data("hello")', CHUNKED),
    "set-body-of-get": ('ngx.req.read_body() ngx.req.set_body_data("hello")', PLAIN),
    "set-body-empty": ('ngx.req.read_body() ngx.req.set_body_data("")', FORM),
    "set-body-early": ('show(pcall(ngx.req.set_body_data, "hello"))', FORM),
    "discard": ("ngx.req.discard_body()", FORM),
    "discard-chunked": ("ngx.req.discard_body()", CHUNKED),
    "post-args": ("ngx.req.read_body() show(ngx.req.get_post_args())", FORM),
    "post-args-max": ("ngx.req.read_body() show(ngx.req.get_post_args(1))", FORM),
    "post-args-early": ("show(pcall(ngx.req.get_post_args))", FORM),
    "post-args-none": ("ngx.req.read_body() show(ngx.req.get_post_args())", PLAIN),
    "uri-args": ("show(ngx.req.get_uri_args()) show(ngx.req.get_uri_args(1))", PLAIN),
    "uri-args-odd": (
        "show(ngx.req.get_uri_args())",
        "GET /NAME/?a&b=&=c&&d=1&d=2&e%20=%zz+ HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    "get-headers": (
        "local h = ngx.req.get_headers() show(h) show(h.X_A[1], h['x-A'][2], h.none) "
        "show(ngx.req.get_headers(0, true)) show(select(2, ngx.req.get_headers(2)))",
        PLAIN,
    ),
    "line": (
        "show(ngx.req.raw_header():gsub('%s', '_'), ngx.req.raw_header(true):gsub('%s', '_'))"
        "show(ngx.req.http_version(), ngx.req.get_method(), ngx.req.is_internal())",
        PLAIN,
    ),
    "vars": ("".join(f'show("{name}", ngx.var.{name}) ' for name in VARS.split()), PLAIN),
    "vars-of-form": ("".join(f'show("{name}", ngx.var.{name}) ' for name in VARS.split()), FORM),
    "vars-set": (
        "show(pcall(function() ngx.var.nosuch = 1 end)) show(pcall(function() ngx.var.uri = 1 end))"
        "show(pcall(function() return ngx.var[1] end)) "
        "show(pcall(function() return ngx.var[{}] end))",
        PLAIN,
    ),
    "set-uri-errors": (
        'show(pcall(ngx.req.set_uri, "")) show(pcall(ngx.req.set_uri, "/a\\nb"))',
        PLAIN,
    ),
    "cookies": (
        "show(ngx.var.http_cookie, ngx.var.cookie_a, ngx.var.cookie_b, ngx.var.cookie_c)",
        "GET /NAME/ HTTP/1.1\r\nHost: a:80\r\nCookie: a=1; b=2\r\nCookie: c=3\r\n\r\n",
    ),
    "host-with-port": (
        "show(ngx.var.host, ngx.var.http_host)",
        "GET /NAME/ HTTP/1.1\r\nHost: A.b.:80\r\n\r\n",
    ),
    "absolute": (
        "show(ngx.var.host, ngx.var.http_host, ngx.var.uri, ngx.var.request_uri, ngx.var.args)",
        "GET http://Abc.com:81/NAME/../NAME/y//z?q HTTP/1.1\r\nHost: a:80\r\n\r\n",
    ),
    "escaped-path": (
        "show(ngx.var.uri, ngx.var.request_uri, ngx.var.args, ngx.var.is_args)",
        "GET /NAME/a/%2e%2e/b%2Fc;d?#f HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    "fragment": (
        "show(ngx.var.uri, ngx.var.request_uri, ngx.var.args)",
        "GET /NAME/a#f?x HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    "version-1.0": (
        "show(ngx.var.host, ngx.var.http_host, ngx.var.server_protocol, ngx.req.http_version())",
        "GET /NAME/ HTTP/1.0\r\n\r\n",
    ),
    "expect": ("", FORM.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n")),
}

BALANCER = 'assert(require("ngx.balancer").set_current_peer("127.0.0.1", {port}))'


def tell(conversation: Conversation) -> None:
    """Answer a request with its bytes."""
    head = conversation.request()
    found = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    told = head + (conversation.read_exactly(int(found[1])) if found else b"")
    conversation.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n")
    conversation.send(b"Content-Length: %d\r\n\r\n%s" % (len(told), told))


@dataclass
class Both:
    """Both servers."""

    ours: AppServer
    theirs: Nginx


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    cases = {name: {"access": SHOW + code} for name, (code, _) in CASES.items()}
    with running_upstream(tell) as upstream:
        balancer = BALANCER.format(port=upstream.port)
        with running_nginx(cases, balancer) as theirs, running_app(as_app(cases, balancer)) as ours:
            yield Both(ours, theirs)


def seen(server: AppServer | Nginx, name: str) -> list[str]:
    """The request that the upstream got: its line, its fields sorted, its body."""
    with server.connect() as client:
        client.send(CASES[name][1].replace("NAME", name))
        response = client.response()
        assert response.status == 200
        client.close()
        head, _, body = response.text.partition("\r\n\r\n")
        line, *fields = head.split("\r\n")
        return [line, *sorted(fields), body]


@pytest.mark.parametrize("name", CASES)
def test_the_same_request(both: Both, name: str) -> None:
    assert seen(both.ours, name) == seen(both.theirs, name)
