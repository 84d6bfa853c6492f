"""Owns the hook specifications: every hook that pygw calls, each with one line that says when.

Which hooks have implementations is decided at the start of a process: what nobody implements is
not even looked for on a request. docs/hooks.md says the same with examples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pluggy

if TYPE_CHECKING:
    import click

    from pygw.plugin import Context, Plugin, Response

hookspec = pluggy.HookspecMarker("pygw")
hookimpl = pluggy.HookimplMarker("pygw")

#: config.yaml with the defaults, those of pygw_config_schema included.
Config = Mapping[str, Any]


@dataclass(frozen=True)
class ConfigChange:
    """A configuration item that this worker has applied.

    directory: such as "/routes". id: the item's. value: the item, None when it was deleted; hooks
    share it. revision: the store's revision of the change (0 for standalone configuration).
    action: what became of the item.
    """

    directory: str
    id: str
    value: Any
    revision: int
    action: Literal["added", "changed", "removed"] = "changed"


@dataclass(frozen=True)
class ConfigKey:
    """A key of config.yaml: the type of its value (float takes integers, too), its default, and a
    check, which raises ValueError with what is wrong.
    """

    type: type
    default: Any = None
    check: Callable[[Any], None] | None = None


@dataclass(frozen=True)
class ChildProcess:
    """A process of the master's. kind: "worker", "admin" or "agent". id: its number in its kind."""

    kind: str
    id: int
    pid: int


@dataclass(frozen=True)
class PluginInfo:
    """A plugin of this worker; language: what it is written in."""

    name: str
    version: float | str
    priority: float
    language: Literal["lua", "python"]


@dataclass(frozen=True)
class Upstream:
    """The server that a try of a request goes to.

    host, port: its address. route: the id of the route, None without one. tries: 1 for the first
    try, and so on.
    """

    host: str
    port: int
    route: str | None
    tries: int


@dataclass(frozen=True)
class LogRecord:
    """A line of the error log.

    level: "emerg" to "debug". message: the text after the process's number. time: seconds since
    the epoch. pid: the process that wrote it.
    """

    level: str
    message: str
    time: float
    pid: int


# -- the master ------------------------------------------------------------------------------------


@hookspec
def pygw_master_start(config: Config) -> None:
    """Called in the master before it starts a process; what it raises stops the start."""


@hookspec
def pygw_master_ready(workers: int) -> None:
    """Called in the master once all processes serve."""


@hookspec
def pygw_master_reload(workers: int) -> None:
    """Called in the master once the processes of a reloaded configuration serve."""


@hookspec
def pygw_master_stop() -> None:
    """Called in the master when its last process has ended."""


@hookspec
def pygw_child_spawned(child: ChildProcess) -> None:
    """Called in the master when it has started a process."""


@hookspec
def pygw_child_died(child: ChildProcess, reason: str, expected: bool) -> None:
    """Called in the master when a process has ended; expected: it had been told to."""


# -- a worker --------------------------------------------------------------------------------------


@hookspec
def pygw_plugins() -> Iterable[type[Plugin]]:  # type: ignore[empty-body]
    """Return plugin classes beside those that the module defines; called once, at the start."""


@hookspec
def pygw_worker_start(worker_id: int, config: Config) -> None:
    """Called in every worker when it serves; may block. What it raises stops the start."""


@hookspec
def pygw_worker_ready(worker_id: int) -> None:
    """Called in every worker once its start is over, those of its hooks included; may block."""


@hookspec
def pygw_worker_stop(worker_id: int) -> None:
    """Called in every worker when it has stopped serving; may block."""


@hookspec
def pygw_config_change(change: ConfigChange) -> None:
    """Called after a worker has applied a change of its configuration, in order; may block.

    What a worker finds at its start comes as changes too, after pygw_worker_start.
    """


@hookspec
def pygw_plugin_loaded(plugin: PluginInfo) -> None:
    """Called after a worker has loaded a plugin, Lua or Python, for the first time; may block."""


@hookspec
def pygw_plugin_reloaded(plugin: PluginInfo) -> None:
    """Called after a worker has loaded a plugin again, such as new code; may block."""


@hookspec
def pygw_log_record(record: LogRecord) -> None:
    """Called after a process has written a line to its error log, in order; may block."""


# -- a request -------------------------------------------------------------------------------------


@hookspec(firstresult=True)
def pygw_rewrite(ctx: Context) -> Response | None:
    """Called before all plugins' rewrite, without a route too; a Response answers; may block."""


@hookspec(firstresult=True)
def pygw_access(ctx: Context) -> Response | None:
    """Called before all plugins' access; a Response answers; may block."""


@hookspec(firstresult=True)
def pygw_before_proxy(ctx: Context) -> Response | None:
    """Called before all plugins' before_proxy; a Response answers; may block."""


@hookspec
def pygw_upstream_picked(ctx: Context, upstream: Upstream) -> None:
    """Called for every try, when its server is chosen, before it is connected to; may block."""


@hookspec
def pygw_header_filter(ctx: Context) -> None:
    """Called before all plugins' header_filter; may change the response's head; may block."""


@hookspec
def pygw_log(ctx: Context) -> None:
    """Called before all plugins' log, when the response is out; may block."""


# -- the command line and config.yaml --------------------------------------------------------------


@hookspec
def pygw_cli_commands() -> Iterable[click.Command]:  # type: ignore[empty-body]
    """Return commands that `pygw` then has; called when they are listed, or one is not its own."""


@hookspec
def pygw_config_schema() -> Mapping[str, ConfigKey]:  # type: ignore[empty-body]
    """Return keys of config.yaml, as "section.key"; called at the start of every process."""
