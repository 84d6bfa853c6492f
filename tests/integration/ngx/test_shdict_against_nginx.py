"""Runs the same scenarios on our shared dictionaries and on a real ngx_lua; compares the records.

Must never decide itself what is right: ngx_lua does.
"""

import ctypes
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pygw.vm.runtime import create_runtime

SCENARIOS = Path(__file__).with_name("shdict_scenarios.lua")
MODULES = Path("/usr/share/nginx/modules"), Path("/usr/lib/nginx/modules")

# Runs one scenario in either VM; the record has a line per `show`.
RUN = """
local function text(value)
    if type(value) == "string" then
        return #value > 60 and ("string of %d"):format(#value) or ("%q"):format(value)
    end
    return type(value) == "number" and ("%.17g"):format(value) or tostring(value)
end

return function(scenario, dict, wait)
    local lines = {}
    scenario.run(dict, function(...)
        local shown = {}
        for i = 1, select("#", ...) do
            shown[i] = text((select(i, ...)))
        end
        lines[#lines + 1] = table.concat(shown, ", ")
    end, wait)
    return table.concat(lines, "\\n")
end
"""


def scenario_sizes() -> dict[str, int]:
    lua = create_runtime()
    scenarios = lua.execute(SCENARIOS.read_text())
    return {scenario.name: int(scenario.size) for scenario in scenarios.values()}


SIZES = scenario_sizes()


def nginx_module(name: str) -> Path | None:
    return next((path for base in MODULES if (path := base / name).exists()), None)


def nginx_config(directory: Path, address: str) -> str:
    zones = "\n".join(f"lua_shared_dict z{i} {s};" for i, s in enumerate(SIZES.values(), 1))
    modules = "\n".join(
        f"load_module {path};"
        for path in (nginx_module("ndk_http_module.so"), nginx_module("ngx_http_lua_module.so"))
    )
    return f"""
    daemon off; worker_processes 1; pid {directory}/pid; error_log {directory}/error.log info;
    {modules}
    events {{ }}
    http {{
        access_log off;
        client_body_temp_path {directory}; proxy_temp_path {directory};
        fastcgi_temp_path {directory}; uwsgi_temp_path {directory}; scgi_temp_path {directory};
        {zones}
        init_by_lua_file {directory}/init.lua;
        server {{
            listen {address};
            location / {{
                content_by_lua_block {{ ngx.print(record(tonumber(ngx.var.arg_n))) }}
            }}
        }}
    }}
    """


INIT = """
local scenarios = dofile(%r)
local run = (function() %s end)()

function record(number)
    return run(scenarios[number], ngx.shared["z" .. number], ngx.sleep)
end
"""


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running nginx with one dictionary per scenario; gives its address."""
    binary = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if not binary or not nginx_module("ngx_http_lua_module.so"):
        pytest.skip("needs nginx with ngx_lua (Debian: nginx, libnginx-mod-http-lua)")
    directory = tmp_path_factory.mktemp("nginx")
    with socket.create_server(("127.0.0.1", 0)) as listener:  # nginx inherits it: no port to race
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        (directory / "init.lua").write_text(INIT % (str(SCENARIOS), RUN))
        (directory / "nginx.conf").write_text(nginx_config(directory, address))
        server = subprocess.Popen(
            [binary, "-p", str(directory), "-e", str(directory / "error.log"), "-c", "nginx.conf"],
            env={**os.environ, "NGINX": f"{listener.fileno()};"},
            pass_fds=[listener.fileno()],
        )
    title = Path(f"/proc/{server.pid}/cmdline")
    while server.poll() is None and not title.read_bytes().startswith(b"nginx:"):
        os.sched_yield()  # who watches processes is to know it by the name that it keeps
    yield address
    server.terminate()
    assert server.wait(timeout=10) == 0, (directory / "error.log").read_text()


def record_of_nginx(address: str, number: int) -> str:
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=30) as client:
        client.sendall(f"GET /?n={number} HTTP/1.0\r\n\r\n".encode())
        with client.makefile("rb") as answer:
            head, _, body = answer.read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    return body.decode("latin-1")


def record_of_pygw(number: int, size: int) -> str:
    lua = create_runtime()
    lua.execute('require "ngx.api"')
    cell = (ctypes.c_double * 2)(1.7e9, 5000.0)
    lua.execute('require("server.clock").attach(..., nil)', ctypes.addressof(cell))

    def wait(seconds: float) -> None:
        cell[0] += seconds
        cell[1] += seconds

    scenario: Any = lua.execute(SCENARIOS.read_text())[number]
    dictionary = lua.execute('return require("ngx.shdict").declare("z", ...)', size)
    return str(lua.execute(RUN)(scenario, dictionary, wait))


@pytest.mark.parametrize(("number", "name"), list(enumerate(SIZES, 1)), ids=list(SIZES))
def test_a_dictionary_answers_as_ngx_lua_does(nginx: str, number: int, name: str) -> None:
    expected = record_of_nginx(nginx, number)
    assert expected, "a scenario that shows nothing compares nothing"
    assert record_of_pygw(number, SIZES[name]).splitlines() == expected.splitlines()
