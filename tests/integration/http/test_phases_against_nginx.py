"""The same phases here and in nginx with ngx_lua: the same response.

Each case is a location there, and a branch of one application here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from support.app_server import AppServer, running_app
from support.http import Client
from support.nginx import Nginx, as_app, running_nginx
from support.phases import CASES


@dataclass
class Both:
    """Both servers."""

    ours: AppServer
    theirs: Nginx


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    with (
        running_nginx(CASES) as theirs,
        running_app(as_app(CASES), http10_buffering=False) as ours,
    ):
        yield Both(ours, theirs)


def conversation(client: Client, name: str, method: str, version: str) -> list[object]:
    """What comes for two requests, the second one on the same connection if it is kept."""
    seen: list[object] = []
    for _ in range(2):
        keep = "Connection: keep-alive\r\n" if version == "1.0" else ""
        try:
            client.send(f"{method} /{name}/ HTTP/{version}\r\nHost: a\r\n{keep}\r\n")
            seen.append(normalized(client, method))
        except (AssertionError, ConnectionError):
            seen.append("broken off")
            break
    return seen


def normalized(client: Client, method: str) -> object:
    head = client.head()
    fields = [(key.lower(), value) for key, value in head.headers]
    fields = sorted((key, value) for key, value in fields if key not in ("server", "date"))
    page = head.header("Content-Type") == "text/html"
    if page:  # the server's name stands on it
        fields = [(key, value) for key, value in fields if key != "content-length"]
    try:
        body: object = client.body(head, method).body
    except AssertionError:
        body = "truncated"
    if isinstance(body, bytes):
        text = body.decode("latin-1").replace("<center>nginx</center>", "<center>pygw</center>")
        body = re.sub(r"(content_by_lua\(nginx\.conf:\d+\):|/\S*app\.lua:)\d+", "L", text)
    return head.status, head.reason, fields, body


@pytest.mark.parametrize(
    ("method", "version"), [("GET", "1.1"), ("HEAD", "1.1"), ("GET", "1.0"), ("POST", "1.1")]
)
@pytest.mark.parametrize("name", CASES)
def test_the_same_response(both: Both, name: str, method: str, version: str) -> None:
    answers = []
    for server in (both.theirs, both.ours):
        with server.connect() as client:
            answers.append(conversation(client, name, method, version))
    assert answers[1] == answers[0]
