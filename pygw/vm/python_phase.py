"""Owns what is known of a phase of a plugin: which one it is, and what it asks of each request.

What a phase has asked once is sent along when it is called again, so that asking crosses no border.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pygw.plugin import Plugin

#: Questions whose answers cost Lua next to nothing, and nobody sees them asked.
LEARNT = frozenset(("get_request_header", "get_method", "get_path", "get_query"))
_MOST = 8  # a phase that asks for ever new names must not make each call longer


class Phase:
    """One phase of one plugin, by the number that Lua has given it.

    places: question -> the place of its answer among those that come with a call.
    """

    __slots__ = ("_learn", "kind", "name", "number", "places", "plugin")

    def __init__(
        self,
        number: int,
        plugin: Plugin,
        kind: str,
        learn: Callable[[int, bytes, bytes], None],
    ) -> None:
        self.number, self.plugin, self.kind = number, plugin, kind
        self.name = plugin.name
        self.places: dict[tuple[Any, ...], int] = {}
        self._learn = learn

    def __str__(self) -> str:
        return f"plugin [{self.name}], phase {self.kind}"

    def learn(self, *question: Any) -> None:
        """Have the answer sent along from now on. With no Lua frame on the stack."""
        operation, name = question if len(question) == 2 else (*question, "")
        if len(self.places) < _MOST and self.kind != "body_filter" and isinstance(name, str):
            self._learn(self.number, operation.encode(), name.encode("utf-8", "surrogateescape"))
            self.places[question] = len(self.places)
