"""Python plugins in `pygw run`: real processes, monkey-patched libraries, starts that fail."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import textwrap
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 30.0
ROOT = Path(__file__).resolve().parents[3]
HEAD = "from pygw.plugin import Plugin, Response\nfrom pygw.hookspecs import hookimpl\n"
GOOD = """
class Good(Plugin):
    name, priority, schema = "t-good", 10, {"type": "object"}
    def access(self, conf, ctx):
        return Response(200, "good")
"""


def pygw(base: Path, *command: str, path: Path = ROOT) -> subprocess.Popen[str]:
    """Start `pygw COMMAND` in a directory; path: where else to import from."""
    return subprocess.Popen(
        [sys.executable, "-m", "pygw", *command],
        cwd=base,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{path}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def configure(
    base: Path,
    files: dict[str, str],
    routes: dict[str, Any] | None = None,
    more: dict[str, Any] | None = None,
) -> None:
    """Write config.yaml with all of `files` as Python plugins and `more`, and apisix.yaml."""
    for name, text in files.items():
        (base / name).parent.mkdir(exist_ok=True)
        (base / name).write_text(HEAD + textwrap.dedent(text))
    config = {
        "apisix": {"node_listen": [{"ip": "127.0.0.1", "port": 0}]},
        "nginx_config": {"worker_processes": 1},
        "deployment": {"role": "data_plane", "role_data_plane": {"config_provider": "yaml"}},
        "plugins": [],
        "pygw": {"python_plugins": list(files)},
        **(more or {}),
    }
    config["apisix"].setdefault("node_listen", [{"ip": "127.0.0.1", "port": 0}])
    (base / "config.yaml").write_text(json.dumps(config))
    listed = [{"uri": f"/{name}", "plugins": given} for name, given in (routes or {}).items()]
    (base / "apisix.yaml").write_text(json.dumps({"routes": listed}) + "\n#END\n")


class Slow:
    """A server that answers when it is let, in threads of its own."""

    def __init__(self) -> None:
        self.asked, self.gate = threading.Semaphore(0), threading.Event()
        slow = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                slow.asked.release()
                slow.gate.wait(PATIENCE)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(self.path.encode())

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        self.port = self.server.server_port

    def close(self) -> None:
        self.gate.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def slow() -> Iterator[Slow]:
    server = Slow()
    yield server
    server.close()


@pytest.fixture
def run_with(tmp_path: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], int]]]:
    """Run a gateway: run_with(files, routes, config, path=); gives its process and port."""
    running: list[subprocess.Popen[str]] = []

    def start(*given: Any, path: Path = ROOT) -> tuple[subprocess.Popen[str], int]:
        configure(tmp_path, *given)
        running.append(pygw(tmp_path, "run", path=path))
        assert running[-1].stdout
        started = re.search(r"127\.0\.0\.1:(\d+)", running[-1].stdout.readline())
        assert started, running[-1].communicate()
        return running[-1], int(started[1])

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def run(run_with: Any) -> Callable[..., tuple[subprocess.Popen[str], int]]:
    """Run a gateway with one plugin file and routes; gives its process and port."""
    return lambda source, routes: run_with({"plugins.py": source}, routes)


def get(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE) as answer:
        return str(answer.read().decode())


FETCH = """
import http.client
import urllib.request

class Urllib(Plugin):
    name, priority, schema = "t-urllib", 10, {"type": "object"}
    def access(self, conf, ctx):
        url = f"http://127.0.0.1:{conf['port']}/urllib"
        with urllib.request.urlopen(url) as answer:
            return Response(200, answer.read())

class Client(Plugin):
    name, priority, schema = "t-client", 10, {"type": "object"}
    def access(self, conf, ctx):
        connection = http.client.HTTPConnection("127.0.0.1", conf["port"])
        connection.request("GET", "/client")
        return Response(200, connection.getresponse().read())
