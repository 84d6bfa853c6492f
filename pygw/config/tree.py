"""Owns reading values out of the merged configuration by their keys.

What is missing is an error with file and line. Must never know what a key means.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pygw.config.units import parse_duration
from pygw.config.yamlfile import Document, KeyPath


class Tree:
    """A merged configuration; keys are dotted. base: where relative paths start."""

    def __init__(self, merged: dict[str, Any], document: Document, base: Path) -> None:
        self.merged, self.document, self.base = merged, document, base

    def get(self, key: str, default: Any = None) -> Any:
        """The value, or `default` when there is none."""
        value: Any = self.merged
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return default if value is None else value

    def need(self, key: str) -> Any:
        """The value. Raises ConfigError when null removed it."""
        value = self.get(key)
        if value is None:
            path: KeyPath = tuple(key.split("."))
            raise self.document.error(path, "has no value: null removed the default")
        return value

    def seconds(self, key: str) -> float:
        """A duration that must be there."""
        return parse_duration(self.need(key))

    def path(self, key: str) -> Path:
        """A path that must be there, absolute."""
        return Path(self.base, self.need(key)).absolute()
