"""A real nginx with ngx_lua as an oracle: it runs the same Lua expressions as we do."""

import http.client
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

MODULES = Path("/usr/lib/nginx/modules")

# Renders the results of an expression the same way in both; error positions are not compared.
RENDER = r"""
local function render(value)
    local kind = type(value)
    if kind == "string" then
        local function escape(c) return ("\\%03d"):format(c:byte()) end
        return '"' .. value:gsub('[^%w%p ]', escape) .. '"'
    elseif kind == "number" then
        return ("%.14g"):format(value)
    elseif kind ~= "table" then
        return tostring(value)
    end
    local parts = {}
    for k, v in pairs(value) do
        parts[#parts + 1] = render(k) .. "=" .. render(v)
    end
    table.sort(parts)
    return "{" .. table.concat(parts, " ") .. "}"
end
local function report(ok, ...)
    if not ok then
        return "error " .. tostring((...)):gsub("^[^ ]*:%d+: ", "")
    end
    local parts = {}
    for i = 1, select("#", ...) do
        parts[i] = render((select(i, ...)))
    end
    return table.concat(parts, ", ")
end
local function keep(...)
    return ...
end
local function answers(source)
    local cases = assert(loadstring(source, "=cases"))(keep)
    local lines = {}
    for i, case in ipairs(cases) do
        lines[i] = report(pcall(case))
    end
    return table.concat(lines, "\n")
end
"""

CONFIG = """
daemon off;
worker_processes 1;
pid {prefix}/nginx.pid;
error_log {prefix}/error.log;
load_module {modules}/ndk_http_module.so;
load_module {modules}/ngx_http_lua_module.so;
events {{}}
http {{
    access_log off;
    client_body_temp_path {prefix}/body;
    server {{
        listen 127.0.0.1:{port};
        client_max_body_size 64m;
        client_body_buffer_size 64m;
        location / {{
            content_by_lua_block {{
                {render}
                ngx.req.read_body()
                ngx.print(answers(ngx.req.get_body_data()))
            }}
        }}
    }}
}}
"""


def source_of(expressions: Sequence[str]) -> bytes:
    """A Lua chunk that returns one function for each expression.

    A call in tail position has no name in Lua's error messages; `keep` gives it one.
    """
    cases = "".join(f"function() return keep({expression}) end,\n" for expression in expressions)
    return f"local keep = ...\nreturn {{\n{cases}}}".encode("latin-1")


@dataclass
class Oracle:
    """Asks nginx what Lua expressions give."""

    port: int

    def answers(self, expressions: Sequence[str]) -> list[str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("POST", "/", body=source_of(expressions))
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        assert response.status == 200, body
        return body.decode("latin-1").split("\n")


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    nginx = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if not nginx:
        pytest.skip("no nginx to compare with: install Debian's package nginx")
    if not (MODULES / "ngx_http_lua_module.so").exists():
        pytest.skip("nginx has no ngx_lua: install Debian's package libnginx-mod-http-lua")
    prefix = tmp_path_factory.mktemp("nginx")
    # nginx takes over a socket that listens already, so there is no start to wait for.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        config = prefix / "nginx.conf"
        config.write_text(CONFIG.format(prefix=prefix, modules=MODULES, port=port, render=RENDER))
        process = subprocess.Popen(
            [nginx, "-p", str(prefix), "-e", str(prefix / "error.log"), "-c", str(config)],
            pass_fds=[listener.fileno()],
            env={**os.environ, "NGINX": f"{listener.fileno()};", "TZ": "UTC"},
        )
    title = Path(f"/proc/{process.pid}/cmdline")
    while process.poll() is None and not title.read_bytes().startswith(b"nginx:"):
        os.sched_yield()  # it has its name when it is up: who watches processes is to know that one
    try:
        yield Oracle(port)
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture
def ours(lua: Any) -> Callable[[Sequence[str]], list[str]]:
    """Asks pygw what Lua expressions give, in the oracle's words."""

    def answers(expressions: Sequence[str]) -> list[str]:
        text: str = lua.execute(f"{RENDER}\nreturn answers(...)", source_of(expressions))
        return text.split("\n")

    return answers


@pytest.fixture
def agree(
    oracle: Oracle, ours: Callable[[Sequence[str]], list[str]]
) -> Callable[[Sequence[str]], None]:
    """Assert that every expression gives the same here and in nginx."""

    def check(expressions: Sequence[str]) -> None:
        answers = zip(expressions, ours(expressions), oracle.answers(expressions), strict=True)
        differences = [
            f"{expression}\n    nginx: {their}\n    pygw:  {our}"
            for expression, our, their in answers
            if our != their
        ]
        assert not differences, "\n".join(differences)

    return check