"""


@pytest.mark.parametrize("library", ["urllib", "client"])
def test_an_http_call_delays_its_own_request_alone(run: Any, slow: Slow, library: str) -> None:
    routes = {"slow": {f"t-{library}": {"port": slow.port}}, "fast": {"t-good": {}}}
    _, port = run(FETCH + GOOD, routes)
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as waiting:
        waiting.sendall(b"GET /slow HTTP/1.0\r\n\r\n")
        assert slow.asked.acquire(timeout=PATIENCE), "the plugin asked the slow server"
        for _ in range(20):
            assert get(port, "/fast") == "good"
        waiting.setblocking(False)
        with pytest.raises(BlockingIOError):
            waiting.recv(1)  # no answer yet: the slow server has not been let
        waiting.settimeout(PATIENCE)
        slow.gate.set()
        answer = b""
        while piece := waiting.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(f"/{library}".encode())


def test_what_a_plugin_logs_stands_in_the_error_log(run: Any) -> None:
    source = """
    import logging
    class Log(Plugin):
        name, priority, schema = "t-log", 10, {"type": "object"}
        def access(self, conf, ctx):
            logging.getLogger("my").warning("seen %s", ctx.request.path)
            return Response(200, "logged")
    """
    gateway, port = run(source, {"a": {"t-log": {}}})
    assert get(port, "/a") == "logged"
    gateway.terminate()
    _, log = gateway.communicate(timeout=PATIENCE)
    told = r"\[warn\] \d+#0: my: seen /a, plugin: t-log, phase: access, client: 127.0.0.1, .*"
    assert re.search(told + r'request: "GET /a HTTP/1.1"', log), log


def test_a_phase_that_waits_ends_with_its_worker(run: Any) -> None:
    source = """
    import logging, threading
    class Wait(Plugin):
        name, priority, schema = "t-wait", 10, {"type": "object"}
        def access(self, conf, ctx):
            logging.warning("waiting")
            try:
                threading.Event().wait()
            except BaseException as error:
                logging.warning("ended by %r", error)
                raise
    """
    gateway, port = run(source, {"a": {"t-wait": {}}})
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
        client.sendall(b"GET /a HTTP/1.0\r\n\r\n")
        assert any("waiting" in line for line in gateway.stderr)
        gateway.terminate()
        _, log = gateway.communicate(timeout=PATIENCE)
    assert gateway.returncode == 0
    assert "ended by GreenletExit()" in log
    assert "failed in phase" not in log


CLASS = 'class Bad(Plugin):\n    name, priority, schema = "t-bad", 1, {}\n'
PHASE = "    def access(self, conf, ctx): pass\n"
FAULTS: dict[str, tuple[dict[str, str], str]] = {
    "async phase": (
        {"p.py": CLASS + "    async def access(self, conf, ctx): pass\n"},
        r"plugin Bad \(.*/p.py\): `access` is `async def`, and no asyncio loop runs here",
    ),
    "no name": (
        {"p.py": "class Bad(Plugin):\n    priority, schema = 1, {}\n" + PHASE},
        r"plugin Bad \(.*/p.py\): `name` must be letters, .* not None",
    ),
    "two of one name": (
        {"p.py": CLASS + PHASE, "q.py": CLASS + PHASE},
        r'two Python plugins have the name "t-bad": Bad \(.*/p.py\) and Bad \(.*/q.py\)',
    ),
    "schema": (
        {"p.py": CLASS.replace("{}", '{"type": "oject"}') + PHASE},
        r"Python plugin \[t-bad\] cannot be used, .* get 503: its schema is invalid: ",
    ),
    "syntax": (
        {"p.py": "def x(:\n"},
        r"pygw.python_plugins: cannot import p.py: SyntaxError: invalid syntax .*p.py, line 3",
    ),
    "import": (
        {"p.py": "import nothing_of_this_name\n"},
        r"cannot import p.py: ModuleNotFoundError: No module named 'nothing_of_this_name' "
        r"\(.*/p.py:3\)",
    ),
    "unknown hook": (
        {"p.py": "@hookimpl\ndef pygw_worker_begin(worker_id): pass\n"},
        r"p.py: there is no hook `pygw_worker_begin`; the hooks are pygw_",
    ),
    "nothing": ({"p.py": "x = 1\n"}, r"pygw.python_plugins: p.py has neither a plugin nor a hook"),
    "start hook": (
        {"p.py": "@hookimpl\ndef pygw_worker_start(worker_id): 1 / 0\n"},
        r"a pygw_worker_start hook failed: ZeroDivisionError: division by zero \(.*/p.py:4\)",
    ),
    "init": (
        {"p.py": CLASS + PHASE + "    def init(self): 1 / 0\n"},
        r"plugin Bad \(.*/p.py\): init failed: ZeroDivisionError",
    ),
}
STOPPING = ("unknown hook", "nothing", "start hook")
NAMED = ("async phase", "schema", "init")  # who relies on these is not let through
SEEN_BY_TEST = [name for name in FAULTS if name not in ("schema", "start hook", "init")]


def check_refusal(process: subprocess.Popen[str], message: str) -> None:
    """It says that one thing on one line, nothing serves, and the exit code is 1."""
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, err
    assert out == ""
    said = [line for line in err.splitlines() if line.startswith("pygw: ")]
    assert len(said) == 1, err
    assert re.search(message, said[0]), err


@pytest.mark.parametrize("fault", STOPPING)
def test_a_fault_stops_the_start_with_one_clear_message(tmp_path: Path, fault: str) -> None:
    files, message = FAULTS[fault]
    configure(tmp_path, files)
    check_refusal(pygw(tmp_path, "run"), message)


@pytest.mark.parametrize("fault", SEEN_BY_TEST)
def test_pygw_test_finds_it_without_a_start(tmp_path: Path, fault: str) -> None:
    files, message = FAULTS[fault]
    configure(tmp_path, files)
    check_refusal(pygw(tmp_path, "test"), message)


@pytest.mark.parametrize("fault", [name for name in FAULTS if name not in STOPPING])
def test_a_plugin_with_a_fault_is_told_and_the_others_go_on(run_with: Any, fault: str) -> None:
    files, message = FAULTS[fault]
    routes: dict[str, Any] = {"a": {"t-good": {}}}
    if fault in NAMED:
        routes["b"] = {"t-bad": {}}
    gateway, port = run_with({**files, "good.py": GOOD}, routes)
    assert get(port, "/a") == "good"
    if fault in NAMED:
        with pytest.raises(urllib.error.HTTPError, match="503"):
            get(port, "/b")
    gateway.terminate()
    _, log = gateway.communicate(timeout=PATIENCE)
    assert re.search(message, log), log


def test_a_python_plugin_with_the_name_of_a_lua_plugin_is_left_out(run_with: Any) -> None:
    clash = GOOD.replace("t-good", "key-auth").replace("Good", "Clash")
    gateway, port = run_with(
        {"p.py": GOOD + clash},
        {"a": {"t-good": {}}, "b": {"key-auth": {}}},
        {"plugins": ["key-auth"]},
    )
    assert get(port, "/a") == "good"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        get(port, "/b")
    gateway.terminate()
    _, log = gateway.communicate(timeout=PATIENCE)
    assert re.search(
        r'\[error\] .*plugin Clash \(.*/p.py\): "key-auth" is the Lua plugin .*/key-auth.lua, which'
        r" runs: take that out of `plugins:` in config.yaml, or rename yours",
        log,
    ), log


ENTRY = {
    "a module": "ext",
    "a class": "ext:Good",
}


@pytest.mark.parametrize("value", ENTRY.values(), ids=ENTRY)
def test_a_plugin_is_found_by_its_entry_point(tmp_path: Path, run_with: Any, value: str) -> None:
    site = tmp_path / "site"
    info = site / "ext-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "ext.py").write_text(HEAD + GOOD)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ext\nVersion: 1.0\n")
    bad = "bad = nothing_of_this_name" if value == "ext" else ""
    (info / "entry_points.txt").write_text(f"[pygw]\ngood = {value}\n{bad}\n")
    gateway, port = run_with({}, {"a": {"t-good": {}}}, path=site)
    assert get(port, "/a") == "good"
    gateway.terminate()
    _, log = gateway.communicate(timeout=PATIENCE)
    told = "the entry point bad = nothing_of_this_name cannot be imported: ModuleNotFoundError"
    assert (told in log) == bool(bad)


@pytest.mark.parametrize("name", ["good.py", "good:Good"])
def test_a_plugin_is_found_by_its_path_in_plugins(tmp_path: Path, run_with: Any, name: str) -> None:
    (tmp_path / "good.py").write_text(HEAD + GOOD)
    _, port = run_with({}, {"a": {"t-good": {}}}, {"plugins": [name, "key-auth"]}, path=tmp_path)
    assert get(port, "/a") == "good"


def test_the_control_api_has_the_paths_of_plugins(run_with: Any, free_port: int) -> None:
    source = """
    from pygw.plugin import Route
    class Served(Plugin):
        name, priority, schema = "t-served", 10, {"type": "object"}
        def control_api(self):
            return [Route(["GET"], "/v1/plugin/t-served", self.show)]
        def show(self, ctx):
            return Response(200, {"path": ctx.request.path, "agent": ctx.request.headers["x-a"]})
    """
    control = {"enable_control": True, "control": {"ip": "127.0.0.1", "port": free_port}}
    run_with({"p.py": source}, {}, {"apisix": control})
    request = urllib.request.Request(
        f"http://127.0.0.1:{free_port}/v1/plugin/t-served", headers={"X-A": "b"}
    )
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        assert json.loads(answer.read()) == {"path": "/v1/plugin/t-served", "agent": "b"}


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return int(held.getsockname()[1])


@pytest.mark.parametrize("name", ["gone.py", "dir/gone.py", "gone.module"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    configure(tmp_path, {"here.py": GOOD})
    config = json.loads((tmp_path / "config.yaml").read_text())
    config["pygw"]["python_plugins"] = ["here.py", name]
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    check_refusal(pygw(tmp_path, "test"), f"cannot import {name}: .*gone")


def test_a_reload_with_a_fault_keeps_the_old_plugins(run: Any, tmp_path: Path) -> None:
    gateway, port = run(GOOD, {"a": {"t-good": {}}})
    (tmp_path / "plugins.py").write_text("def x(:\n")
    reload = pygw(tmp_path, "reload")
    reload.communicate(timeout=PATIENCE)
    assert reload.returncode == 0
    kept = next(line for line in gateway.stderr if "the old configuration stays" in line)
    assert "cannot import plugins.py: SyntaxError" in kept
    assert get(port, "/a") == "good"
