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

from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

PHASES = ("rewrite", "access", "before_proxy", "header_filter", "body_filter", "log")

# What a context asks of Lua: (operation, arguments…) -> value; see lua/server/python_plugins.lua.
Ask = Callable[..., Any]


@dataclass
class Response(Exception):
    """An answer that ends the request; returned or raised by rewrite, access or before_proxy.

    body: str, bytes, or anything JSON can say (sent as JSON, as APISIX does).
    """

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


class Plugin:
    """Base of Python plugins. Unknown public method names are no phases and are left alone.

    `rewrite`, `access` and `before_proxy` take (conf, ctx) and return None or a Response;
    `header_filter` and `log` take (conf, ctx); `body_filter` takes (conf, ctx, chunk: bytes,
    last: bool) and returns the bytes to send instead, or None to leave them. conf is the plugin's
    configuration on the route as a dict, which must not be changed.
    """

    name: ClassVar[str]
    version: ClassVar[float | str] = 0.1
    priority: ClassVar[int]
    schema: ClassVar[dict[str, Any]]

    def init(self) -> None:
        """Called once in every worker, before the first request."""

    def destroy(self) -> None:
        """Called once when the worker stops."""

    @classmethod
    def phases(cls) -> list[str]:
        """The phases that this class takes part in."""
        return [phase for phase in PHASES if callable(getattr(cls, phase, None))]


class PluginError(Exception):
    """A class that cannot be a plugin; the message says which and why."""


def check_plugin(cls: type[Plugin]) -> None:
    """Raise PluginError unless `cls` has what a plugin needs."""
    where = f"{cls.__module__}.{cls.__qualname__}"
    for attribute, kinds in (("name", str), ("priority", (int, float)), ("schema", dict)):
        value = getattr(cls, attribute, None)
        if not isinstance(value, kinds):
            wanted = (
                "a string" if kinds is str else "a JSON Schema" if kinds is dict else "a number"
            )
            raise PluginError(f"{where}: `{attribute}` must be {wanted}, not {value!r}")
    for phase in cls.phases():
        function = getattr(cls, phase)
        if getattr(getattr(function, "__code__", None), "co_flags", 0) & 0x80:  # CO_COROUTINE
            raise PluginError(
                f"{where}: `{phase}` is `async def`, and no asyncio loop runs here: write `def` and"
                " call what blocks; gevent suspends this request alone"
            )


class Headers(MutableMapping[str, str]):
    """Header fields by name, whatever the case; each access asks Lua once, nothing is copied."""

    def __init__(self, ask: Ask, kind: str) -> None:
        self._ask, self._kind = ask, kind

    def __getitem__(self, name: str) -> str:
        value = self._ask(f"get_{self._kind}", name)
        if value is None:
            raise KeyError(name)
        return str(value)

    def __setitem__(self, name: str, value: str | None) -> None:
        self._ask(f"set_{self._kind}", name, value)

    def __delitem__(self, name: str) -> None:
        self._ask(f"set_{self._kind}", name, None)

    def __iter__(self) -> Iterator[str]:
        return iter([str(name) for name in self._ask(f"{self._kind}_names").values()])

    def __len__(self) -> int:
        return len(self._ask(f"{self._kind}_names"))


class Request:
    """The client's request; what is not asked for costs nothing. Changes reach the upstream."""

    def __init__(self, ask: Ask, read_body: Callable[[], bytes | None]) -> None:
        self._ask, self._read_body = ask, read_body
        self.headers = Headers(ask, "request_header")

    @property
    def method(self) -> str:
        """`GET`, `POST`, …"""
        return str(self._ask("var", "request_method"))

    @property
    def path(self) -> str:
        """The decoded, normalised path."""
        return str(self._ask("var", "uri"))

    @path.setter
    def path(self, value: str) -> None:
        self._ask("set_path", value)

    @property
    def query(self) -> str:
        """The raw query string, "" without one."""
        return str(self._ask("var", "args") or "")

    @query.setter
    def query(self, value: str) -> None:
        self._ask("set_query", value)

    @property
    def remote_addr(self) -> str:
        """The client's address."""
        return str(self._ask("var", "remote_addr"))

    @property
    def body(self) -> bytes | None:
        """The whole body, read on first use (which waits for it); None without one."""
        return self._read_body()

    @body.setter
    def body(self, value: bytes) -> None:
        self._ask("set_body", value)


class ResponseView:
    """The response on its way to the client, in header_filter and later."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self.headers = Headers(ask, "response_header")

    @property
    def status(self) -> int:
        """The status code."""
        return int(self._ask("get_status"))

    @status.setter
    def status(self, value: int) -> None:
        self._ask("set_status", value)


class Variables:
    """`ctx.var[...]`: nginx's and APISIX's variables by name; None when there is no value."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def __getitem__(self, name: str) -> str | None:
        value = self._ask("var", name)
        return None if value is None else str(value)

    def __setitem__(self, name: str, value: str) -> None:
        self._ask("set_var", name, value)


class Context:
    """One request as a plugin sees it; `state` is the plugin's own dict, kept between phases."""

    def __init__(
        self, ask: Ask, read_body: Callable[[], bytes | None], state: dict[str, Any]
    ) -> None:
        self.request = Request(ask, read_body)
        self.response = ResponseView(ask)
        self.var = Variables(ask)
        self.state = state
