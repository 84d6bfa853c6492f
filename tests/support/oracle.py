"""Snippets of Lua that nginx + ngx_lua and pygw both run, and what either makes of one.

Snippets are data (YAML); both servers load the same files, so that chunk names and lines agree.
Must never know what is right: nginx does.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from support.app_server import AppServer, Log, running_app
from support.http import Client, Truncated
from support.nginx import MODULES, Nginx, configured_nginx

from pygw.config.yamlfile import read_file

PHASES = ("rewrite", "access", "content", "header_filter", "body_filter", "log")
KEYS = {*PHASES, "each", "variables", "request", "wait", "differs"}
REQUEST_KEYS = {"method", "query", "headers", "body", "version", "raw"}
HANGS = 1.0  # seconds without an answer: there comes none
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
    server {{
        listen 127.0.0.1:{port};
        server_tokens off;
        location /fence {{ content_by_lua_block {{ fence() }} }}
        {locations}
    }}
}}
"""

APP = """
package.path = {prelude}
local log = require "server.log"
log.level = 7
for name, size in pairs({{ {dicts} }}) do require("ngx.shdict").declare(name, size) end
require "prelude"
return require("dispatch")({files}, {{ {variables} }})
"""


class Server(Protocol):
    """What both servers offer."""

    log: Log
    port: int

    def connect(self) -> Client: ...


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
    locations = ""
    for each in snippets:
        lines = [f'set ${name} "{value}";' for name, value in each.variables.items()]
        lines += [f"{phase}_by_lua_file {file};" for phase, file in files[each.path].items()]
        locations += f"location = {each.path} {{ {' '.join(lines)} }}\n"
    dicts = " ".join(f"lua_shared_dict {name} {size};" for name, size in DICTS.items())
    return NGINX.format(
        prefix=prefix, modules=MODULES, port=port, prelude=prelude, dicts=dicts, locations=locations
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


# ngx_lua's Lua half, lua-resty-core, has a place of its own in some messages, or none. Where a wrong
# value makes it fail by accident (the FFI cannot convert it, it is nil where a table was expected),
# it is enough that the same fails here.
_THEIRS = r"/usr/share/lua/5\.1/(?:resty/core|ngx)/\w+\.lua:\d+: "
_CORE = re.compile(_THEIRS)
_PLACE = re.compile(r"[^\s\"]+:\d+: ")
_ACCIDENT = re.compile(rf'(.*raises "){_THEIRS}(?:attempt|bad arg|cannot conv)')


def reconciled(theirs: Answer, ours: Answer) -> Answer:
    """Our answer, with their line wherever ours says the same but for such places and words."""
    result = dict(ours)
    for part in ours.keys() & theirs.keys():
        pairs = itertools.zip_longest(theirs[part].split("\n"), ours[part].split("\n"))
        lines = [their if _alike(their or "", our or "") else our for their, our in pairs]
        result[part] = "\n".join(line for line in lines if line is not None)
    return result


def _alike(theirs: str, ours: str) -> bool:
    if theirs == ours or len(theirs) + len(ours) > 5000:
        return False
    accident = _ACCIDENT.match(theirs)
    if accident:
        return ours.startswith(accident[1])
    bare = _CORE.sub("", theirs)
    return _PLACE.sub("", bare) == _PLACE.sub("", ours) and set(_PLACE.findall(bare)) <= set(
        _PLACE.findall(ours)
    )


Answer = dict[str, str]  # "status", "headers", "body", "log" -> text


def ask(server: Server, snippet: Snippet) -> Answer:
    """Run a snippet on a server. What the log has of it stands between two fences."""
    before = _fence(server, f"before {snippet.path}")
    with server.connect() as client:
        client.socket.settimeout(HANGS)
        client.send(snippet.bytes())
        answer = _answer(client, str(snippet.request.get("method", "GET")))
        if snippet.wait:
            server.log.wait_for(snippet.wait)
    after = _fence(server, f"after {snippet.path}")
    entries = "\n".join(_entries(after[len(before) :]))
    answer["log"] = entries.replace(f"127.0.0.1:{server.port}", "127.0.0.1:PORT")
    return {part: _steady(text) for part, text in answer.items()}


def _steady(text: str) -> str:
    for pattern, replacement in _VARYING:
        text = pattern.sub(replacement, text)
    return text


def _fence(server: Server, name: str) -> str:
    with server.connect() as client:
        client.ask(f"/fence?{name.replace(' ', '-')}")
    return server.log.wait_for(f"fence {name.replace(' ', '-')},")


def _answer(client: Client, method: str) -> Answer:
    try:
        response = client.response(method)
    except (Truncated, ConnectionError):
        return {"status": "broken off"}
    except TimeoutError:
        return {"status": "hangs"}
    fields = [f"{k}: {v}" for k, v in response.headers if k.lower() not in ("server", "date")]
    headers, body = "\n".join(fields), response.text
    if "<hr><center>pygw</center>" in body:  # the server's name stands on its pages
        body = body.replace("<center>pygw<", "<center>nginx<")
        size = f"Content-Length: {len(response.body)}"
        headers = headers.replace(size, f"Content-Length: {len(body)}")
    return {"status": f"{response.status} {response.reason}", "headers": headers, "body": body}


_ENTRY = re.compile(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d (\[\w*\]) \d+#\d+: (\*\d+ )?(.*)$")
_NOISE = re.compile(
    r"fence |client .* closed keepalive connection|closed connection while waiting"
    r"|called without delayed events patch"  # of sleep(0), on a stock nginx
)
# Addresses; and what the first frame of a traceback says of the handler, which Lua calls here.
_VARYING = (
    (re.compile(r"0x[0-9a-f]{6,}"), "0x…"),
    (re.compile(r"u:[^,]*, c:[^, ]*"), "u:…, c:…"),
    (re.compile(r"\.lua: in (main chunk|function ('run'|<.*?>))"), ".lua: in the handler"),
)
_CONTEXT = re.compile(r"( while \w+ request)?, (client: |context: ).*")


def _entries(text: str) -> list[str]:
    """The log's entries without time, pid and connection; of a traceback only its first frame."""
    entries: list[list[str]] = []
    for line in text.splitlines():
        found = _ENTRY.match(line)
        if found:
            entries.append([f"{found[1]} {'*N ' if found[2] else ''}{found[3]}"])
        elif entries:
            entries[-1].append(line)
    return [line for entry in entries if not _NOISE.search(entry[0]) for line in _shorten(entry)]


def _shorten(entry: list[str]) -> list[str]:
    if "stack traceback:" not in entry:
        return entry
    frame = next(at for at, line in enumerate(entry) if line.startswith("\t"))
    context = _CONTEXT.search(entry[-1])
    first = _CONTEXT.sub("", entry[frame])
    return [*entry[:frame], first, context[0] if context else "(no context)"]
