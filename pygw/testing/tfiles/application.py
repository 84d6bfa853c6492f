"""Owns what a worker needs to know of a block's nginx.conf: the application's file, its listeners.

Must never know what a directive does; the Lua modules under lua/ do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pygw.testing.tfiles import conf

LUA = Path(__file__).with_name("lua")
_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


class Unsupported(Exception):
    """The configuration asks for something that is nginx's alone; the message says what."""


@dataclass
class Listener:
    """An address to listen on. host: an IP, or "unix:" and a path."""

    host: str
    port: int
    tls: bool


@dataclass
class Application:
    """What goes to the worker's process, as JSON."""

    source: str
    listeners: list[Listener] = field(default_factory=list)
    shared_dicts: dict[str, int] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    log_level: str = "debug"
    workers: int = 1

    def plain(self) -> dict[str, Any]:
        return asdict(self)


def translate(text: str, servroot: Path) -> Application:
    """The application of a configuration file's text. Raises ConfError, Unsupported."""
    tree = conf.parse(text)
    application = Application("")
    numbers = _listeners(tree, application)
    for directive in _walk(tree):
        _note(directive, application)
    listeners = ", ".join(f"[{conf.quote(arg)}] = {number}" for arg, number in numbers.items())
    arguments = f'{conf.to_lua(tree)}, "{servroot}/", {{{listeners}}}'
    application.source = (
        f'package.path = "{LUA}/?.lua;" .. package.path\n'
        f'return require("conformance.build")({arguments})\n'
    )
    return application


def _walk(tree: list[conf.Directive]) -> Iterator[conf.Directive]:
    for directive in tree:
        yield directive
        if isinstance(directive.block, list):
            yield from _walk(directive.block)


def _listeners(tree: list[conf.Directive], application: Application) -> dict[str, int]:
    """Fill in the listeners; returns the number of each by the text of its `listen` directive."""
    numbers: dict[str, int] = {}
    addresses: dict[tuple[str, int], int] = {}
    for directive in _walk(tree):
        if directive.name != "listen":
            continue
        text, options = directive.args[0], set(directive.args[1:])
        if options & {"http2", "quic", "udp", "proxy_protocol"}:
            raise Unsupported(f"listen … {' '.join(sorted(options))}")
        host, port = _address(text)
        if (host, port) not in addresses:
            application.listeners.append(Listener(host, port, "ssl" in options))
            addresses[host, port] = len(application.listeners)
        numbers[text] = addresses[host, port]
    return numbers


def _address(text: str) -> tuple[str, int]:
    if text.startswith("unix:"):
        return text, 0
    if re.fullmatch(r"\d+", text):
        return "0.0.0.0", int(text)
    host, _, port = text.rpartition(":")
    if not host or text.endswith("]"):
        return text.strip("[]"), 80
    return host.strip("[]").replace("localhost", "127.0.0.1").replace("*", "0.0.0.0"), int(port)


def _note(directive: conf.Directive, application: Application) -> None:
    name, args = directive.name, directive.args
    if name == "lua_shared_dict":
        size = re.fullmatch(r"(\d+)([kmg]?)", args[1].lower())
        if not size:
            raise Unsupported(f"lua_shared_dict of the size {args[1]}")
        application.shared_dicts[args[0]] = int(size[1]) * _UNITS[size[2]]
    elif name == "env" and "=" in args[0]:
        key, _, value = args[0].partition("=")
        application.env[key] = value
    elif name == "worker_processes":
        application.workers = int(args[0])
    elif name == "error_log" and args[0].startswith("syslog:"):
        raise Unsupported("nginx's syslog")
    elif name == "error_log" and len(args) > 1 and application.log_level == "debug":
        application.log_level = args[1]
