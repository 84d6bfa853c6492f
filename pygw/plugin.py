"""Owns what a Python plugin is written with: `Plugin`, `Response`, and the request it sees.

A plugin is a class with `name`, `version`, `priority`, `schema` and methods named after phases. It
is configured in the same `plugins: {…}` tables as Lua plugins and sorted among them. Its phases run
in a greenlet of their own: one that blocks in gevent suspends its own request and nothing else.

    from pygw.plugin import Plugin, Response

    class TeamHeader(Plugin):
        name = "team-header"
        priority = 100
        schema = {"type": "object", "properties": {"team": {"type": "string"}}}

        def access(self, conf, ctx):
            if ctx.request.headers.get("x-blocked"):
                return Response(403, {"message": "blocked"})
            ctx.request.headers["x-team"] = conf.get("team", "none")
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

# The phases in which a plugin may answer the request itself, and all of them.
ANSWERING = ("rewrite", "access", "before_proxy")
PHASES = (*ANSWERING, "header_filter", "body_filter", "log")

# What a context asks of Lua: (operation, arguments…) -> value; see lua/server/python_asks.lua.
Ask = Callable[..., Any]


class RequestError(Exception):
    """What a phase asked of its request cannot be: the request is over, or the value is refused."""


@dataclass(eq=False)
class Response(Exception):
    """An answer that ends the request; returned or raised by rewrite, access or before_proxy.

    status: 200 to 599. body: str, bytes, None, or anything JSON can say (sent as JSON, as APISIX
    does). headers: name -> value, or a list of values.
    """

    status: int
    body: Any = None
    headers: dict[str, str | Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.status, int) or not 200 <= self.status <= 599:
            raise ValueError(f"the status of a Response is 200 to 599, not {self.status!r}")


class Plugin:
    """Base of Python plugins. Methods that are not named after a phase are left alone.

    `rewrite`, `access` and `before_proxy` take (conf, ctx) and return None or a Response;
    `header_filter` and `log` take (conf, ctx); `body_filter` takes (conf, ctx, chunk: bytes,
    last: bool) and returns the bytes to send instead, or None to leave them; a response that
    passes through one has no Content-Length. conf is the plugin's configuration on the route as a
    dict, defaults filled in; requests share it, so it must not be changed.

    What a phase raises ends the request as an error of a Lua plugin does: with 500 as long as
    nothing has been sent, else by cutting the response short; in `log` it is only logged.
    """

    name: ClassVar[str]
    version: ClassVar[float | str] = 0.1
    priority: ClassVar[float]
    schema: ClassVar[dict[str, Any]]

    def init(self) -> None:
        """Called once per worker before it serves; may block. If it raises, the start fails."""

    def destroy(self) -> None:
        """Called once when the worker has stopped serving; may block."""

    @classmethod
    def phases(cls) -> list[str]:
        """The phases that this class takes part in."""
        return [phase for phase in PHASES if hasattr(cls, phase)]


class Headers(MutableMapping[str, str]):
    """Header fields by name, whatever the case; each access asks Lua once, nothing is copied.

    A field that stands there several times reads as one, its values joined by ", ". Iteration
    gives lower-case names. Bytes that are no UTF-8 come as surrogate escapes, and go so.
    """

    __slots__ = ("_ask", "_kind")

    def __init__(self, ask: Ask, kind: str) -> None:
        self._ask, self._kind = ask, kind

    def __getitem__(self, name: str) -> str:
        value = self._ask(f"get_{self._kind}_header", name)
        if value is None:
            raise KeyError(name)
        return str(value)

    def __setitem__(self, name: str, value: str | Sequence[str]) -> None:
        self._ask(f"set_{self._kind}_header", name, value)

    def __delitem__(self, name: str) -> None:
        if not self._ask(f"del_{self._kind}_header", name):
            raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(_lines(self._ask(f"names_of_{self._kind}_headers")))

    def __len__(self) -> int:
        return len(_lines(self._ask(f"names_of_{self._kind}_headers")))

    def get_all(self, name: str) -> list[str]:
        """Every value of a field, in order; [] without one."""
        return _lines(self._ask(f"all_{self._kind}_header", name))

    def add(self, name: str, value: str) -> None:
        """Put one more field beside those of the same name."""
        self._ask(f"add_{self._kind}_header", name, value)


def _lines(text: str | None) -> list[str]:
    """Names and values of fields hold no line break, so that is how a list of them crosses."""
    return [] if text is None else text.split("\n")


class Request:
    """The client's request; what is not asked for costs nothing. Changes reach the upstream."""

    __slots__ = ("_ask", "_read_body", "headers")

    def __init__(self, ask: Ask, read_body: Callable[[], bytes | None]) -> None:
        self._ask, self._read_body = ask, read_body
        self.headers = Headers(ask, "request")

    @property
    def method(self) -> str:
        """`GET`, `POST`, …"""
        return str(self._ask("get_method"))

    @property
    def path(self) -> str:
        """The decoded, normalised path. Setting it changes the path that the upstream gets."""
        return str(self._ask("get_path"))

    @path.setter
    def path(self, value: str) -> None:
        self._ask("set_path", value)

    @property
    def query(self) -> str:
        """The raw query string, "" without one."""
        return str(self._ask("get_query"))

    @query.setter
    def query(self, value: str) -> None:
        self._ask("set_query", value)

    @property
    def remote_addr(self) -> str:
        """The client's address."""
        return str(self._ask("get_var", "remote_addr"))

    @property
    def body(self) -> bytes | None:
        """The whole body, None without one. rewrite, access and before_proxy wait for it.

        Later phases see what an earlier one has read, and None when nobody did.
        """
        return self._read_body()

    @body.setter
    def body(self, value: bytes | str) -> None:
        self._read_body()  # what it replaces has to come off the connection first
        self._ask("set_body", value)


