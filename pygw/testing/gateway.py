"""Owns a whole gateway in the process of a test: its configuration, requests to it, what it logs.

Requests take the way of every request, through the parser, the phases and the proxy; only the
port is left out, unless one is asked for. Must never replace a part of the gateway by a mock.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import gevent
import gevent.select
import yaml
from gevent import socket

from pygw.config.embedded import EmbeddedStore
from pygw.gateway import Gateway as Worker
from pygw.hub.clock import Clock, VirtualClock
from pygw.testing.hooks import LuaHooks
from pygw.testing.inside import Inside
from pygw.testing.messages import Answer, Fields, answer, pairs, request
from pygw.testing.upstream import Upstream

PATIENCE = 10.0  # seconds of real time after which a test has waited in vain
_SERVER = ("127.0.0.1", 80)
_CLIENT_PORT = 50_000
_PREFIX = "/apisix"
_LOOK = 0.001  # seconds of real time between two looks at what is waited for
_LOOKS = 12  # times `autojump` while Python code waits: for what is real, a thread or a server
_JUMPS = 100_000  # of virtual time in a row, after which it counts as hanging


class GatewayError(Exception):
    """What a test asked of the gateway cannot be; the message has the end of its log."""


class Gateway:
    """A gateway that runs. `upstream`: the stub behind its routes; `clock`: its time.

    autojump: seconds of real time without any event after which virtual time moves on to the next
    deadline while a request waits; None: only `clock.advance` moves it.
    """

    def __init__(
        self,
        worker: Worker,
        store: EmbeddedStore,
        upstream: Upstream,
        clock: Clock,
        log_fd: int,
        port: int | None,
        autojump: float | None,
        hooks: LuaHooks,
    ) -> None:
        self.store, self.upstream, self.clock, self.port = store, upstream, clock, port
        self.autojump = autojump if isinstance(clock, VirtualClock) else None
        self.inside = Inside(worker.worker.runtime)
        self.asked: list[str] = []  # what was requested, and the status: "GET /x: 200"
        self._worker, self._log_fd, self._hooks = worker, log_fd, hooks
        self._numbers = itertools.count(1)

    # -- requests ---------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        target: str,
        *,
        headers: Fields | None = None,
        body: bytes | str | None = None,
        json: Any = None,
        host: str = "localhost",
        remote_addr: str = "127.0.0.1",
    ) -> Answer:
        """Send one request on a connection of its own and return the response.

        target: path and query as they are to be sent. json: the body, instead of `body`.
        remote_addr: the address that the client is said to have. Raises GatewayError when no
        whole response comes.
        """
        given = pairs(headers)
        names = {name.lower() for name, _ in given}
        fields = [] if "host" in names else [("Host", host)]
        fields += [] if "connection" in names else [("Connection", "close")]
        if json is not None:
            body = _json(json)
            fields += [] if "content-type" in names else [("Content-Type", "application/json")]
        data = body.encode() if isinstance(body, str) else body
        with contextlib.closing(self._connect(remote_addr)) as connection:
            self._hooks.refill()
            self.asked.append(f"{method} {target}: no answer")
            connection.sendall(request(method, target, fields + given, data))
            found = self._answer(connection, method)
        self.asked[-1] = f"{method} {target}: {found.status}"
        return found

    def get(self, target: str, **options: Any) -> Answer:
        """request("GET", …)"""
        return self.request("GET", target, **options)

    def post(self, target: str, **options: Any) -> Answer:
        """request("POST", …)"""
        return self.request("POST", target, **options)

    def connect(self, remote_addr: str = "127.0.0.1") -> Any:
        """A connection to the gateway, for a test that writes every byte itself.

        A gevent socket; closing it is the test's.
        """
        return self._connect(remote_addr)

    def _connect(self, remote_addr: str) -> Any:
        ours, theirs = socket.socketpair()
        fd = theirs.detach()
        os.set_blocking(fd, False)
        client = (remote_addr, _CLIENT_PORT)
        self._worker.worker.bridge.hand_over(1, fd, client, _SERVER)
        return ours

    def _answer(self, connection: Any, method: str) -> Answer:
        data, end = b"", time.monotonic() + PATIENCE
        while True:
            if self._comes(connection):
                chunk = connection.recv(1 << 16)
                if not chunk:
                    break
                data += chunk
            elif time.monotonic() > end or not self._jump(connection):
                raise self._error(f"no answer within {PATIENCE:g} s, but {data[:200]!r}")
        try:
            return answer(data, method)
        except ValueError as error:
            raise self._error(str(error)) from None

    def _comes(self, connection: Any) -> bool:
        """Whether something comes before all has been silent for so long that time may jump."""
        if self.autojump is None:
            return _is_readable(connection, PATIENCE)
        looks = 0
        while looks < (_LOOKS if self._worker.waits_in_python else 1):
            if _is_readable(connection, self.autojump):
                return True
            looks += 1
        return False

    def _jump(self, connection: Any) -> bool:
        """Let virtual time pass until something comes of it. Returns whether it can."""
        if self.autojump is None:
            return False
        assert isinstance(self.clock, VirtualClock)
        jumped = self.clock.jump()
        for _ in range(_JUMPS):
            if not jumped or self.inside.waits_for_io() or _is_readable(connection, 0.0):
                break
            jumped = self.clock.jump()
        return jumped

    # -- configuration ----------------------------------------------------------------------------

    def put(self, key: str, value: Any) -> None:
        """Write one item, such as "routes/1"; returns when it is served.

        Raises GatewayError with the gateway's message when it is refused.
        """
        revision = self.store.put(f"{_PREFIX}/{key}".encode(), _json(value).encode())
        before = len(self.log)
        self._until_dealt_with({key: revision})
        progress = self.inside.progress(key)
        if progress and progress[1] != revision:
            raise GatewayError(self._refusal(key, before))

    def delete(self, key: str) -> None:
        """Remove one item; returns when it is served no more."""
        revision, found = self.store.delete(f"{_PREFIX}/{key}".encode())
        if found:
            self._until_dealt_with({key: revision})

    def load(self, configuration: str | Mapping[str, Any]) -> None:
        """Write the items of a configuration as apisix.yaml has it, YAML or a mapping of lists.

        Upstreams, consumers and other items that routes name come first. As put().
        """
        given = (
            configuration if isinstance(configuration, Mapping) else yaml.safe_load(configuration)
        )
        kinds = sorted(given, key=lambda kind: (kind == "routes", kind == "global_rules"))
        for kind in kinds:
            for number, item in enumerate(given[kind] or [], 1):
                name = item.get("id") or item.get("username") or number
                self.put(f"{kind}/{name}", item)

    def route(self, plugins: Mapping[str, Any] | None = None, **fields: Any) -> str:
        """Make a route to the upstream with these plugins; returns its path.

        It matches that path and all that is below. fields: of the route, in place of these.
        Raises GatewayError when a plugin is not loaded, or refuses its configuration.
        """
        for name in plugins or {}:
            if not self.inside.has_plugin(name):
                raise self._error(f"the plugin {name} is not loaded")
        path = f"/test/{next(self._numbers)}"
        route = {
            "uris": [path, f"{path}/*"],
            "plugins": dict(plugins or {}),
            "upstream": {"type": "roundrobin", "nodes": {self.upstream.node: 1}},
            **fields,
        }
        if "uri" in fields:
            del route["uris"]
        self.put(f"routes/{path[6:]}", route)
        return str(fields.get("uri", path))

    def settle(self) -> None:
        """Return when the gateway has applied, or refused, all that is in its store."""
        _, items = self.store.readdir(f"{_PREFIX}/".encode())
        start = len(_PREFIX) + 1
        self._until_dealt_with({item.key.decode()[start:]: item.mod_rev for item in items})

    def _until_dealt_with(self, revisions: Mapping[str, int]) -> None:
        waiting = dict(revisions)

        def done() -> bool:
            for key, at in list(waiting.items()):
                progress = self.inside.progress(key)
                if progress is None or progress[0] >= at:
                    del waiting[key]
            return not waiting

        self.until(done)

    def _refusal(self, key: str, since: int) -> str:
        mark = re.escape(f"[{_PREFIX}/{key}]")
        found = re.findall(rf"^.*{mark}.*$", self.log[since:], re.M)
        return found[-1] if found else f"{key} was not taken"

    # -- what it says and does --------------------------------------------------------------------

    @contextlib.contextmanager
    def no_leaks(self, *, shared_entries: int = 0, memory: float = 512.0) -> Iterator[None]:
        """Assert that the block leaves no timer, socket or coroutine behind.

        It may leave so many more entries of shared dictionaries, and KiB of Lua's memory.
        """
        self.settle()
        before = self.inside.open()
        yield
        self.settle()
        after = self.inside.open()
        allowed = {"timers": 0, "sockets": 0, "coroutines": 0, "memory": memory}
        allowed["shared_entries"] = shared_entries
        grown = {
            name: f"{getattr(before, name):g} before, {getattr(after, name):g} now"
            for name, more in allowed.items()
            if getattr(after, name) > getattr(before, name) + more
        }
        assert not grown, f"left behind: {grown}"

    @property
    def log(self) -> str:
        """The error log so far."""
        size = os.fstat(self._log_fd).st_size
        return os.pread(self._log_fd, size, 0).decode("utf-8", "replace")

    def until(self, true: Callable[[], bool]) -> None:
        """Let the gateway run until `true()`. Raises GatewayError when that takes too long."""
        with gevent.Timeout(PATIENCE, self._error(f"not true within {PATIENCE:g} s")):
            while not true():
                gevent.sleep(_LOOK)

    def _error(self, message: str) -> GatewayError:
        log = self.log[-4000:]
        return GatewayError(f"{message}\nthe gateway's log:\n{log}" if log else message)


def _is_readable(connection: Any, seconds: float) -> bool:
    return bool(gevent.select.select([connection], [], [], seconds)[0])


def _json(value: Any) -> str:
    return json.dumps(value)
