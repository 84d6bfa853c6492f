"""Servers that loggers send to: what came in, and answers that tests decide."""

from __future__ import annotations

import contextlib
import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from gevent import pywsgi, server


@dataclass
class Delivery:
    """One request to an HTTP collector; headers by name, lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class HttpCollector:
    """Takes POSTs; `statuses` are its next answers, then it says 200."""

    port: int = 0
    deliveries: list[Delivery] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        headers = {
            name[5:].replace("_", "-").lower(): value
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        headers["content-type"] = environ.get("CONTENT_TYPE", "")
        query = environ["QUERY_STRING"]
        target = environ["PATH_INFO"] + (f"?{query}" if query else "")
        body = environ["wsgi.input"].read()
        self.deliveries.append(Delivery(environ["REQUEST_METHOD"], target, headers, body))
        status = self.statuses.pop(0) if self.statuses else 200
        start_response(f"{status} Reason", [("Connection", "close")])
        return [b"the body"]


@contextlib.contextmanager
def http_collector(**tls: Any) -> Iterator[HttpCollector]:
    """A running collector; tls: ssl_context."""
    collector = HttpCollector()
    running = pywsgi.WSGIServer(("127.0.0.1", 0), collector, log=None, error_log=None, **tls)
    running.start()
    collector.port = running.server_port
    try:
        yield collector
    finally:
        running.stop(timeout=0)


@dataclass
class TcpCollector:
    """Takes connections and keeps what each sent until its end."""

    port: int = 0
    received: list[bytes] = field(default_factory=list)

    def serve(self, connection: Any, _address: Any) -> None:
        with contextlib.closing(connection):
            data = b""
            with contextlib.suppress(ssl.SSLError, ConnectionError):
                while piece := connection.recv(65536):
                    data += piece
            self.received.append(data)


@contextlib.contextmanager
def tcp_collector(**tls: Any) -> Iterator[TcpCollector]:
    """A running collector; tls: ssl_context."""
    collector = TcpCollector()
    running = server.StreamServer(("127.0.0.1", 0), collector.serve, **tls)
    running.start()
    collector.port = running.server_port
    try:
        yield collector
    finally:
        running.stop(timeout=0)
