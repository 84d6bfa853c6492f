"""Owns the translation between WSGI and the API: headers, bodies, CORS. Must never decide."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl

import yaml
from gevent.event import Event

from pygw.admin import documents
from pygw.admin.api import Api
from pygw.admin.messages import NOTHING, YAML, Answer, Request

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]

_CORS = [
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Credentials", "true"),
    ("Access-Control-Max-Age", "3600"),
]
_DENIED = (401, 403)  # who may not ask is not told a version either
_CORS_ANSWER = [*_CORS, ("Access-Control-Expose-Headers", "*")]
_CORS_PREFLIGHT = [
    *_CORS,
    ("Access-Control-Allow-Methods", "POST, GET, PUT, OPTIONS, DELETE, PATCH"),
    ("Access-Control-Allow-Headers", "*"),
    ("Content-Type", "text/plain"),
]


class Application:
    """The WSGI application; `server` is its name in answers.

    `idle` is set whenever no request is under way.
    """

    def __init__(self, api: Api, *, cors: bool, server: str) -> None:
        self._api, self._cors, self._server = api, cors, server
        self._active = 0
        self.idle = Event()
        self.idle.set()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        self._active += 1
        self.idle.clear()
        return _Body([self._respond(environ, start_response)], self._on_sent)

    def _on_sent(self) -> None:
        self._active -= 1
        if not self._active:
            self.idle.set()

    def _respond(self, environ: Environ, start_response: StartResponse) -> bytes:
        preflight = self._cors and environ["REQUEST_METHOD"] == "OPTIONS"
        answer = self._api.answer(_request(environ))
        if preflight and answer.status != 403:
            start_response("200 OK", [("Content-Length", "0"), *_CORS_PREFLIGHT])
            return b""
        body = _encode(answer)
        headers = [
            ("Content-Type", _content_type(answer)),
            ("Content-Length", str(len(body))),
            ("Server", self._server),
            *([] if answer.status in _DENIED else [("X-API-VERSION", "v3")]),
            *answer.headers.items(),
            *(_CORS_ANSWER if self._cors else ()),
        ]
        if answer.status == 413:  # the rest of the body is not worth reading
            headers.append(("Connection", "close"))
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", headers)
        return body


class _Body(list[bytes]):
    """A response's body, which the server closes once it is sent, or cannot be."""

    def __init__(self, parts: Iterable[bytes], on_sent: Callable[[], None]) -> None:
        super().__init__(parts)
        self.close = on_sent


def _request(environ: Environ) -> Request:
    query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
    return Request(
        method=environ["REQUEST_METHOD"],
        path=_header(environ, "PATH_INFO") or "/",
        remote_addr=environ["REMOTE_ADDR"],
        read_body=lambda limit: environ["wsgi.input"].read(limit + 1),
        query=query,
        headers=_headers(environ),
        key=query.get("api_key") or _header(environ, "HTTP_X_API_KEY") or _cookie(environ),
    )


def _headers(environ: Environ) -> dict[str, str]:
    found = {"content-type": environ.get("CONTENT_TYPE") or ""}
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            found[name[5:].replace("_", "-").lower()] = value
    return found


def _header(environ: Environ, name: str) -> str | None:
    """A value of the environment, whose latin-1 stands for UTF-8 (PEP 3333)."""
    value = environ.get(name)
    return None if value is None else value.encode("latin-1").decode("utf-8", "replace")


def _cookie(environ: Environ) -> str | None:
    try:
        found = SimpleCookie(environ.get("HTTP_COOKIE", "")).get("x_api_key")
    except CookieError:
        return None
    return found.value if found else None


def _content_type(answer: Answer) -> str:
    if isinstance(answer.body, str):
        return "text/plain"
    return YAML if answer.as_yaml else "application/json"


def _encode(answer: Answer) -> bytes:
    if answer.body is NOTHING:
        return b""
    if isinstance(answer.body, str):
        return f"{answer.body}\n".encode()
    if answer.as_yaml:
        text: bytes = yaml.safe_dump(answer.body, allow_unicode=True, encoding="utf-8")
        return text
    return documents.write(answer.body) + b"\n"
