"""Responses that are gzipped on demand: as nginx's gzip filter does, byte by byte."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator

import pytest
from support.app_server import AppServer, running_app
from support.nginx import MODULES, Nginx, configured_nginx

TEXT = "".join(f"line {i} of a text that can be compressed\n" for i in range(3000))

# Name -> what the content handler does.
CASES = {
    "plain": 'ngx.say("hello")',
    "typed": 'ngx.header["Content-Type"] = "text/css" ngx.print("a{}")',
    "empty": "ngx.exit(200)",
    "known-length": 'ngx.header["Content-Length"] = 600 ngx.print(("a"):rep(600))',
    "long": "ngx.print(TEXT)",
    "long-known-once": 'ngx.header["Content-Length"] = #TEXT ngx.print(TEXT)',
    "long-known": 'ngx.header["Content-Length"] = #TEXT ngx.print(TEXT)',
    "pieces": "for i = 1, #TEXT, 777 do ngx.print(TEXT:sub(i, i + 776)) end",
    "flushed": "for i = 1, 3 do ngx.say(i) ngx.flush(true) end",
    "encoded": 'ngx.header["Content-Encoding"] = "br" ngx.say("x")',
    "identity": 'ngx.header["Content-Encoding"] = "" ngx.say("x")',
    "ranges": 'ngx.header["Accept-Ranges"] = "bytes" ngx.say("x")',
    "etag": 'ngx.header.ETag = \'"abc"\' ngx.say("x")',
    "etag-weak": 'ngx.header.ETag = \'W/"abc"\' ngx.say("x")',
    "etag-bad": 'ngx.header.ETag = "abc" ngx.say("x")',
    "forbidden": 'ngx.status = 403 ngx.say("no")',
    "missing": 'ngx.status = 404 ngx.say("no")',
    "created": 'ngx.status = 201 ngx.say("yes")',
    "no-content": "ngx.exit(204)",
    "error": "ngx.exit(500)",
    "redirect": 'ngx.redirect("/")',
}
LOG = 'if ngx.var.uri:find("once") then ngx.log(ngx.WARN, "ratio ", ngx.var.gzip_ratio, " end") end'
ACCESS_LOG = "access_log /dev/stderr ratio;"
APP = """
local TEXT = ""
for i = 0, 2999 do TEXT = TEXT .. "line " .. i .. " of a text that can be compressed\\n" end
local cases = { CASES }
return {
    content = function() cases[ngx.var.uri:sub(2)]() end,
    header_filter = function()
        require("resty.apisix.response").set_gzip({ compress_level = LEVEL })
    end,
    log = function() LOG end,
}
"""
CONFIG = """
daemon off;
pid {prefix}/nginx.pid;
error_log stderr warn;
load_module {modules}/ndk_http_module.so;
load_module {modules}/ngx_http_lua_module.so;
events {{}}
http {{
    log_format ratio "ratio $gzip_ratio end";
    access_log off;
    lua_http10_buffering off;
    init_by_lua_block {{
        TEXT = ""
        for i = 0, 2999 do TEXT = TEXT .. "line " .. i .. " of a text that can be compressed\\n" end
    }}
    server {{
        listen 127.0.0.1:{port};
        server_tokens off;
        gzip on;
        gzip_min_length 0;
        gzip_types *;
        gzip_comp_level 1;
        gzip_http_version 1.0;
        {locations}
    }}
}}
"""


@pytest.fixture(scope="module")
def nginx() -> Iterator[Nginx]:
    def config(prefix: str, port: int) -> str:
        locations = "".join(
            f"location = /{name} {{ content_by_lua_block {{ {code} }}\n"
            + (ACCESS_LOG if name == "long-known-once" else "")
            + "}\n"
            for name, code in CASES.items()
        )
        return CONFIG.format(prefix=prefix, modules=MODULES, port=port, locations=locations)

    with configured_nginx(config) as server:
        yield server


@pytest.fixture(scope="module")
def server() -> Iterator[AppServer]:
    cases = ", ".join(f'["{name}"] = function() {code} end' for name, code in CASES.items())
    source = APP.replace("CASES", cases).replace("LEVEL", "1").replace("LOG", LOG)
    with running_app(source, http10_buffering=False) as server:
        yield server


IGNORED = {"date", "server", "connection"}


def _answer(
    server: AppServer | Nginx, name: str, *fields: str, method: str = "GET", version: str = "1.1"
) -> tuple[int, list[tuple[str, str]], bytes]:
    lines = [f"{method} /{name} HTTP/{version}", "Host: a", "Connection: close", *fields]
    with server.connect() as client:
        client.send("\r\n".join([*lines, "", ""]))
        response = client.response(method)
    headers = sorted((n.lower(), v) for n, v in response.headers if n.lower() not in IGNORED)
    if response.status >= 300 and "gzip" not in dict(headers).get("content-encoding", ""):
        headers = [(n, v) for n, v in headers if n != "content-length"]
        return response.status, headers, b"a page"
    return response.status, headers, response.body


def _body(encoded: bytes) -> bytes:
    return gzip.decompress(encoded) if encoded.startswith(b"\x1f\x8b") else encoded


@pytest.mark.parametrize("name", CASES)
def test_the_same_response(server: AppServer, nginx: Nginx, name: str) -> None:
    ours, theirs = (_answer(s, name, "Accept-Encoding: gzip") for s in (server, nginx))
    assert ours[:2] == theirs[:2]
    assert _body(ours[2]) == _body(theirs[2])


@pytest.mark.parametrize("name", ["plain", "known-length", "long", "long-known", "flushed"])
def test_the_same_bytes(server: AppServer, nginx: Nginx, name: str) -> None:
    ours, theirs = (_answer(s, name, "Accept-Encoding: gzip") for s in (server, nginx))
    assert ours[2].startswith(b"\x1f\x8b")
    assert ours[2] == theirs[2]


ACCEPTED = """
    gzip | GZip | deflate, gzip | gzip, deflate | deflate,gzip;q=0.5, br | gzip;q=0 | gzip;q=0.000
    | gzip;q=0.001 | gzip; q=1 | gzip;q=1.5 | gzip;q=1.0000 | gzip;q=2 | gzip;q= | gzip; | gzip;x=1
    | * | x-gzip | gzipped | gzipped, gzip | identity | gzip ,br | gzip;Q=0.2 | gzip;q=0.9 ,br
    | gzip;q=01 | gzip;q=0. | deflate