class ResponseView:
    """The response on its way to the client; headers set before there is one are added to it."""

    __slots__ = ("_ask", "headers")

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self.headers = Headers(ask, "response")

    @property
    def status(self) -> int:
        """The status code, 0 as long as there is none. header_filter may set it."""
        return int(self._ask("get_status"))

    @status.setter
    def status(self, value: int) -> None:
        self._ask("set_status", value)


class Variables:
    """`ctx.var[...]`: nginx's and APISIX's variables by name; None when there is no value."""

    __slots__ = ("_ask",)

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def __getitem__(self, name: str) -> str | None:
        value = self._ask("get_var", name)
        return None if value is None else str(value)

    def __setitem__(self, name: str, value: str) -> None:
        self._ask("set_var", name, value)


class Context:
    """One request as a plugin sees it, the same object in all phases.

    `state` is the plugin's own dict for this request. Raises RequestError when it is used after
    the request is over.
    """

    __slots__ = ("_ask", "_read_body", "_request", "_response", "_state", "_var")

    def __init__(self, ask: Ask, read_body: Callable[[], bytes | None]) -> None:
        self._ask, self._read_body = ask, read_body
        self._request: Request | None = None  # these are made when first asked for: most are not
        self._response: ResponseView | None = None
        self._var: Variables | None = None
        self._state: dict[str, Any] | None = None

    @property
    def request(self) -> Request:
        """The client's request."""
        if self._request is None:
            self._request = Request(self._ask, self._read_body)
        return self._request

    @property
    def response(self) -> ResponseView:
        """The response to the client."""
        if self._response is None:
            self._response = ResponseView(self._ask)
        return self._response

    @property
    def var(self) -> Variables:
        """Variables by name."""
        if self._var is None:
            self._var = Variables(self._ask)
        return self._var

    @property
    def state(self) -> dict[str, Any]:
        """What the plugin keeps for this request."""
        if self._state is None:
            self._state = {}
        return self._state
