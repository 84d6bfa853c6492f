"""A gateway in this process with Python plugins given as text, an upstream, and a client."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket as plain_socket
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import gevent
import pytest
import yaml
from gevent import pywsgi, socket
from integration.python_plugins.processes import HEAD, run, run_with

from pygw.config.choose import open_store
from pygw.config.settings import load
from pygw.config.store import Store
from pygw.gateway import Gateway as Worker

PATIENCE = 20.0  # seconds before a test gives up on an event
LUA_PLUGINS = Path(__file__).with_name("lua")

__all__ = ["run", "run_with"]


class Connection(http.client.HTTPConnection):
    """A connection that waits by gevent, as the gateway is in this process."""

    def connect(self) -> None:
        self.sock = socket.create_connection((self.host, self.port), timeout=PATIENCE)


@dataclass
class Answer:
    """A response; `json` is its body, read; `seen` the headers that the upstream got."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def seen(self) -> dict[str, str]:
        return dict(self.json["headers"])


class Upstream:
    """Answers with what it was asked, as JSON; /status/NNN answers NNN."""

    def __init__(self) -> None:
        self.server = pywsgi.WSGIServer(("127.0.0.1", 0), self._answer, log=None)
        self.server.start()
        self.node = f"127.0.0.1:{self.server.server_port}"
        self.asked = 0

    def _answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        self.asked += 1
        path = environ["PATH_INFO"]
        status = path.removeprefix("/status/") if path.startswith("/status/") else "200"
        seen = {k[5:].lower().replace("_", "-"): v for k, v in environ.items() if k[:5] == "HTTP_"}
        told = {
            "method": environ["REQUEST_METHOD"],
            "path": path,
            "query": environ["QUERY_STRING"],
            "headers": seen,
            "length": environ.get("CONTENT_LENGTH"),
            "body": environ["wsgi.input"].read().decode("latin-1"),
        }
        body = json.dumps(told).encode()
        headers = [("Content-Type", "application/json"), ("X-From", "upstream")]
        start(f"{status} Status", [*headers, ("Connection", "close")])
        return [body]


@dataclass
class Gateway:
    """A gateway that serves. module: the Python plugins' module; node: of its upstream."""

    worker: Worker
    listen_fd: int
    port: int
    store: Store | None
    log_path: Path
    node: str
    base: Path
    stopped: bool = False

    def stop(self, graceful: bool = False) -> None:
        """End it, and wait for that."""
        if not self.stopped:
            self.stopped = True
            self.worker.stop(graceful)
            self.worker.run()
            if not graceful:  # it closes what it has drained
                os.close(self.listen_fd)

    @property
    def module(self) -> ModuleType:
        [(_, module)] = self.worker.hooks.list_name_plugin()
        return module

    def connect(self) -> Connection:
        """A connection to it; closing is the caller's."""
        return Connection("127.0.0.1", self.port)

    def ask(
        self,
        path: str = "/",
        method: str = "GET",
        headers: dict[str, str] | None = None,
        body: Any = None,
    ) -> Answer:
        """Send one request on a connection of its own. An iterable body goes out in chunks."""
        with contextlib.closing(self.connect()) as connection:
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())

    def until(self, true: Callable[[], bool]) -> None:
        """Wait until `true`, whose asking lets the gateway run."""
        with gevent.Timeout(PATIENCE):
            while not true():
                gevent.sleep(0)

    def log(self) -> str:
        return self.log_path.read_text()


def settings_in(base: Path, source: str, config: dict[str, Any] | None = None) -> Any:
    """Settings of a config.yaml in `base`, beside a file plugins.py with that text."""
    (base / "plugins.py").write_text(HEAD + textwrap.dedent(source))
    names = sorted(path.stem for path in LUA_PLUGINS.glob("*.lua"))
    merged = {
        "plugins": ["key-auth", *names],
        "pygw": {"plugin_dirs": [str(LUA_PLUGINS)], "python_plugins": ["plugins.py"]},
        **(config or {}),
    }
    (base / "config.yaml").write_text(yaml.safe_dump(merged))
    return load(base / "config.yaml")


