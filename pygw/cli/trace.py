"""Owns `pygw trace`: one request to a running gateway, and the tree of what its plugins did.

The gateway sends the trace to a Unix socket beside its pid file, so only who may write there can
ask. Must never start or change a gateway.
"""

from __future__ import annotations

import http.client
import json
import secrets
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

PATIENCE = 3.0  # seconds between the response and its trace
_HEADER = "X-Pygw-Trace"


class TraceError(Exception):
    """No trace; `str()` is the reason."""


@dataclass(frozen=True)
class Question:
    """The request to be traced. headers: (name, value) pairs."""

    method: str
    target: str
    headers: Sequence[tuple[str, str]] = ()
    body: bytes | None = None


def ask(question: Question, address: tuple[str, int], directory: Path) -> dict[str, Any]:
    """Send the request to the gateway at address, and wait for its trace in directory.

    Raises TraceError.
    """
    number = secrets.token_hex(6)
    with _mailbox(directory / f"trace-{number}.sock") as mailbox:
        _send(question, address, number)
        return _receive(mailbox)


def _send(question: Question, address: tuple[str, int], number: str) -> None:
    connection = http.client.HTTPConnection(*address, timeout=60)
    with closing(connection):
        try:
            connection.putrequest(question.method, question.target, skip_accept_encoding=True)
            for name, value in question.headers:
                connection.putheader(name, value)
            connection.putheader(_HEADER, number)
            if question.body is not None:
                connection.putheader("Content-Length", str(len(question.body)))
            connection.endheaders(question.body)
            connection.getresponse().read()
        except (OSError, http.client.HTTPException, ValueError) as error:
            host, port = address
            raise TraceError(f"the request to {host}:{port} failed: {error}") from None


@contextmanager
def _mailbox(path: Path) -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as mailbox:
        try:
            mailbox.bind(str(path))
        except OSError as error:
            raise TraceError(f"cannot wait for the trace at {path}: {error}") from None
        try:
            path.chmod(0o777)  # workers may run as another user; the directory says who may come
            mailbox.listen(1)
            mailbox.settimeout(PATIENCE)
            yield mailbox
        finally:
            with suppress(FileNotFoundError):
                path.unlink()


def _receive(mailbox: socket.socket) -> dict[str, Any]:
    try:
        connection, _ = mailbox.accept()
        with closing(connection), connection.makefile("rb") as stream:
            connection.settimeout(PATIENCE)
            trace: dict[str, Any] = json.loads(stream.read())
            return trace
    except TimeoutError:
        raise TraceError(
            "the request was answered, but no trace came: is apisix.enable_debug true in the"
            " config.yaml of the gateway that runs, and is it this one?"
        ) from None


def render(trace: dict[str, Any]) -> Iterator[str]:
    """The lines of the tree."""
    yield f"{trace['method']} {trace['uri']}  {trace['status']}  {_time(trace['us'])}"
    yield from _facts(trace)
    phases = [(phase, list(steps)) for phase, steps in groupby(trace["steps"], _phase)]
    if not phases:
        yield "└─ no plugin ran"
    for number, (phase, steps) in enumerate(phases):
        last = number == len(phases) - 1
        yield f"{'└─' if last else '├─'} {phase}"
        yield from _branch(steps, "   " if last else "│  ")


def _phase(step: dict[str, Any]) -> str:
    return str(step["phase"])


def _facts(trace: dict[str, Any]) -> Iterator[str]:
    route = trace.get("route_id")
    named = f" ({trace['route_name']})" if trace.get("route_name") else ""
    yield f"│  route {route}{named}" if route else "│  no route matches"
    for key, word in (("service_id", "service"), ("consumer_name", "consumer")):
        if trace.get(key):
            yield f"│  {word} {trace[key]}"
    if trace.get("upstream_addr"):
        seconds = trace.get("upstream_response_time") or "-"
        yield f"│  upstream {trace['upstream_addr']}  {trace['upstream_status']}  {seconds} s"


def _branch(steps: list[dict[str, Any]], indent: str) -> Iterator[str]:
    width = max(len(step["plugin"]) for step in steps)
    for number, step in enumerate(steps):
        last = number == len(steps) - 1
        where = f"{step['scope']} {step.get('scope_id') or ''}".rstrip()
        name = f"{step['plugin']:<{width}}"
        yield f"{indent}{'└─' if last else '├─'} {name}  {_spent(step)}  ({where})"
        for line in _deeds(step):
            yield f"{indent}{' ' if last else '│'}     {line}"


def _spent(step: dict[str, Any]) -> str:
    if not step["runs"]:
        return "did not return: it ended the request itself"
    times = f" in {step['runs']} pieces" if step["runs"] > 1 else ""
    return f"{_time(step['us'])}{times}"


def _deeds(step: dict[str, Any]) -> Iterator[str]:
    for change in step["changes"]:
        yield _change(change)
    if step.get("changes_body"):
        yield f"body: {step['bytes_in']} → {step['bytes_out']} bytes"
    if "answered" in step:
        yield f"answered with {step['answered']}"
    if "error" in step:
        yield f"failed: {step['error']}"


def _change(change: dict[str, Any]) -> str:
    kind, name = change["kind"], change["name"]
    what = f"ctx.{name}" if kind == "ctx" else f"{kind} {name}"
    before, after = change.get("before"), change.get("after")
    if after is None:
        return f"{what} removed (was {before})"
    if before is None:
        return f"{what}: {after}"
    return f"{what}: {before} → {after}"


def _time(microseconds: float) -> str:
    return f"{microseconds:,.0f} µs"
