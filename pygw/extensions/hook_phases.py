"""Owns the request phases of hooks: to Lua they are one more Python plugin, which runs first.

lua/apisix/hooks.lua runs it, where anybody implements such a hook. Must never be configured.
"""

from __future__ import annotations

import json
import logging
from typing import Any, ClassVar

import pluggy

from pygw.hookspecs import Upstream
from pygw.plugin import Context, Plugin, Response

log = logging.getLogger(__name__)

NAME = "pygw hooks"  # no name of a plugin of somebody's: in log lines it says whose code failed


class HookPhases(Plugin):
    """Calls the hooks of `manager`, phase by phase."""

    name: ClassVar[str] = NAME
    priority: ClassVar[float] = 0
    schema: ClassVar[Any] = {"type": "object"}

    def __init__(self, manager: pluggy.PluginManager) -> None:
        self._hook = manager.hook

    def rewrite(self, _conf: Any, ctx: Context) -> Response | None:
        answer: Response | None = self._hook.pygw_rewrite(ctx=ctx)
        return answer

    def access(self, _conf: Any, ctx: Context) -> Response | None:
        answer: Response | None = self._hook.pygw_access(ctx=ctx)
        return answer

    def before_proxy(self, _conf: Any, ctx: Context) -> Response | None:
        answer: Response | None = self._hook.pygw_before_proxy(ctx=ctx)
        return answer

    def header_filter(self, _conf: Any, ctx: Context) -> None:
        self._hook.pygw_header_filter(ctx=ctx)

    def log(self, _conf: Any, ctx: Context) -> None:
        self._hook.pygw_log(ctx=ctx)

    def upstream_picked(self, _conf: Any, ctx: Context) -> None:
        """The request goes on whatever a hook raises: it only looks."""
        host, port, route, tries = json.loads(ctx.var["pygw_upstream_picked"] or "")
        try:
            self._hook.pygw_upstream_picked(
                ctx=ctx, upstream=Upstream(host, int(port), route or None, int(tries))
            )
        except Exception:
            log.exception("a pygw_upstream_picked hook failed")
