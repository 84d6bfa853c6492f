"""Python plugins in `pygw run`: real processes, monkey-patched libraries, the worker's end."""

from __future__ import annotations

import json
import re
import socket
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from integration.python_plugins.processes import GOOD, PATIENCE, get


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


def test_the_control_api_has_the_paths_of_plugins(run_with: Any) -> None:
    source = """
    from pygw.plugin import Route
    class Served(Plugin):
        name, priority, schema = "t-served", 10, {"type": "object"}
        def control_api(self):
            return [Route(["GET"], "/v1/plugin/t-served", self.show)]
        def show(self, ctx):
            return Response(200, {"path": ctx.request.path, "agent": ctx.request.headers["x-a"]})
    """
    control = {"enable_control": True, "control": {"ip": "127.0.0.1", "port": 0}}
    _, _, port = run_with({"p.py": source}, {}, {"apisix": control})
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/plugin/t-served", headers={"X-A": "b"}
    )
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        assert json.loads(answer.read()) == {"path": "/v1/plugin/t-served", "agent": "b"}
