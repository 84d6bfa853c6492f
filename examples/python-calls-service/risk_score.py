"""A plugin that asks another service about each request, and goes on without it when it is late."""

from __future__ import annotations

import json
import logging
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

from pygw.plugin import Context, Plugin, Response

log = logging.getLogger("risk-score")

HEADER = "X-Risk-Score"


class RiskScore(Plugin):
    """Tells the upstream how risky a request is, and refuses those that are too risky.

    The score is a help and no guard: without an answer in time the request goes on without one.
    """

    name = "risk-score"
    priority = 2400
    schema = {
        "type": "object",
        "properties": {
            "url": {"type": "string", "pattern": "^http://"},
            "refuse_from": {"type": "integer", "minimum": 1, "default": 80},
        },
        "required": ["url"],
    }
    timeout = 0.5
    on_timeout = "pass"

    def init(self) -> None:
        """There is a service for each URL that a route names."""
        self._services: dict[str, Service] = {}

    def destroy(self) -> None:
        """Close the connections that were kept."""
        for service in self._services.values():
            service.close()

    def access(self, conf: dict[str, Any], ctx: Context) -> Response | None:
        """Only this request waits for the service."""
        headers = ctx.request.headers
        headers.pop(HEADER, None)  # what the client says of itself
        question = {"client": ctx.request.remote_addr, "path": ctx.request.path}
        try:
            score = int(self._service(conf["url"]).ask(question)["score"])
        except (OSError, HTTPException, ValueError, LookupError) as error:
            log.warning("no score from %s: %r", conf["url"], error)
            return None
        if score >= conf["refuse_from"]:
            return Response(403, {"message": "too risky", "score": score})
        headers[HEADER] = str(score)
        return None

    def _service(self, url: str) -> Service:
        return self._services.get(url) or self._services.setdefault(url, Service(url))


class Service:
    """A service that answers JSON with JSON. Connections are kept, as many as were needed at once.

    gevent makes the sockets of http.client wait for their own request alone.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._address, self._path = (parts.hostname or "", parts.port or 80), parts.path or "/"
        self._idle: list[HTTPConnection] = []

    def ask(self, question: Any) -> Any:
        """The answer. Raises OSError, HTTPException or ValueError."""
        while self._idle:
            try:
                return self._exchange(self._idle.pop(), question)
            except ConnectionError:
                pass  # it was closed while nobody used it
        return self._exchange(HTTPConnection(*self._address), question)

    def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            self._idle.pop().close()

    def _exchange(self, connection: HTTPConnection, question: Any) -> Any:
        try:
            fields = {"Content-Type": "application/json"}
            connection.request("POST", self._path, json.dumps(question), fields)
            response = connection.getresponse()
            text = response.read()
        except BaseException:  # the deadline is one: the next question must not get this answer
            connection.close()
            raise
        self._idle.append(connection)
        if response.status != 200:
            raise HTTPException(f"status {response.status}")
        return json.loads(text)
