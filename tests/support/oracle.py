"""Snippets of Lua that nginx + ngx_lua and pygw both run, and what either makes of one.

Snippets are data (YAML); both servers load the same files, so that chunk names and lines agree.
Must never know what is right: nginx does.
"""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.app_server import AppServer, running_app
from support.nginx import MODULES, Nginx, configured_nginx

from pygw.config.yamlfile import read_file

PHASES = ("rewrite", "access", "content", "balancer", "header_filter", "body_filter", "log")
KEYS = {*PHASES, "each", "variables", "request", "wait", "differs"}
REQUEST_KEYS = {"method", "query", "headers", "body", "version", "raw"}
DICTS = {"dogs": 1 << 20, "cats": 12 << 10}

NGINX = """
daemon off;
worker_processes 1;
pid {prefix}/nginx.pid;
error_log stderr info;
load_module {modules}/ndk_http_module.so;
load_module {modules}/ngx_http_lua_module.so;
events {{}}
http {{
    access_log off;
    client_body_temp_path {prefix}/body;
    proxy_temp_path {prefix}/proxy;
    lua_package_path "{prelude}/?.lua;;";
    {dicts}
    init_by_lua_block {{ require "prelude" }}
    init_worker_by_lua_file {prelude}/init_worker.lua;
    {upstreams}
    server {{
        listen 127.0.0.1:{port};
        server_tokens off;
        location / {{ return 404; }}
        location /fence {{ content_by_lua_block {{ fence() }} }}
        {locations}
    }}
}}
"""

PROXY = """
    proxy_pass http://peers{number};
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
"""

UPSTREAM = """
    upstream peers{number} {{ server 0.0.0.1; balancer_by_lua_file {file}; }}
"""

APP = """
package.path = {prelude}
local log = require "server.log"
log.level = 7
for name, size in pairs({{ {dicts} }}) do require("ngx.shdict").declare(name, size) end
require "prelude"
return require("dispatch")({files}, {{ {variables} }}, {init_worker})
"""


@dataclass
class Snippet:
    """A snippet: its phases (bodies of handlers), the request that runs it, what of it differs.

    wait: text of a log line that comes after the answer. differs: part of the answer -> why.
    """

    family: str
    name: str
    phases: Mapping[str, str]
    variables: Mapping[str, str] = field(default_factory=dict)
    request: Mapping[str, Any] = field(default_factory=dict)
    wait: str = ""
    differs: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return f"/{self.family}/{re.sub('[^A-Za-z0-9_]+', '-', self.name)}"

    @property
    def id(self) -> str:
        return f"{self.family}: {self.name}"

    def bytes(self) -> bytes:
        """The request."""
        given = self.request
        if "raw" in given:
            return str(given["raw"]).replace("$path", self.path).encode("latin-1")
        method, version = given.get("method", "GET"), given.get("version", "1.1")
        target = self.path + given.get("query", "")
        lines = [f"{method} {target} HTTP/{version}", "Host: oracle", *given.get("headers", [])]
        body = given.get("body")
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        return ("\r\n".join([*lines, "", ""]) + (body or "")).encode("latin-1")


def _snippet(family: str, name: str, given: Any) -> Snippet:
    if isinstance(given, str):
        given = {"content": given}
    assert set(given) <= KEYS, f"{family}: {name}: unknown {set(given) - KEYS}"
    assert set(given.get("request", {})) <= REQUEST_KEYS, f"{family}: {name}: unknown in request"
    phases = {phase: given[phase] for phase in PHASES if phase in given}
    if "each" in given:
        phases["content"] = phases.get("content", "") + f"each([==[{given['each']}]==])"
    rest = {key: given[key] for key in ("variables", "request", "wait", "differs") if key in given}
    return Snippet(family, name, phases, **rest)


def load_snippets(directory: Path) -> list[Snippet]:
    """All snippets of a directory of FAMILY.yaml files."""
    snippets = [
        _snippet(file.stem, name, given)
        for file in sorted(directory.glob("*.yaml"))
        for name, given in read_file(file).value.items()
    ]
    assert len({each.path for each in snippets}) == len(snippets), "two snippets of one path"
    return snippets


Files = Mapping[str, Mapping[str, str]]  # path of a snippet -> phase -> file with its code


def _write(snippets: list[Snippet], directory: Path) -> Files:
    files: dict[str, dict[str, str]] = {}
    for each in snippets:
        for phase, code in each.phases.items():
            file = directory / f"{each.path[1:].replace('/', '-')}.{phase}.lua"
            file.write_text(code, "latin-1")
            files.setdefault(each.path, {})[phase] = str(file)
    return files


def _nginx_config(
    snippets: list[Snippet], files: Files, prelude: Path, prefix: str, port: int
) -> str:
    locations, upstreams = "", ""
    for number, each in enumerate(snippets):
        lines = [f'set ${name} "{value}";' for name, value in each.variables.items()]
        for phase, file in files[each.path].items():
            if phase == "balancer":
                lines.append(PROXY.format(number=number))
                upstreams += UPSTREAM.format(number=number, file=file)
            else:
                lines.append(f"{phase}_by_lua_file {file};")
        locations += f"location = {each.path} {{ {' '.join(lines)} }}\n"
    dicts = " ".join(f"lua_shared_dict {name} {size};" for name, size in DICTS.items())
    return NGINX.format(
        prefix=prefix,
        modules=MODULES,
        port=port,
        prelude=prelude,
        dicts=dicts,
        locations=locations,
        upstreams=upstreams,
    )


def _lua_table(pairs: Mapping[str, Any]) -> str:
    return ", ".join(f"[{json.dumps(key)}] = {json.dumps(value)}" for key, value in pairs.items())


def _app(snippets: list[Snippet], files: Files, prelude: Path) -> str:
    table = ", ".join(f"[{json.dumps(path)}] = {{ {_lua_table(files[path])} }}" for path in files)
    variables = {name: value for each in snippets for name, value in each.variables.items()}
    return APP.format(
        prelude=json.dumps(f"{prelude}/?.lua;") + " .. package.path",
        dicts=_lua_table(DICTS),
        files=f"{{ {table} }}",
        variables=_lua_table(variables),
        init_worker=json.dumps(f"{prelude}/init_worker.lua"),
    )


@dataclass
class Both:
    """The two servers, serving all snippets."""

    theirs: Nginx
    ours: AppServer


@contextlib.contextmanager
def running_both(snippets: list[Snippet], prelude: Path) -> Iterator[Both]:
    """Run both. prelude: directory of prelude.lua (what snippets may use) and dispatch.lua."""
    with tempfile.TemporaryDirectory(prefix="oracle", dir="/tmp") as directory:
        Path(directory).chmod(0o755)  # nginx's workers are another user's
        files = _write(snippets, Path(directory))

        def config(prefix: str, port: int) -> str:
            return _nginx_config(snippets, files, prelude, prefix, port)

        source = _app(snippets, files, prelude)
        with configured_nginx(config) as theirs, running_app(source, strict=True) as ours:
            yield Both(theirs, ours)
