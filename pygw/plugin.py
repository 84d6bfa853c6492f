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

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pygw.extensions.request import (
    Consumer,
    Context,
    Headers,
    Request,
    RequestError,
    ResponseView,
    Variables,
)

__all__ = [
    "ANSWERING",
    "PHASES",
    "Consumer",
    "Context",
    "Headers",
    "Plugin",
    "Request",
    "RequestError",
    "Response",
    "ResponseView",
    "Route",
    "Variables",
]

# The phases in which a plugin may answer the request itself, and all of them.
ANSWERING = ("rewrite", "access", "before_proxy")
PHASES = (*ANSWERING, "header_filter", "body_filter", "log")


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


@dataclass(frozen=True)
class Route:
    """A path that a plugin itself serves: what `api` and `control_api` return a list of.

    methods: such as ["GET"]. uri: the path, as in a route's `uri`. handler: called with the
    request's Context, returns or raises a Response; may block.
    """

    methods: Sequence[str]
    uri: str
    handler: Callable[[Context], Response]


class Plugin:
    """Base of Python plugins. Methods that are not named after a phase are left alone.

    `rewrite`, `access` and `before_proxy` take (conf, ctx) and return None or a Response;
    `header_filter` and `log` take (conf, ctx); `body_filter` takes (conf, ctx, chunk: bytes,
    last: bool) and returns the bytes to send instead, or None to leave them; a response that
    passes through one has no Content-Length. Or it is a generator and takes (conf, ctx, chunks):
    it iterates over the chunks and yields bytes. conf is the plugin's configuration on the route,
    defaults filled in: a dict, or an instance of `schema` if that is a type; requests share it, so
    it must not be changed.

    A phase that has waited for `timeout` seconds is ended: with "fail" (on_timeout) the request
    fails, with "pass" it goes on without. plugin_attr of config.yaml may say otherwise.

    What a phase raises ends the request as an error of a Lua plugin does: with 500 as long as
    nothing has been sent, else by cutting the response short; in `log` it is only logged.
    """

    name: ClassVar[str]
    version: ClassVar[float | str] = 0.1
    priority: ClassVar[float]
    schema: ClassVar[Any]
    consumer_schema: ClassVar[Any] = None
    metadata_schema: ClassVar[Any] = None
    timeout: ClassVar[float | None] = 60.0
    on_timeout: ClassVar[str] = "fail"

    #: What config.yaml says below plugin_attr.NAME; there from `init` on.
    attr: Mapping[str, Any] = {}
    _metadata: Callable[[], Any] | None = None

    @property
    def metadata(self) -> Any:
        """What /plugin_metadata/NAME says now: a dict ({} without one), or None or an instance of
        `metadata_schema` if that is a type.
        """
        return self._metadata() if self._metadata else {}

    def api(self) -> Iterable[Route]:
        """Paths that clients reach through the plugin public-api; called once per worker."""
        return ()

    def control_api(self) -> Iterable[Route]:
        """Paths of the Control API; called once per worker."""
        return ()

    def init(self) -> None:
        """Called once per worker before it serves; may block. If it raises, requests get 503."""

    def destroy(self) -> None:
        """Called once when the worker has stopped serving; may block."""

    @classmethod
    def phases(cls) -> list[str]:
        """The phases that this class takes part in."""
        return [phase for phase in PHASES if hasattr(cls, phase)]
