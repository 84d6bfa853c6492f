"""Owns what a request and an answer are to the API, and the reading of bodies.

Must never know HTTP's wire: `wsgi.py` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pygw.admin import documents
from pygw.admin.refusal import Refusal
from pygw.config.yamlfile import ConfigError, read_text
from pygw.vm.checker import Checker

MAX_BODY = 1536 * 1024  # bytes: APISIX's
NOTHING = object()  # an answer without a body
YAML = "application/yaml"


@dataclass(frozen=True)
class Request:
    """A request; `read_body(limit)` gives the body, of which at most limit + 1 bytes are read.

    headers: by names in lower case.
    """

    method: str
    path: str
    remote_addr: str
    read_body: Callable[[int], bytes]
    query: Mapping[str, str] = field(default_factory=dict)
    key: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """A status, a value to send as JSON or as YAML, or a text as it is, and headers of its own."""

    status: int
    body: Any = NOTHING
    headers: Mapping[str, str] = field(default_factory=dict)
    as_yaml: bool = False


def read_body(request: Request, limit: int = MAX_BODY) -> bytes:
    """The body, of `limit` bytes at most. Raises Refusal (400, 413)."""
    try:
        text = request.read_body(limit)
    except (OSError, ValueError) as error:
        raise Refusal(400, f"invalid request body: {error}") from None
    if len(text) > limit:
        raise Refusal(413, f"invalid request body: larger than the maximum size {limit} allowed")
    return text


def decode(text: bytes, checker: Checker, *, echo: bool = True) -> Any:
    """The value of a body; why it is no JSON is said in Lua's words, as APISIX does.

    echo: show the body beside the reason. Raises Refusal (400).
    """
    try:
        return documents.read(text)
    except ValueError as error:
        reason = checker.syntax_error(text) or str(error)
        shown = {"req_body": text.decode("utf-8", "replace")} if echo else {}
        raise Refusal(400, f"invalid request body: {reason}", **shown) from None


def decode_yaml(text: bytes) -> Any:
    """The value of a YAML body, made of what JSON has. Raises Refusal (400)."""
    try:
        value = read_text(text.decode(), "body", variables="none").value
        documents.read(documents.write(value))
    except (ConfigError, ValueError, RecursionError) as error:
        raise Refusal(400, f"invalid request body: invalid yaml request body: {error}") from None
    return value
