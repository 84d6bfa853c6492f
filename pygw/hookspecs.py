"""Owns the hook specifications: every hook that pygw calls, each with one line that says when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from pygw.plugin import Plugin

hookspec = pluggy.HookspecMarker("pygw")
hookimpl = pluggy.HookimplMarker("pygw")


@dataclass(frozen=True)
class ConfigChange:
    """A configuration item that this worker has applied.

    directory: such as "/routes". id: the item's. value: the item, None when it was deleted; hooks
    share it. revision: the store's revision of the change (0 for standalone configuration).
    """

    directory: str
    id: str
    value: Any
    revision: int


@hookspec
def pygw_plugins() -> Iterable[type[Plugin]]:  # type: ignore[empty-body]
    """Return plugin classes beside those that the module defines; called once, at the start."""


@hookspec
def pygw_worker_start(worker_id: int) -> None:
    """Called in every worker when it serves; may block. What it raises stops the start."""


@hookspec
def pygw_worker_stop(worker_id: int) -> None:
    """Called in every worker when it has stopped serving; may block."""


@hookspec
def pygw_config_change(change: ConfigChange) -> None:
    """Called after a worker has applied a change of its configuration, in order; may block.

    What a worker finds at its start comes as changes too, after pygw_worker_start.
    """
