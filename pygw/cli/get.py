"""Owns `pygw get`: one request through a whole gateway in this process.

Options that curl has mean what they mean there. Must never open a port.
"""

from __future__ import annotations

import http.client
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import click

from pygw import __version__
from pygw.cli.options import config_option, parse_header, settings_from
from pygw.config.yamlfile import ConfigError

FAILED = 22  # curl's exit code of --fail
_CHUNK = 1 << 16


class NoAnswerError(Exception):
    """No response, or half of one; `str()` is the reason."""


@dataclass(frozen=True)
class _Request:
    method: str
    target: str
    headers: Sequence[tuple[str, str]]
    body: bytes | None


def _parse_path(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if not value.startswith("/"):
        raise click.BadParameter(f'"{value}": must begin with "/"; a host is -H "Host: …"')
    if any(char <= " " or char > "~" for char in value):
        raise click.BadParameter(f'"{value}": escape what is no plain ASCII as %XX')
    return value


def _parse_method(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> str | None:
    if value is not None and not (value.isascii() and value.replace("-", "").isalnum()):
        raise click.BadParameter(f'"{value}" is no method')
    return value


def _parse_data(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> bytes | None:
    return b"&".join(map(_data, values)) if values else None


def _data(value: str) -> bytes:
    if not value.startswith("@"):
        return value.encode("utf-8", "surrogateescape")
    try:
        return sys.stdin.buffer.read() if value == "@-" else Path(value[1:]).read_bytes()
    except OSError as error:
        raise click.BadParameter(f"{value[1:]}: {error.strerror}") from None


@click.command()
@config_option
@click.option(
    "-H",
    "--header",
    "headers",
    metavar="'NAME: VALUE'",
    multiple=True,
    callback=parse_header,
    help="A header field of the request; may be repeated.",
)
@click.option(
    "-X",
    "--request",
    "method",
    metavar="METHOD",
    callback=_parse_method,
    help="The method [default: GET; POST with -d].",
)
@click.option(
    "-d",
    "--data",
    metavar="BODY",
    multiple=True,
    callback=_parse_data,
    help="The body; @FILE reads it from a file, @- from stdin. Several are joined by &.",
)
@click.option("-i", "--include", is_flag=True, help="Print the status line and the headers, too.")
@click.option("-f", "--fail", is_flag=True, help="From status 400 on: no body, exit code 22.")
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(0, min_open=True),
    default=60,
    show_default=True,
    help="How long the whole response may take.",
)
@click.argument("path", callback=_parse_path)
def get(
    path: str,
    config: Path | None,
    headers: list[tuple[str, str]],
    method: str | None,
    data: bytes | None,
    include: bool,
    fail: bool,
    timeout: float,
) -> None:
    """Send one request through the gateway, in this process: no server, no port.

    The whole way of a request: routes, plugins, the upstream. Prints the response's body; the
    error log goes to stderr. Exits 0 if a whole response came, whatever its status, else 1.
    """
    from gevent import monkey

    monkey.patch_all()  # Python plugins find what a worker has
    request = _Request(method or ("GET" if data is None else "POST"), path, headers, data)
    output = sys.stdout.buffer
    try:
        status = _run(config, request, timeout, output, include=include, fail=fail)
        output.flush()
    except NoAnswerError as error:
        _die(str(error))
    except BrokenPipeError:
        sys.stderr.close()  # who read has gone; as cat, say nothing
        sys.exit(1)
    if fail and status >= 400:
        click.echo(f"pygw: the response has the status {status}", err=True)
        sys.exit(FAILED)


def _run(
    config: Path | None,
    request: _Request,
    timeout: float,
    output: BinaryIO,
    *,
    include: bool,
    fail: bool,
) -> int:
    import gevent

    from pygw.cli.inprocess import in_process
    from pygw.config.store import StoreError
    from pygw.extensions.manager import ExtensionError
    from pygw.vm.worker import StartError

    try:
        settings = settings_from(config, workers=1)
        with in_process(settings) as worker:
            late = NoAnswerError(f"no whole response within {timeout:g} s")
            with gevent.Timeout(timeout, late), closing(_send(worker.connect(), request)) as sent:
                return _print(sent, output, include=include, fail=fail)
    except (ConfigError, StoreError, ExtensionError, StartError) as error:
        _die(str(error))


def _send(sock: Any, request: _Request) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("localhost")
    connection.sock = sock
    given = {name.lower() for name, _ in request.headers}
    fields = [("Host", "localhost"), ("User-Agent", f"pygw/{__version__}"), ("Accept", "*/*")]
    fields.append(("Connection", "close"))
    if request.body is not None:
        fields.append(("Content-Type", "application/x-www-form-urlencoded"))
        if "transfer-encoding" not in given:
            fields.append(("Content-Length", str(len(request.body))))
    try:
        connection.putrequest(
            request.method, request.target, skip_host=True, skip_accept_encoding=True
        )
        for name, value in [*(each for each in fields if each[0].lower() not in given)]:
            connection.putheader(name, value)
        for name, value in request.headers:
            connection.putheader(name, value.encode("utf-8", "surrogateescape"))
        connection.endheaders(request.body)
    except ValueError as error:
        connection.close()
        raise NoAnswerError(f"such a request cannot be sent: {error}") from None
    except OSError:
        pass  # it may have answered without reading all
    return connection


def _print(
    connection: http.client.HTTPConnection, output: BinaryIO, *, include: bool, fail: bool
) -> int:
    try:
        response = connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswerError(f"no response: {error or type(error).__name__}") from None
    if include:
        output.write(_head(response).encode("latin-1", "replace"))
    if fail and response.status >= 400:
        return response.status
    try:
        while chunk := response.read1(_CHUNK):
            output.write(chunk)
            output.flush()
    except BrokenPipeError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NoAnswerError(f"the response ends within its body: {error}") from None
    if response.length:
        raise NoAnswerError(f"the response ends {response.length} bytes too early")
    return response.status


def _head(response: http.client.HTTPResponse) -> str:
    lines = [f"HTTP/1.{response.version - 10} {response.status} {response.reason}".rstrip()]
    lines += [f"{name}: {value}" for name, value in response.getheaders()]
    return "\r\n".join([*lines, "", ""])


def _die(message: str) -> NoReturn:
    click.echo(f"pygw: {message}", err=True)
    sys.exit(1)
