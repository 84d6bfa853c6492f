"""Owns where things stand in a configuration file: offsets as lines and columns, paths as nodes.

Must never judge what stands there.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import yaml

from pygw.config.yamlfile import KeyPath

_MERGE_TAG = "tag:yaml.org,2002:merge"


class Places:
    """Offsets of a text in which variables were replaced, as places in the text before.

    moves: (offset after, offset before, whether a variable's value begins there), ascending.
    """

    def __init__(self, text: str, moves: Sequence[tuple[int, int, bool]]) -> None:
        self._lines = [0]
        at = text.find("\n")
        while at >= 0:
            self._lines.append(at + 1)
            at = text.find("\n", at + 1)
        self._moves = moves
        self._after = [move[0] for move in moves]

    def line_and_column(self, offset: int) -> tuple[int, int]:
        """Both from 1."""
        at = bisect_right(self._after, offset) - 1
        if at >= 0:
            after, before, variable = self._moves[at]
            offset = before if variable else before + offset - after
        line = bisect_right(self._lines, offset)
        return line, offset - self._lines[line - 1] + 1


def node_at(root: yaml.Node, path: KeyPath) -> yaml.Node:
    """The node that a path leads to, or as far as it leads."""
    node = root
    for part in path:
        below = _step(node, part)
        if below is None:
            break
        node = below[1]
    return node


def offset_of(root: yaml.Node, path: KeyPath, *, key: bool = False) -> int:
    """Where a person looks for what stands under a path, or as far as that leads.

    A plain value: there; a table or a list, or with `key`: at its name, if it has one.
    """
    node, name = root, root
    for part in path:
        below = _step(node, part)
        if below is None:
            break
        name, node = below
    plain = isinstance(node, yaml.ScalarNode) and not key
    offset: int = (node if plain else name).start_mark.index
    return offset


def _step(node: yaml.Node, part: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    """Key (of a list: the item itself) and value."""
    if isinstance(node, yaml.SequenceNode):
        if isinstance(part, int) and part < len(node.value):
            return node.value[part], node.value[part]
        return None
    if isinstance(node, yaml.MappingNode):
        for key, value in reversed(node.value):
            if key.value == str(part) and key.tag != _MERGE_TAG:
                return key, value
    return None
