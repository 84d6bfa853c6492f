"""A gateway in this process on the embedded store, an upstream that tells what it got, a client."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket as plain_socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gevent
import pytest
import yaml
from gevent import pywsgi, socket
from gevent.pool import Pool

from pygw.config.choose import open_store
from pygw.config.settings import load
from pygw.config.store import Store
from pygw.gateway import Gateway as Worker

PATIENCE = 20.0  # seconds before a test gives up on an event
PLUGINS = Path(__file__).with_name("plugins")


class Connection(http.client.HTTPConnection):
    """A connection that waits by gevent, as the gateway is in this process."""

    def connect(self) -> None:
        self.sock = socket.create_connection((self.host, self.port), timeout=PATIENCE)


@dataclass
class Answer:
    """A response; `json` is its body, read."""

    status: int
    headers: http.client.HTTPMessage
    body: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def seen(self) -> dict[str, str]:
        """The headers that the upstream got, by lower-case name."""
        return dict(self.json["headers"])


class Upstream:
    """Answers with what it was asked, as JSON; /status/NNN answers NNN, /hang never.

    tls: keyfile, certfile and what else gevent's servers take for TLS.
    """

    def __init__(self, **tls: Any) -> None:
        self.server = pywsgi.WSGIServer(
            ("127.0.0.1", 0), self._answer, log=None, error_log=None, spawn=Pool(), **tls
        )
        self.server.start()
        self.node = f"127.0.0.1:{self.server.server_port}"
        self.asked = 0

    def _answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        self.asked += 1
        path = environ["PATH_INFO"]
        if path == "/hang":
            gevent.sleep(PATIENCE)
        status = path.removeprefix("/status/") if path.startswith("/status/") else "200"
        headers = {
            k[5:].lower().replace("_", "-"): v for k, v in environ.items() if k[:5] == "HTTP_"
        }
        told = {
            "node": self.node,
            "method": environ["REQUEST_METHOD"],
            "path": path,
            "query": environ["QUERY_STRING"],
            "headers": headers,
            "body": environ["wsgi.input"].read().decode(),
        }
        body = json.dumps(told).encode()
        start(f"{status} Status", [("Content-Type", "application/json")])
        return [body]


@dataclass
class Gateway:
    """A gateway that serves, its store and its error log."""

    port: int
    store: Store
    worker: Worker
    log_path: Path

    def ask(
        self, path: str = "/", method: str = "GET", host: str = "test.com", body: str | None = None,
        **headers: str,
    ) -> Answer:  # fmt: skip
        """Send one request. Headers are given with "_" for "-"."""
        connection = Connection("127.0.0.1", self.port)
        with contextlib.closing(connection):
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body=body, headers={"Host": host, **named})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read().decode("latin-1"))

    def put(self, key: str, value: Any) -> None:
        """Write one resource, such as "routes/1"."""
        self.store.put(f"/apisix/{key}".encode(), json.dumps(value).encode())

    def delete(self, key: str) -> None:
        self.store.delete(f"/apisix/{key}".encode())

    def until(self, true: Callable[[], bool]) -> None:
        """Wait until `true`, whose asking lets the gateway run."""
        with gevent.Timeout(PATIENCE):
            while not true():
                gevent.sleep(0)

    def log(self) -> str:
        return self.log_path.read_text("latin-1")


@pytest.fixture(scope="module")
def upstreams() -> Iterator[list[Upstream]]:
    """Two upstreams."""
    started = [Upstream(), Upstream()]
    yield started
    for upstream in started:
        upstream.server.stop(timeout=0)


@pytest.fixture(scope="module")
def upstream(upstreams: list[Upstream]) -> Upstream:
    return upstreams[0]


@pytest.fixture
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Gateway]]:
    """Start a gateway with resources ("routes/1" -> value) in its store; config: of config.yaml."""
    yield from _starter(tmp_path_factory)


@pytest.fixture(scope="module")
def module_start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Gateway]]:
    """The same, for as long as the module's tests run."""
    yield from _starter(tmp_path_factory)


def _starter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Gateway]]:
    with contextlib.ExitStack() as stack:

        def run(resources: dict[str, Any], config: dict[str, Any] | None = None) -> Gateway:
            base = tmp_path_factory.mktemp("gateway")
            (base / "conf").mkdir()
            names = sorted(path.stem for path in PLUGINS.glob("*.lua"))
            merged = {"plugins": names, "pygw": {"plugin_dirs": [str(PLUGINS)]}, **(config or {})}
            merged["apisix"] = {
                "extra_lua_path": f"{PLUGINS}/lib/?.lua",
                **merged.get("apisix", {}),
            }
            (base / "conf" / "config.yaml").write_text(yaml.safe_dump(merged))
            settings = load(base / "conf" / "config.yaml")
            store = open_store(settings)
            assert store
            stack.callback(store.close)
            log_path = base / "error.log"
            log_fd = os.open(log_path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            stack.callback(os.close, log_fd)
            listener = plain_socket.create_server(("127.0.0.1", 0))
            listener.setblocking(False)
            stack.callback(listener.close)
            worker = Worker(settings, 0, [listener.fileno()], error_fd=log_fd)
            gateway = Gateway(listener.getsockname()[1], store, worker, log_path)
            for key, value in resources.items():
                gateway.put(key, value)
            worker.start()
            stack.callback(worker.run)
            stack.callback(worker.stop, False)
            return gateway

        yield run
