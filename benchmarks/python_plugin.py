"""Measures what a phase of a Python plugin costs the worker, in CPU microseconds.

Run `python benchmarks/python_plugin.py [REQUESTS]`. A gateway with one worker answers requests
by itself; the CPU time of a route with Python phases, minus that of the same route
without, divided by the number of phases, is the cost of one.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

ROUNDS, CONNECTIONS = 8, 32

CONFIG = """
apisix: {node_listen: [{ip: 127.0.0.1, port: 0}]}
deployment:
  role: data_plane
  role_data_plane: {config_provider: yaml}
nginx_config: {worker_processes: 1, http: {keepalive_requests: 100000000}}
plugins: [bench-answer, lua]
pygw: {plugin_dirs: [.], python_plugins: [plugins.py]}
"""

ANSWER = """
return {
    version = 0.1, priority = 1, name = "bench-answer", schema = { type = "object" },
    access = function() return 200, "ok" end,
}
"""

LUA = """
return {
    version = 0.1, priority = 10, name = "lua", schema = { type = "object" },
    rewrite = function() end, access = function() end, header_filter = function() end,
    log = function() end,
}
"""

PLUGINS = """
import gevent
from pygw.plugin import Plugin

class _Base(Plugin):
    priority, schema = 10, {"type": "object"}

class One(_Base):
    name = "one"
    def access(self, conf, ctx): pass

class Four(_Base):
    name = "four"
    def rewrite(self, conf, ctx): pass
    def access(self, conf, ctx): pass
    def header_filter(self, conf, ctx): pass
    def log(self, conf, ctx): pass

class Reading(_Base):
    name = "reading"
    def access(self, conf, ctx):
        ctx.request.headers.get("x-team")

class Writing(_Base):
    name = "writing"
    def access(self, conf, ctx):
        ctx.request.headers["x-team"] = ctx.var["remote_addr"]

class Waiting(_Base):
    name = "waiting"
    def access(self, conf, ctx): gevent.sleep(0)
"""

# route, and its plugin -> (what it shows, phases)
CASES = {
    "lua": ("four phases of a Lua plugin that do nothing, each", 4),
    "one": ("a Python phase that does nothing", 1),
    "four": ("four of them on a request, each", 4),
    "reading": ("a phase that reads a request header", 1),
    "writing": ("a phase that reads a variable and sets a header", 1),
    "waiting": ("a phase that waits for gevent's loop once", 1),
}


def routes() -> str:
    """apisix.yaml: /none without a plugin, and one route per case."""
    lines = ["routes:"]
    for name in ["none", *CASES]:
        plugin = "" if name == "none" else f"{name}: {{}}, "
        lines.append(f"  - {{id: {name}, uri: /{name}, plugins: {{{plugin}bench-answer: {{}}}}}}")
    return "\n".join([*lines, "#END", ""])


def cpu_seconds(pid: int) -> float:
    """CPU time of a process's main thread, to the nanosecond."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def measure(port: int, pid: int, path: str, count: int) -> float:
    """CPU microseconds of the worker per request of that path."""
    request = f"GET /{path} HTTP/1.1\r\nHost: b\r\nX-Team: blue\r\n\r\n".encode()
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
    before, turns = cpu_seconds(pid), count // CONNECTIONS
    for _ in range(turns):
        for connection in connections:
            connection.sendall(request)
        for connection in connections:
            assert connection.recv(65536).endswith(b"0\r\n\r\n")
    spent = cpu_seconds(pid) - before
    for connection in connections:
        connection.close()
    return spent / (turns * CONNECTIONS) * 1e6


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    with tempfile.TemporaryDirectory() as directory:
        base = Path(directory)
        (base / "config.yaml").write_text(CONFIG)
        (base / "apisix.yaml").write_text(routes())
        (base / "bench-answer.lua").write_text(ANSWER)
        (base / "lua.lua").write_text(LUA)
        (base / "plugins.py").write_text(PLUGINS)
        command = [sys.executable, "-m", "pygw", "run", "-c", "config.yaml"]
        path = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
        with subprocess.Popen(command, cwd=base, env=path, stdout=subprocess.PIPE) as gateway:
            try:
                assert gateway.stdout
                started = re.search(rb":(\d+),", gateway.stdout.readline())
                assert started, "the gateway did not start"
                children = Path(f"/proc/{gateway.pid}/task/{gateway.pid}/children").read_text()
                report(int(started[1]), int(children.split()[0]), count)
            finally:
                gateway.terminate()


def report(port: int, pid: int, count: int) -> None:
    """Measure all cases in turn, several times, and print a table of the least of each."""
    names = ["none", *CASES]
    for name in names:
        measure(port, pid, name, count)  # let the JIT find its traces
    rounds = [[measure(port, pid, name, count) for name in names] for _ in range(ROUNDS)]
    bare, *costs = (min(each) for each in zip(*rounds, strict=True))
    print(f"a request without them: {bare:.1f} µs\n")
    print("| µs | |\n|---|---|")
    for (what, phases), cost in zip(CASES.values(), costs, strict=True):
        print(f"| {(cost - bare) / phases:.1f} | {what} |")


if __name__ == "__main__":
    main()