@pytest.fixture
def settings(tmp_path: Path) -> Callable[[str], Any]:
    """Settings of a config.yaml with the text of Python plugins."""
    return lambda source: settings_in(tmp_path, source)


@pytest.fixture
def unused_port() -> Iterator[int]:
    """A port at which nobody listens, for as long as the test runs."""
    with plain_socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    started = Upstream()
    yield started
    started.server.stop(timeout=0)


@pytest.fixture
def start(tmp_path: Path, upstream: Upstream) -> Iterator[Callable[..., Gateway]]:
    """Start a gateway: start(text of Python plugins, routes={name: plugins}, config, **resources).

    With routes, what is at /NAME is served by the upstream through those plugins.
    """
    with contextlib.ExitStack() as stack:

        def run(
            source: str,
            routes: dict[str, dict[str, Any]] | None = None,
            config: dict[str, Any] | None = None,
            resources: dict[str, Any] | None = None,
        ) -> Gateway:
            settings = settings_in(tmp_path, source, config)
            store = open_store(settings)
            if store:
                stack.callback(store.close)
                node = {"upstream": {"type": "roundrobin", "nodes": {upstream.node: 1}}}
                stored = {
                    f"routes/{name}": {"uris": [f"/{name}", f"/{name}/*"], "plugins": given, **node}
                    for name, given in (routes or {}).items()
                }
                for key, value in {**stored, **(resources or {})}.items():
                    store.put(f"/apisix/{key}".encode(), json.dumps(value).encode())
            log_path = tmp_path / "error.log"
            log_fd = os.open(log_path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            stack.callback(os.close, log_fd)
            listener = plain_socket.create_server(("127.0.0.1", 0))
            listener.setblocking(False)
            port = listener.getsockname()[1]
            stack.enter_context(listener)
            worker = Worker(settings, 0, [listener.fileno()], error_fd=log_fd)
            worker.start()
            fd = listener.detach()
            gateway = Gateway(worker, fd, port, store, log_path, upstream.node, tmp_path)
            stack.callback(gateway.stop)
            return gateway

        yield run


@pytest.fixture
def put() -> Callable[[Gateway, str, dict[str, Any]], None]:
    """Replace the plugins of a route made by `start`."""

    def replace(gateway: Gateway, name: str, plugins: dict[str, Any]) -> None:
        node = {"upstream": {"type": "roundrobin", "nodes": {gateway.node: 1}}}
        route = {"uris": [f"/{name}", f"/{name}/*"], "plugins": plugins, **node}
        assert gateway.store
        gateway.store.put(f"/apisix/routes/{name}".encode(), json.dumps(route).encode())

    return replace


ECHO = """
    import sys
    class Echo(Plugin):
        name, priority = "t-echo", 10
        schema = {"type": "object"}
        def access(self, conf, ctx):
            return Response(200, [namespace["show"](ctx)])
    class Change(Plugin):
        name, priority = "t-change", 20
        schema = {"type": "object"}
        def access(self, conf, ctx):
            namespace["change"](ctx)
    namespace = {}
"""


@pytest.fixture
def gateway(start: Any) -> Any:
    """A route /a that shows `module.namespace["show"](ctx)`, and /b that changes and proxies."""
    rewrite = {"proxy-rewrite": {"uri": "/rewritten"}}
    return start(
        ECHO,
        {"a": {"t-echo": {}}, "b": {"t-change": {}}, "c": {"t-change": {}, **rewrite}},
        config={"plugins": ["proxy-rewrite"]},
    )


@pytest.fixture
def show(gateway: Any) -> Any:
    """Ask for /a with the given options and return what `look(ctx)` gave."""

    def run(look: Any, path: str = "/a", **options: Any) -> Any:
        gateway.module.namespace["show"] = look
        answer = gateway.ask(path, **options)
        assert answer.status == 200, gateway.log()
        return answer.json[0]

    return run


@pytest.fixture
def changed(gateway: Any) -> Any:
    """Ask for /b with the given options after `change(ctx)` and return what the upstream got."""

    def run(change: Any, path: str = "/b", **options: Any) -> Any:
        gateway.module.namespace["change"] = change
        answer = gateway.ask(path, **options)
        assert answer.status == 200, gateway.log()
        return answer.json

    return run
