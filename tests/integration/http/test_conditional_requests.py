"""Conditional requests: 304 and 412 where nginx gives them."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from support.app_server import AppServer
from support.http import Response
from support.nginx import Nginx, as_app, running_nginx

T = "Thu, 01 Jan 2026 00:00:00 GMT"
BEFORE, AFTER = "Wed, 31 Dec 2025 00:00:00 GMT", "Fri, 02 Jan 2026 00:00:00 GMT"

BODY = 'ngx.header.x_seen = "1" ngx.print("the body")'
CASES = {
    "dated": {"content": f'ngx.header.last_modified = "{T}" ngx.header.content_length = 8 {BODY}'},
    "tagged": {"content": f"ngx.header.etag = '\"a\"' {BODY}"},
    "weak": {"content": f"ngx.header.etag = 'W/\"a\"' {BODY}"},
    "both": {"content": f'ngx.header.etag = \'"a"\' ngx.header.last_modified = "{T}" {BODY}'},
    "neither": {"content": BODY},
    "created": {"content": f"ngx.status = 201 ngx.header.etag = '\"a\"' {BODY}"},
    "filtered": {
        "content": f'ngx.header.last_modified = "{T}" {BODY}',
        "header_filter": "ngx.header.x_status = ngx.status",
        "body_filter": "ngx.arg[1] = ngx.arg[1]:upper()",
    },
}
FIELDS = [
    *(
        f"{name}: {date}"
        for name in ("If-Modified-Since", "If-Unmodified-Since")
        for date in (BEFORE, T, AFTER)
    ),
    *(
        f"{name}: {tags}"
        for name in ("If-None-Match", "If-Match")
        for tags in ('"a"', 'W/"a"', '"b", "a"', '"b"', "*", "")
    ),
    f'If-Modified-Since: {T}\r\nIf-None-Match: "b"',
    f'If-Modified-Since: {AFTER}\r\nIf-None-Match: "a"',
    "If-Modified-Since: rubbish",
    "If-Unmodified-Since: rubbish",
]


class Both(NamedTuple):
    ours: AppServer
    theirs: Nginx


@pytest.fixture(scope="module")
def both(module_app_server: Callable[..., AppServer]) -> Iterator[Both]:
    with running_nginx(CASES) as theirs:
        yield Both(module_app_server(as_app(CASES)), theirs)


def told(response: Response) -> tuple[object, ...]:
    fields = sorted(
        (name.lower(), value)
        for name, value in response.headers
        if name.lower() not in ("server", "date", "transfer-encoding", "content-length")
    )
    return response.status, fields, response.text.lower().replace("pygw", "nginx")


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("case", CASES)
def test_the_same_as_nginx(both: Both, case: str, field: str) -> None:
    answers = []
    for server in both:
        with server.connect() as client:
            answers.append(told(client.ask(f"/{case}/", field)))
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("mode", "date", "status"),
    [("exact", AFTER, 200), ("before", AFTER, 304), ("before", BEFORE, 200), ("off", T, 200)],
)
def test_what_counts_as_modified(
    app_server: Callable[..., AppServer], mode: str, date: str, status: int
) -> None:
    server = app_server(as_app({"dated": CASES["dated"]}), if_modified_since=mode)
    assert server.ask("/dated/", f"If-Modified-Since: {date}").status == status


def test_conditions_may_be_set_and_passed_by(app_server: Callable[..., AppServer]) -> None:
    set_one = f'ngx.req.set_header("If-Modified-Since", "{T}")'
    passed_by = 'require("ngx.resp").bypass_if_checks()'
    content = CASES["dated"]["content"]
    server = app_server(
        as_app(
            {
                "set": {"content": set_one + content},
                "by": {"content": set_one + passed_by + content},
            }
        )
    )
    assert server.ask("/set/").status == 304
    assert server.ask("/by/").status == 200
