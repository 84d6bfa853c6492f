"""Owns a request as a Python plugin sees it: `Context` and what hangs from it.

Everything is asked of Lua when it is looked at, nothing is copied beforehand. Must never know how a
question reaches Lua: whoever makes a Context gives it its functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

# What a context asks of Lua: (operation, arguments…) -> value; see lua/server/python_asks.lua.
Ask = Callable[..., Any]


class RequestError(Exception):
    """What a phase asked of its request cannot be: the request is over, or the value is refused."""


class Source(Protocol):
    """Where a context has its answers from. `consult` and `read_body` may wait, others never do.

    get_header, set_header: of the request; what is asked most has a shorter way.
    """

    def ask(self, operation: str, *arguments: Any) -> Any: ...
    def get_header(self, name: str) -> str | None: ...
    def set_header(self, name: str, value: str | Sequence[str]) -> None: ...
    def consult(self, operation: str, *arguments: Any) -> Any: ...
    def read_body(self) -> bytes | None: ...


@dataclass(frozen=True)
class Consumer:
    """A consumer as `ctx.find_consumer` finds it; give it to `ctx.attach_consumer`.

    conf: its configuration (or its credential's) of the plugin, a dict. credential_id: None when
    the configuration is the consumer's own.
    """

    name: str
    username: str | None = None
    credential_id: str | None = None
    group_id: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    conf: dict[str, Any] = field(default_factory=dict)
    handle: int = field(default=0, repr=False)


class Headers(MutableMapping[str, str]):
    """Header fields by name, whatever the case; each access asks Lua once, nothing is copied.

    A field that stands there several times reads as one, its values joined by ", ". Iteration
    gives lower-case names. Bytes that are no UTF-8 come as surrogate escapes, and go so.
    """

    __slots__ = ("_source",)
    _kind = "response"

    def __init__(self, source: Source) -> None:
        self._source = source

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return str(value)

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a field, `default` without it."""
        value = self._source.ask(f"get_{self._kind}_header", name)
        return default if value is None else value

    def __setitem__(self, name: str, value: str | Sequence[str]) -> None:
        self._source.ask(f"set_{self._kind}_header", name, value)

    def __delitem__(self, name: str) -> None:
        if not self._source.ask(f"del_{self._kind}_header", name):
            raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(_lines(self._source.ask(f"names_of_{self._kind}_headers")))

    def __len__(self) -> int:
        return len(_lines(self._source.ask(f"names_of_{self._kind}_headers")))

    def get_all(self, name: str) -> list[str]:
        """Every value of a field, in order; [] without one."""
        return _lines(self._source.ask(f"all_{self._kind}_header", name))

    def add(self, name: str, value: str) -> None:
        """Put one more field beside those of the same name."""
        self._source.ask(f"add_{self._kind}_header", name, value)


def _lines(text: str | None) -> list[str]:
    """Names and values of fields hold no line break, so that is how a list of them crosses."""
    return [] if text is None else text.split("\n")


class RequestHeaders(Headers):
    """Those of the request."""

    __slots__ = ()
    _kind = "request"

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a field, `default` without it."""
        value = self._source.get_header(name)
        return default if value is None else value

    def __setitem__(self, name: str, value: str | Sequence[str]) -> None:
        self._source.set_header(name, value)


class Request:
    """The client's request; what is not asked for costs nothing. Changes reach the upstream."""

    __slots__ = ("_source", "headers")

    def __init__(self, source: Source) -> None:
        self._source = source
        self.headers = RequestHeaders(source)

    @property
    def method(self) -> str:
        """`GET`, `POST`, …"""
        return str(self._source.ask("get_method"))

    @property
    def path(self) -> str:
        """The decoded, normalised path. Setting it changes the path that the upstream gets."""
        return str(self._source.ask("get_path"))

    @path.setter
    def path(self, value: str) -> None:
        self._source.ask("set_path", value)

    @property
    def query(self) -> str:
        """The raw query string, "" without one."""
        return str(self._source.ask("get_query"))

    @query.setter
    def query(self, value: str) -> None:
        self._source.ask("set_query", value)

    @property
    def remote_addr(self) -> str:
        """The client's address."""
        return str(self._source.ask("get_var", "remote_addr"))

    @property
    def body(self) -> bytes | None:
        """The whole body, None without one. rewrite, access and before_proxy wait for it.

        Later phases see what an earlier one has read, and None when nobody did.
        """
        return self._source.read_body()

    @body.setter
    def body(self, value: bytes | str) -> None:
        self._source.read_body()  # what it replaces has to come off the connection first
        self._source.ask("set_body", value)


class ResponseView:
    """The response on its way to the client; headers set before there is one are added to it."""

    __slots__ = ("_ask", "headers")

    def __init__(self, source: Source) -> None:
        self._ask = source.ask
        self.headers = Headers(source)

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

    __slots__ = ("_request", "_response", "_source", "_state", "_var")

    def __init__(self, source: Source) -> None:
        self._source = source
        self._request: Request | None = None  # these are made when first asked for: most are not
        self._response: ResponseView | None = None
        self._var: Variables | None = None
        self._state: dict[str, Any] | None = None

    @property
    def request(self) -> Request:
        """The client's request."""
        if self._request is None:
            self._request = Request(self._source)
        return self._request

    @property
    def response(self) -> ResponseView:
        """The response to the client."""
        if self._response is None:
            self._response = ResponseView(self._source)
        return self._response

    @property
    def var(self) -> Variables:
        """Variables by name."""
        if self._var is None:
            self._var = Variables(self._source.ask)
        return self._var

    @property
    def state(self) -> dict[str, Any]:
        """What the plugin keeps for this request."""
        if self._state is None:
            self._state = {}
        return self._state

    def find_consumer(self, plugin_name: str, key_attr: str, value: str) -> Consumer | None:
        """The consumer whose configuration of that plugin has `value` as `key_attr`, or None.

        Waits when credentials are references to secrets kept elsewhere.
        """
        found = self._source.consult("find_consumer", plugin_name, key_attr, value)
        if found is None:
            return None
        found["conf"].pop("_meta", None)
        return Consumer(**found)

    def attach_consumer(self, consumer: Consumer) -> None:
        """Make it this request's consumer, in `rewrite`: its plugins run, the upstream is told."""
        self._source.ask("attach_consumer", consumer.handle)
