"""resty.upload: a multipart body, token by token."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from support.app_server import AppServer

APP = """
local cjson = require "cjson"
return {
    content = function()
        local arg = ngx.req.get_uri_args()
        local size, line = tonumber(arg.size), tonumber(arg.line)
        local form, err = require("resty.upload"):new(size, line, arg.keep == "yes")
        if not form then
            return ngx.print(cjson.encode({ err }))
        end
        form:set_timeout(200)
        local tokens = {}
        repeat
            local typ, res, err = form:read()
            tokens[#tokens + 1] = { typ or "failed", res or err }
        until not typ or typ == "eof"
        tokens[#tokens + 1] = { (form:read()) }
        local kept = arg.keep == "yes" and ngx.req.get_body_data() or nil
        ngx.print(cjson.encode({ tokens = tokens, kept = kept }))
    end,
}
"""

FORM = (
    b"a preamble\r\n"
    b"--edge\r\n"
    b'Content-Disposition: form-data; name="file"; filename="a.txt"\r\n'
    b"Content-Type: text/plain\r\n"
    b"\r\n"
    b"Hello, world\r\n"
    b"--edge\r\n"
    b'Content-Disposition: form-data; name="test"\r\n'
    b"no field\r\n"
    b"\r\n"
    b"value\r\n\r\n"
    b"--edge--\r\n"
    b"an epilogue"
)


@pytest.fixture(scope="module")
def server(module_app_server: Callable[..., AppServer]) -> AppServer:
    return module_app_server(APP)


def tokens(
    server: AppServer, body: bytes, query: str = "", boundary: str = "boundary=edge"
) -> dict[str, Any]:
    header = f"Content-Type: multipart/form-data; {boundary}"
    answer = server.ask(f"/?{query}", header, method="POST", body=body)
    found: dict[str, Any] = json.loads(answer.text)
    return found


def test_a_form_in_tokens(server: AppServer) -> None:
    disposition = 'Content-Disposition: form-data; name="%s"'
    assert tokens(server, FORM, "size=5")["tokens"] == [
        [
            "header",
            [
                "Content-Disposition",
                'form-data; name="file"; filename="a.txt"',
                disposition % 'file"; filename="a.txt',
            ],
        ],
        ["header", ["Content-Type", "text/plain", "Content-Type: text/plain"]],
        ["body", "Hello"],
        ["body", ", wor"],
        ["body", "ld"],
        ["part_end"],
        ["header", ["Content-Disposition", 'form-data; name="test"', disposition % "test"]],
        ["header", "no field"],
        ["body", "value"],
        ["body", "\r\n"],
        ["part_end"],
        ["eof"],
        ["eof"],
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 4096])
def test_the_same_bodies_at_any_size(server: AppServer, size: int) -> None:
    data = "a\r\n--edg\r\r\n-\r\n--ed--edge" * 9
    body = f"--edge\r\nA: b\r\n\r\n{data}\r\n--edge--\r\n".encode()
    found = tokens(server, body, f"size={size}")["tokens"]
    assert "".join(token[1] for token in found if token[0] == "body") == data


@pytest.mark.parametrize(
    "boundary", ["boundary=edge", 'boundary="edge"', "charset=x; Boundary=edge;v=1"]
)
def test_boundaries_as_they_may_be_written(server: AppServer, boundary: str) -> None:
    assert tokens(server, FORM, boundary=boundary)["tokens"][-1] == ["eof"]


def test_the_body_is_kept_for_others(server: AppServer) -> None:
    found = tokens(server, FORM, "size=4096&keep=yes")
    assert found["tokens"][-1] == ["eof"]
    assert found["kept"].encode() == FORM


def test_a_line_that_is_too_long(server: AppServer) -> None:
    body = b"--edge\r\nA: " + b"b" * 100 + b"\r\n\r\nx\r\n--edge--\r\n"
    found = tokens(server, body, "line=20")["tokens"]
    assert found[0] == ["failed", "line too long: A: bbbbbbbbbbbbbbbbbb..."]


def test_a_body_that_ends_too_early(server: AppServer) -> None:
    found = tokens(server, FORM[:-60])["tokens"]
    assert ["failed", "closed"] in found


def test_without_a_boundary(server: AppServer) -> None:
    assert tokens(server, FORM, boundary="x=y") == ["no boundary defined in Content-Type"]


def test_without_a_body(server: AppServer) -> None:
    assert tokens(server, b"") == ["no body"]
