"""Servers with locations, said once and run twice: by a real nginx with ngx_lua, and by pygw.

A case is a server of its own, chosen by its name in Host; its places are its locations.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from support.http import Client, Response
from support.nginx import MODULES

MODIFIERS = {"prefix": "", "exact": "=", "prefer": "^~", "regex": "~", "regex_i": "~*", "named": ""}

Page = str | tuple[int, str]


@dataclass
class Place:
    """A location. `code`: handler bodies by phase; `pages`: error pages by status, "URI" or
    (status, "URI"); `proxy`: the path that requests are passed on to, on the same server.
    """

    path: str
    code: Mapping[str, str] = field(default_factory=dict)
    match: str = "prefix"
    internal: bool = False
    pages: Mapping[int, Page] = field(default_factory=dict)
    proxy: str | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    nested: Sequence[Place] = ()


def say(text: str) -> dict[str, str]:
    """Content that says `text` and where the request is."""
    return {"content": f'ngx.say("{text} ", ngx.var.uri, " ", ngx.var.args or "-")'}


@dataclass
class Case:
    """Places, and what is asked of them: targets, or (method, target, body)."""

    places: Sequence[Place]
    asks: Sequence[str | tuple[str, str, str]]
    server_rewrite: str | None = None
    pages: Mapping[int, Page] = field(default_factory=dict)


# -- nginx --------------------------------------------------------------------------------------


def _nginx_pages(pages: Mapping[int, Page]) -> list[str]:
    lines = []
    for code, page in pages.items():
        status, uri = page if isinstance(page, tuple) else (None, page)
        override = "" if status is None else f"={status or ''} "
        lines.append(f"error_page {code} {override}{uri};")
    return lines


def _nginx_setting(name: str, value: object) -> str:
    known = "lua_" if name == "check_client_abort" else ""
    return f"{known}{name} {'on' if value is True else value};"


def _nginx_place(place: Place, port: int) -> str:
    lines = [f"{phase}_by_lua_block {{ {code}\n}}" for phase, code in place.code.items()]
    lines += ["internal;"] if place.internal else []
    lines += _nginx_pages(place.pages)
    lines += [_nginx_setting(name, value) for name, value in place.settings.items()]
    if place.proxy:
        lines.append(f"proxy_pass http://127.0.0.1:{port}{place.proxy};")
        lines.append("proxy_http_version 1.1; proxy_set_header Host $host;")
        lines.append('proxy_set_header Connection "";')
    lines += [_nginx_place(each, port) for each in place.nested]
    inside = "\n".join(lines)
    return f'location {MODIFIERS[place.match]} "{place.path}" {{\n{inside}\n}}'


CONFIG = """
daemon off;
user root;
worker_processes 1;
pid {prefix}/nginx.pid;
error_log stderr info;
load_module {modules}/ndk_http_module.so;
load_module {modules}/ngx_http_lua_module.so;
events {{}}
http {{
    access_log off;
    types {{ }}
    default_type text/plain;
    client_body_temp_path {prefix}/body;
    proxy_temp_path {prefix}/proxy;
    client_body_buffer_size 1m;
    init_by_lua_block {{ {init} }}
    server {{ listen 127.0.0.1:{port}; location /declared {{ {variables} }} }}
    {servers}
}}
"""


def nginx_config(
    cases: Mapping[str, Case], init: str, variables: Sequence[str], prefix: str, port: int
) -> str:
    """The configuration of an nginx that runs the cases."""
    servers = []
    for name, case in cases.items():
        lines = [f"listen 127.0.0.1:{port}; server_name {name};", *_nginx_pages(case.pages)]
        lines += [_nginx_place(place, port) for place in case.places]
        servers.append("server {\n" + "\n".join(lines) + "\n}")
    return CONFIG.format(
        prefix=prefix,
        modules=MODULES,
        port=port,
        init=init,
        variables=" ".join(f"set ${name} '';" for name in variables),
        servers="\n".join(servers),
    )


# -- the application ----------------------------------------------------------------------------


def _lua_pages(pages: Mapping[int, Page]) -> str:
    items = []
    for code, page in pages.items():
        status, uri = page if isinstance(page, tuple) else (None, page)
        extra = "" if status is None else f", status = {status}"
        items.append(f"[{code}] = {{ uri = {json.dumps(uri)}{extra} }}")
    return "{ " + ", ".join(items) + " }"


def _lua_place(place: Place) -> str:
    items = [f"path = {json.dumps(place.path)}, match = {json.dumps(place.match)}"]
    items += [f"{phase} = function() {code}\nend" for phase, code in place.code.items()]
    items += ["internal = true"] if place.internal else []
    items += [f"error_pages = {_lua_pages(place.pages)}"] if place.pages else []
    if place.settings:
        pairs = [f"{name} = {json.dumps(value)}" for name, value in place.settings.items()]
        items.append("settings = { " + ", ".join(pairs) + " }")
    if place.proxy:
        items.append(
            "balancer = function() require('ngx.balancer').set_current_peer("
            "'127.0.0.1', tonumber(ngx.var.server_port)) end, "
            f"proxy = {{ uri = {json.dumps(place.proxy)}, "
            "set_header = { { 'Host', '$host' } } }"
        )
    if place.nested:
        items.append("locations = { " + ", ".join(map(_lua_place, place.nested)) + " }")
    return "{ " + ", ".join(items) + " }"


def application(cases: Mapping[str, Case], init: str, variables: Sequence[str]) -> str:
    """The source of an application that runs the cases."""
    servers = ["{ locations = {} }"]
    for name, case in cases.items():
        items = [f"names = {{ {json.dumps(name)} }}"]
        if case.server_rewrite:
            items.append(f"server_rewrite = function() {case.server_rewrite}\nend")
        items += [f"error_pages = {_lua_pages(case.pages)}"] if case.pages else []
        items.append("locations = { " + ",\n".join(map(_lua_place, case.places)) + " }")
        servers.append("{ " + ", ".join(items) + " }")
    declared = ", ".join(f'{name} = ""' for name in variables)
    return (
        f"{init}\nreturn {{ variables = {{ {declared} }}, servers = {{ {', '.join(servers)} }} }}"
    )


# -- asking -------------------------------------------------------------------------------------


def ask(client: Client, host: str, what: str | tuple[str, str, str]) -> Response:
    """Send one request of a case, on a connection that is kept alive."""
    method, target, body = ("GET", what, "") if isinstance(what, str) else what
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    client.send(f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{length}\r\n{body}")
    return client.response(method)


def asks_of(cases: Mapping[str, Case]) -> list[Any]:
    """A parameter (host, what) for every request of the cases."""
    return [
        pytest.param(
            name, what, id=f"{name}-{what if isinstance(what, str) else ' '.join(what[:2])}"
        )
        for name, case in cases.items()
        for what in case.asks
    ]


def comparable(response: Response) -> tuple[object, ...]:
    """What is compared: not the servers' names, nor where a line of code stands."""
    fields = sorted(
        (name.lower(), value)
        for name, value in response.headers
        if name.lower() not in ("server", "date", "content-length")
    )
    body = re.sub(r"<hr><center>.*?</center>", "", response.text)
    place = r"(?<![\w/.-])([\w/.-]*app\.lua|init_by_lua\S*):\d+: "
    return response.status, fields, re.sub(place, "", body)
