"""Owns the making of values out of YAML nodes where mistakes are collected, not raised.

Values are those of `pygw.config.yamlfile`. Must never stop at a mistake that it can pass over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from pygw.config import yamlfile
from pygw.config.yamlfile import ConfigError, substitute

# Offset in the text, and what is wrong there.
Faults = list[tuple[int, str]]

_MERGE_TAG = "tag:yaml.org,2002:merge"
# libyaml, where PyYAML was built with it, reads a large file in a third of the time.
_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Composer(_Parser):  # type: ignore[misc]
    """Makes nodes whose tags are those that the gateway's own reader gives them."""

    yaml_implicit_resolvers = yamlfile.Loader.yaml_implicit_resolvers


def compose(text: str, faults: Faults) -> yaml.Node | None:
    """The node of the whole text; None when it is empty or no YAML."""
    composer: Any = None
    try:
        composer = _Composer(text)
        node: yaml.Node | None = composer.get_single_node()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error)
        faults.append((mark.index if mark else 0, f"not valid YAML: {problem}"))
        return None
    finally:
        if composer is not None:
            composer.dispose()
    return node


class Values:
    """Reads nodes. env: where `${{VAR}}` in texts is looked up; None: they stay as they are.

    unknown: offsets of texts whose variable is not set.
    """

    def __init__(self, faults: Faults, env: Mapping[str, str] | None) -> None:
        self._faults, self._env = faults, env
        self._loader = yamlfile.Loader("")
        self._open: set[int] = set()
        self._read: set[int] = set()
        self.unknown: list[int] = []

    def read(self, node: yaml.Node) -> Any:
        """The value of a node. Raises yaml.YAMLError if aliases repeat too much."""
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if id(node) in self._open:
            return self._fault(node, "an alias may not contain itself")
        again = id(node) in self._read
        if again:
            self._loader.repeat(node)
        self._read.add(id(node))
        self._open.add(id(node))
        value: Any
        if isinstance(node, yaml.SequenceNode):
            value = [self.read(item) for item in node.value]
        else:
            assert isinstance(node, yaml.MappingNode)
            value = self._mapping(node, again)
        self._open.discard(id(node))
        return value

    def _fault(self, node: yaml.Node, reason: str) -> None:
        self._faults.append((node.start_mark.index, reason))

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        try:
            value = self._loader.construct_object(node)
        except (yaml.YAMLError, ValueError, LookupError, AttributeError) as error:
            return self._fault(node, f"unusable value: {error}")
        if not isinstance(value, yamlfile.SCALARS):
            return self._fault(node, f"unusable value: {node.tag} is not known here")
        if not isinstance(value, str) or "${{" not in value or self._env is None:
            return value
        text = self._substituted(node, value)
        return value if text == value else yamlfile.natural(text)

    def _substituted(self, node: yaml.Node, text: str) -> str:
        try:
            return substitute(text, self._env or {}, ConfigError)
        except ConfigError as error:
            self._fault(node, error.reason)
            self.unknown.append(node.start_mark.index)
            return text

    def _mapping(self, node: yaml.MappingNode, again: bool) -> dict[str, Any]:
        if not again:
            self._note_duplicates(node)
            self._loader.flatten_mapping(node)
        pairs = [(self._key(key), value) for key, value in node.value]
        return {key: self.read(value) for key, value in pairs if key is not None}

    def _note_duplicates(self, node: yaml.MappingNode) -> None:
        first: dict[str, yaml.Node] = {}
        for key, _ in node.value:
            if key.tag == _MERGE_TAG:
                continue
            if not isinstance(key, yaml.ScalarNode):
                self._fault(key, "a key must be a plain word, not a list or a table")
            elif first.setdefault(key.value, key) is not key:
                line = first[key.value].start_mark.line + 1
                self._fault(key, f"{key.value}: given twice (first on line {line})")

    def _key(self, node: yaml.Node) -> str | None:
        if not isinstance(node, yaml.ScalarNode):
            return None
        key = str(node.value)
        return self._substituted(node, key) if self._env is not None else key