"""


@pytest.mark.parametrize("value", [value.strip() for value in ACCEPTED.split("|")])
def test_whoever_accepts_it_gets_it(server: AppServer, nginx: Nginx, value: str) -> None:
    ours, theirs = (
        dict(_answer(s, "long", f"Accept-Encoding: {value}")[1]) for s in (server, nginx)
    )
    assert ours == theirs


@pytest.mark.parametrize(
    "fields",
    [
        (),
        ("Accept-Encoding: gzip", "Via: 1.1 proxy"),
        ("Accept-Encoding: br", "Accept-Encoding: gzip"),
    ],
)
def test_whoever_does_not_is_left_alone(
    server: AppServer, nginx: Nginx, fields: tuple[str, ...]
) -> None:
    ours, theirs = (_answer(s, "plain", *fields) for s in (server, nginx))
    assert ours == theirs
    assert ours[2] == b"hello\n"


@pytest.mark.parametrize(("method", "version"), [("HEAD", "1.1"), ("GET", "1.0"), ("HEAD", "1.0")])
def test_other_methods_and_versions(
    server: AppServer, nginx: Nginx, method: str, version: str
) -> None:
    ours, theirs = (
        _answer(s, "long", "Accept-Encoding: gzip", method=method, version=version)
        for s in (server, nginx)
    )
    assert ours[:2] == theirs[:2]
    assert _body(ours[2]) == _body(theirs[2])


def test_the_log_knows_the_ratio(server: AppServer, nginx: Nginx) -> None:
    name = "long-known-once"
    for each in (server, nginx):
        _answer(each, name, "Accept-Encoding: gzip")
    ours, theirs = (
        set(re.findall(r"ratio (\S+) end", s.log.wait_for(" end"))) for s in (server, nginx)
    )
    assert ours == theirs != set()


def test_a_flush_lets_the_client_read_what_there_is() -> None:
    source = """
    return {
        content = function()
            ngx.print("first ") ngx.flush(true) ngx.req.read_body() ngx.print("second")
        end,
        header_filter = function()
            require("resty.apisix.response").set_gzip({ compress_level = 9 })
        end,
    }
    """
    with running_app(source) as server, server.connect() as client:
        client.send(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nAccept-Encoding: gzip\r\n\r\n"
        )
        head = client.head()
        assert head.header("Content-Encoding") == "gzip"
        size = int(client.read_until(b"\r\n"), 16)
        inflate = zlib.decompressobj(31)
        assert inflate.decompress(client.read_exactly(size)) == b"first "
        client.read_exactly(2)
        client.send("ok")
        rest = client.body(head).body
        assert inflate.decompress(rest) == b"second"
        assert inflate.eof
