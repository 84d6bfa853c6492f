"""nginx variables that a comparison with nginx does not reach, and those that can be set."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from support.app_server import AppServer

Start = Callable[..., AppServer]

SHOW = """
return {
    variables = { mine = "default", http_x_own = "declared", same = "$request_id" },
    content = function()
        CODE
        local told = {}
        for name in ("NAMES"):gmatch("%S+") do
            told[#told + 1] = tostring(ngx.var[name])
        end
        ngx.print(table.concat(told, "|"))
    end,
}
"""


def app(names: str, code: str = "") -> str:
    return SHOW.replace("NAMES", names).replace("CODE", code)


def show(app_server: Start, names: str, *headers: str, code: str = "", target: str = "/") -> str:
    return str(app_server(app(names, code)).ask(target, *headers).text)


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        ("tcpinfo_rtt tcpinfo_rttvar tcpinfo_snd_cwnd tcpinfo_rcv_space", r"(\d+\|){3}\d+"),
        ("connection_time msec request_time", r"\d\.\d{3}\|\d{10}\.\d{3}\|0\.\d{3}"),
        ("connection connection_requests pipe", r"1\|1\|\."),
        ("scheme https proxy_protocol_addr proxy_protocol_tlv_alpn", r"http\|\|nil\|nil"),
        ("date_gmt", r"\w+day, \d\d-\w{3}-\d{4} \d\d:\d\d:\d\d GMT"),
        ("request_id REQUEST_ID", r"([0-9a-f]{32})\|\1"),
        ("request_id same", r"([0-9a-f]{32})\|\1"),
        ("limit_rate gzip_ratio sent_trailer_x upstream_cache_status", r"0\|nil\|nil\|nil"),
        ("sent_http_connection sent_http_transfer_encoding", r"keep-alive\|nil"),
        ("no_such_variable Mine MINE http_x_own", r"nil\|default\|default\|declared"),
    ],
)
def test_values(app_server: Start, names: str, pattern: str) -> None:
    text = show(app_server, names)
    assert re.fullmatch(pattern, text), text


def test_requests_of_a_pipeline(app_server: Start) -> None:
    with app_server(app("pipe connection_requests")).connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 3)
        assert [client.response().text for _ in range(3)] == [".|1", "p|2", "p|3"]
        assert client.ask("/").text == ".|4"


def test_where_files_are(app_server: Start, tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    link = tmp_path / "link"
    link.symlink_to(real)
    names = "document_root realpath_root request_filename"
    server = app_server(app(names), root=str(link))
    assert server.ask("/a/b").text == f"{link}|{real}|{link}/a/b"
    server = app_server(app(names), root=str(tmp_path / "none"))
    assert server.ask("/").text == f"{tmp_path}/none|nil|{tmp_path}/none/"


@pytest.mark.parametrize(
    ("code", "names", "shown"),
    [
        ('ngx.var.mine = "x"', "mine", "x"),
        ("ngx.var.MINE = 12", "mine", "12"),
        ('ngx.var.same = "$scheme"', "same", "$scheme"),
        ("ngx.var.mine = true", "mine", "true"),
        ("ngx.var.mine = nil", "mine", "nil"),
        ('ngx.var.args = "b=2"', "args arg_b is_args", "b=2|2|?"),
        ("ngx.var.args = nil", "args arg_a is_args", "nil|nil|"),
        ('ngx.var.limit_rate = "2k"', "limit_rate", "2048"),
        ('ngx.var.limit_rate = "1M"', "limit_rate", "1048576"),
        ('ngx.var.limit_rate = "fast"', "limit_rate", "0"),
        ('ngx.var.http_x_own = "y"', "http_x_own", "y"),
    ],
)
def test_what_can_be_set(app_server: Start, code: str, names: str, shown: str) -> None:
    assert show(app_server, names, code=code, target="/?a=1") == shown


NOT_FOUND = (
    'variable "{0}" not found for writing; maybe it is a built-in variable that is not changeable '
    "or you forgot to use \"set ${0} '';\" in the config file to define it first"
)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("uri", 'variable "uri" not changeable'),
        ("Host", 'variable "host" not changeable'),
        ("query_string", 'variable "query_string" not changeable'),
        ("upstream_status", 'variable "upstream_status" not changeable'),
        ("proxy_host", NOT_FOUND.format("proxy_host")),
        ("http_foo", NOT_FOUND.format("http_foo")),
        ("Nothing", NOT_FOUND.format("nothing")),
    ],
)
def test_what_cannot_be_set(app_server: Start, name: str, message: str) -> None:
    code = f"ngx.print(select(2, pcall(function() ngx.var.{name} = 1 end)))"
    assert show(app_server, "", code=code).endswith(message)


@pytest.mark.parametrize("name", ["{}", "true", "ngx.null"])
def test_names_that_are_none(app_server: Start, name: str) -> None:
    code = f"""
        ngx.print(select(2, pcall(function() return ngx.var[{name}] end)), " ",
            select(2, pcall(function() ngx.var[{name}] = 1 end)))
    """
    assert show(app_server, "", code=code).count("bad variable name") == 2


def test_fields_with_underscores_in_their_names(app_server: Start) -> None:
    assert show(app_server, "http_a_b http_c_d", "a_b: 1", "c-d: 2") == "1|2"


def test_the_length_of_a_request(app_server: Start) -> None:
    server = app_server(app("request_length", "ngx.req.read_body()"))
    with server.connect() as client:
        head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
        client.send(head + "hello")
        assert client.response().text == str(len(head) + 5)
