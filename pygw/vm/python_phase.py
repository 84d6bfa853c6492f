"""Owns what is known of a phase of a plugin: which one it is, and what it asks of each request.

What a phase has asked once is sent along when it is called again, so that asking crosses no border.
"""

from __future__ import annotations

from collections.abc import Callable

from pygw.plugin import ANSWERING, Plugin
from pygw.vm.python_outcome import SERVING

#: Beside headers, questions whose answers cost Lua next to nothing, and nobody sees them asked.
LEARNT = frozenset(("get_method", "get_path", "get_query"))
_MOST = 8  # a phase that asks for ever new names must not make each call longer


class Phase:
    """One phase of one plugin, by the number that Lua has given it.

    headers, others: names of headers, and other questions -> the place of the answer among those
    that come with a call. may_answer: whether it is one of those that come before the upstream.
    is_plain: whether it is a method of (conf, ctx).
    """

    __slots__ = (
        "_learn",
        "headers",
        "is_plain",
        "kind",
        "may_answer",
        "name",
        "number",
        "others",
        "plugin",
    )

    def __init__(
        self,
        number: int,
        plugin: Plugin,
        kind: str,
        learn: Callable[[int, bytes, bytes], None],
    ) -> None:
        self.number, self.plugin, self.kind = number, plugin, kind
        self.name = plugin.name
        self.may_answer = kind in ANSWERING
        self.is_plain = kind != "body_filter" and kind not in SERVING
        self.headers: dict[str, int] = {}
        self.others: dict[str, int] = {}
        self._learn = learn

    def __str__(self) -> str:
        return f"plugin [{self.name}], phase {self.kind}"

    def learn(self, operation: str, header: str = "") -> None:
        """Have the answer sent along from now on. With no Lua frame on the stack."""
        place = len(self.headers) + len(self.others)
        if place < _MOST and self.is_plain and isinstance(header, str):
            self._learn(self.number, operation.encode(), header.encode("utf-8", "surrogateescape"))
            if operation in LEARNT:
                self.others[operation] = place
            else:
                self.headers[header] = place
