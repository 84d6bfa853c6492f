"""The Python plugins that are measured."""

from __future__ import annotations

from typing import Any

import gevent

from pygw.plugin import Context, Plugin


class _Base(Plugin):
    priority, schema = 10, {"type": "object"}


class Header(_Base):
    """Reads one header and sets one."""

    name = "py-header"

    def access(self, conf: Any, ctx: Context) -> None:
        headers = ctx.request.headers
        headers["x-gateway"] = headers.get("x-team", "")


class Block(_Base):
    """Waits for 10 ms."""

    name = "py-block"

    def access(self, conf: Any, ctx: Context) -> None:
        gevent.sleep(0.01)


class Empty(_Base):
    """Does nothing."""

    name = "py-empty"

    def access(self, conf: Any, ctx: Context) -> None:
        return


class Four(_Base):
    """Does nothing in four phases."""

    name = "py-four"

    def rewrite(self, conf: Any, ctx: Context) -> None:
        return

    def access(self, conf: Any, ctx: Context) -> None:
        return

    def header_filter(self, conf: Any, ctx: Context) -> None:
        return

    def log(self, conf: Any, ctx: Context) -> None:
        return


class Reading(_Base):
    """Reads a header."""

    name = "py-reading"

    def access(self, conf: Any, ctx: Context) -> None:
        ctx.request.headers.get("x-team")


class Variable(_Base):
    """Reads a variable and sets a header."""

    name = "py-variable"

    def access(self, conf: Any, ctx: Context) -> None:
        ctx.request.headers["x-gateway"] = ctx.var["remote_port"] or ""


class Turn(_Base):
    """Waits for gevent's loop once."""

    name = "py-turn"

    def access(self, conf: Any, ctx: Context) -> None:
        gevent.sleep(0)
