"""Owns the judging of a block: its sections against a response and the error log.

Each function gives what is wrong, as texts; none means all is well. Must never send or wait.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from pygw.testing.tfiles import bodies, exceptions
from pygw.testing.tfiles.client import Response
from pygw.testing.tfiles.patterns import regex
from pygw.testing.tfiles.spec import Block

_EACH = (
    "error_code",
    "error_code_like",
    "raw_response_headers_like",
    "raw_response_headers_unlike",
    "response_headers",
    "response_headers_like",
    "response_body",
    "response_body_eval",
    "response_body_like",
    "response_body_unlike",
)
Expand = Callable[[str], str]
_SHOWN = 600  # characters of a value in a message
_REFUSED = 1  # the exit code of a worker that does not start


def shown(value: Any) -> str:
    """A value for a message, cut where it is long."""
    text = f"/{value.pattern}/" if isinstance(value, re.Pattern) else repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def response(block: Block, got: Response, index: int, count: int, expand: Expand) -> Iterator[str]:
    """Everything that a block says of the response to its request of that index, of so many."""
    if block.has("ignore_response"):
        return
    for name in _EACH if count > 1 else ():
        value = block.sections.get(name)
        if value is not None and not isinstance(value, list):
            if index == 0:
                yield f"{name} must be a list, since there are {count} requests"
            return
    if got.trouble:
        yield f"the response is broken: {got.trouble}"
    yield from _code(block, got, index)
    yield from _raw_headers(block, got, index)
    yield from _headers(block, got, index, expand)
    yield from _body(block, got, index, expand)


def _code(block: Block, got: Response, index: int) -> Iterator[str]:
    if block.has("error_code_like"):
        wanted = block.at("error_code_like", index)
        if not _search(wanted, got.code, "sm"):
            yield f"status {got.code!r} is not like {shown(wanted)}"
    else:
        wanted = str(block.at("error_code", index) if block.has("error_code") else 200).strip()
        if got.code != wanted:
            yield f"status {got.code!r}, not {wanted!r}"


def _search(pattern: Any, text: str, flags: str) -> bool:
    compiled = pattern if isinstance(pattern, re.Pattern) else regex(pattern, flags)
    return compiled.search(text) is not None


def _raw_headers(block: Block, got: Response, index: int) -> Iterator[str]:
    wanted = block.at("raw_response_headers_like", index)
    if wanted is not None and not _search(wanted, got.head, "s"):
        yield f"raw headers {shown(got.head)} are not like {shown(wanted)}"
    unwanted = block.at("raw_response_headers_unlike", index)
    if unwanted is not None and _search(unwanted, got.head, "s"):
        yield f"raw headers {shown(got.head)} are like {shown(unwanted)}"


def _fields(text: str) -> Iterator[tuple[str, str | None]]:
    for line in text.split("\n"):
        line = line.strip()
        if line.startswith("!"):
            yield line[1:].strip(), None
        elif line:
            key, _, value = line.partition(":")
            yield key.strip(), value.strip()


def _headers(block: Block, got: Response, index: int, expand: Expand) -> Iterator[str]:
    for name, wanted in _fields(block.at("response_headers", index) or ""):
        if wanted is None:
            if re.search(rf"^\s*{re.escape(name)}\s*:", got.head, re.MULTILINE):
                yield f"header {name} is there: {got.header(name)!r}"
            continue
        wanted = expand(wanted)
        if (got.header(name) or "") != wanted:
            yield f"header {name}: {got.header(name)!r}, not {wanted!r}"
    if block.has("response_headers"):
        return
    for name, wanted in _fields(block.at("response_headers_like", index) or ""):
        if not regex(f"^(?:{wanted})$").search(got.header(name) or ""):
            yield f"header {name}: {got.header(name)!r} is not like {wanted!r}"


def _body(block: Block, got: Response, index: int, expand: Expand) -> Iterator[str]:
    body = bodies.filtered(block, got.body, index)
    if block.has("response_body"):
        wanted = block.at("response_body", index)
        body = bodies.ordered(body) if block.has("response_body_json_sort") else body
        if isinstance(wanted, re.Pattern):
            if not wanted.search(body):
                yield f"body {shown(body)} is not like {shown(wanted)}"
        elif wanted is None:
            yield f"response_body has no value for request {index + 1}; got {shown(body)}"
        elif body != (wanted := bodies.encoded(expand(wanted), block.text("charset"))):
            yield f"body {shown(body)}, not {shown(wanted)}"
        return
    for name, positive in (("response_body_like", True), ("response_body_unlike", False)):
        wanted = block.at(name, index)
        if wanted is None:
            continue
        pattern = wanted if isinstance(wanted, re.Pattern) else expand(wanted)
        if _search(pattern, body, "s") != positive:
            verb = "is not like" if positive else "is like"
            yield f"body {shown(body)} {verb} {shown(wanted)}"
        return


def _patterns(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [line for line in re.split(r"\n+", value.rstrip("\n")) if line]
    return [each for each in (value if isinstance(value, list) else [value]) if each is not None]


def _in_line(pattern: Any, line: str) -> re.Match[str] | None:
    if isinstance(pattern, re.Pattern):
        return pattern.search(line)
    return re.search(re.escape(str(pattern)), line)


def log(
    block: Block, lines: list[str], run: int, expand: Expand, prefix: str = ""
) -> Iterator[str]:
    """Everything that a block says of the error log. run: which repetition; prefix: "shutdown_"."""
    if not prefix and block.has("grep_error_log"):
        yield from _grepped(block, lines, run, expand)
    unwanted = _patterns(block.sections.get(f"no_{prefix}error_log"))
    yield from _lines(_expected(block, prefix), unwanted, lines, f"{prefix}error log")


def access_log(block: Block, lines: list[str]) -> Iterator[str]:
    """Everything that a block says of the access log."""
    if not block.has("ignore_response"):
        wanted, unwanted = map(_patterns, map(block.sections.get, ("access_log", "no_access_log")))
        text = "".join(f"{line}\n" for line in lines)
        yield from _lines(wanted, unwanted, lines, f"access log, which is {shown(text)}")


def end(block: Block) -> Iterator[str]:
    """What a block says of the exit code of a server that does not start."""
    wanted = block.text("must_die").strip()
    if wanted.isdigit() and int(wanted) != _REFUSED:
        yield f"the exit code is {_REFUSED}, not {wanted}"


def _lines(wanted: list[Any], unwanted: list[Any], lines: list[str], where: str) -> Iterator[str]:
    for pattern in wanted:
        if not any(_in_line(pattern, line) for line in lines):
            yield f"{shown(pattern)} matches no line of the {where}"
    for pattern in unwanted:
        for line in lines:
            if _in_line(pattern, line):
                yield f"{shown(pattern)} must match no line of the {where}: {shown(line)}"
                break


def _expected(block: Block, prefix: str) -> list[Any]:
    patterns = _patterns(block.sections.get(f"{prefix}error_log"))
    return [each for each in patterns if not exceptions.is_debug(each)]


def left_out(block: Block) -> int:
    """How many of a block's expectations are of nginx's debug log, and not judged."""
    names = ("error_log", "shutdown_error_log", "grep_error_log")
    patterns = [each for name in names for each in _patterns(block.sections.get(name))]
    return sum(exceptions.is_debug(each) for each in patterns)


def _grepped(block: Block, lines: list[str], run: int, expand: Expand) -> Iterator[str]:
    pattern, wanted = block.at("grep_error_log", run), block.at("grep_error_log_out", run)
    if pattern is None or exceptions.is_debug(pattern) or exceptions.is_debug(wanted):
        return
    matches = [found.group() for found in (_in_line(pattern, line) for line in lines) if found]
    text = "".join(f"{each}\n" for each in matches if "\n" not in each)
    if isinstance(wanted, re.Pattern):
        if not wanted.search(text):
            yield f"grepped {shown(text)}, which is not like {shown(wanted)}"
    elif text != expand(wanted or ""):
        yield f"grepped {shown(text)}, not {shown(expand(wanted or ''))}"
