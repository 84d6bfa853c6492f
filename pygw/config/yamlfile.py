"""Owns the reading of a YAML file: values, the line each stands on, and `${{VAR}}` substitution.

Must never know what a key means: `schema.py` judges values, this file only delivers them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

KeyPath = tuple[str | int, ...]

_VARIABLE = re.compile(r"\$\{\{\s*(\w+)\s*(?::=(.*?))?\s*\}\}")
_NUMBER = re.compile(r"[-+]?(\d+|\d*\.\d+|\d+\.\d*)([eE][-+]?\d+)?")
_MERGE_TAG = "tag:yaml.org,2002:merge"
_MAX_REPEATED = 500_000  # values that aliases and merges repeat; a few hundred bytes can mean 10**9


SCALARS = (str, int, float, bool, type(None))


class ConfigError(Exception):
    """A configuration file cannot be used; `str()` is the one message for its owner.

    It reads `FILE:LINE: KEY.PATH[0]: REASON`; what is not known is left out.
    """

    def __init__(
        self, reason: str, *, file: str = "", line: int | None = None, path: KeyPath = ()
    ) -> None:
        self.reason, self.file, self.line, self.path = reason, file, line, path
        where = f"{file}:{line}" if file and line else file
        super().__init__(": ".join(part for part in (where, dotted(path), reason) if part))


def dotted(path: KeyPath) -> str:
    """Write a key path as people do: `apisix.node_listen[0].port`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


@dataclass
class Document:
    """A parsed YAML file.

    `lines` maps a key path to its line (from 1); `environment` maps the path of a scalar that
    held `${{VAR}}` to its text after substitution, for keys that want a string even when the
    text looks like a number.
    """

    file: str
    value: Any = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    environment: dict[KeyPath, str] = field(default_factory=dict)

    def error(self, path: KeyPath, reason: str) -> ConfigError:
        """Make the error for `path`, with the line of it or of its nearest known ancestor."""
        for length in range(len(path), 0, -1):
            if line := self.lines.get(path[:length]):
                return ConfigError(reason, file=self.file, line=line, path=path)
        return ConfigError(reason, file=self.file, path=path)


class Loader(yaml.SafeLoader):
    """YAML 1.1 scalars without its traps: no dates, no base-60 numbers (`80:80`).

    What aliases and merges repeat is counted, here and by whoever reads the nodes.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._repeated = 0

    def repeat(self, node: yaml.Node) -> None:
        """Count a node that is used once more. Raises yaml.YAMLError when it is too much."""
        self._repeated += len(node.value) + 1
        if self._repeated > _MAX_REPEATED:
            raise yaml.MarkedYAMLError(
                problem=f"aliases repeat more than {_MAX_REPEATED} values",
                problem_mark=node.start_mark,
            )

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Put what `<<` names in its place."""
        for key, value in node.value:
            if key.tag == _MERGE_TAG:
                parts = value.value if isinstance(value, yaml.SequenceNode) else [value]
                for part in parts:
                    if isinstance(part, yaml.MappingNode):
                        self.flatten_mapping(part)
                        self.repeat(part)
        super().flatten_mapping(node)


_UNWANTED = {
    "tag:yaml.org,2002:timestamp",
    "tag:yaml.org,2002:int",
    "tag:yaml.org,2002:float",
}
Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _UNWANTED]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"[-+]?(0x[0-9a-fA-F]+|\d+)$"), list("-+0123456789")
)
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][-+]?\d+)?$"),
    list("-+.0123456789"),
)


def _construct_int(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    text = loader.construct_scalar(node)
    return int(text, 16 if "0x" in text else 10)


Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)


def substitute(text: str, env: Mapping[str, str], on_missing: Callable[[str], Exception]) -> str:
    """Replace `${{VAR}}` and `${{VAR:=default}}` as APISIX does."""

    def value(match: re.Match[str]) -> str:
        found = env.get(match[1], match[2])
        if found is None:
            raise on_missing(f"environment variable {match[1]} is not set and has no default")
        return found.strip() if match[1] not in env else found

    return _VARIABLE.sub(value, text)


def natural(text: str) -> Any:
    """Give a substituted text the type that it looks like, as APISIX does."""
    if text in ("true", "false"):
        return text == "true"
    if _NUMBER.fullmatch(text):
        return float(text) if re.search(r"[.eE]", text) else int(text)
    return text


class _Reader:
    """Turns composed YAML nodes into values, recording lines and refusing duplicate keys."""

    def __init__(self, document: Document, loader: Loader, env: Mapping[str, str] | None) -> None:
        self._document, self._loader, self._env = document, loader, env
        self._open: set[int] = set()
        self._read: set[int] = set()

    def read(self, node: yaml.Node, path: KeyPath) -> Any:
        if path:
            self._document.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._open:
            raise self._document.error(path, "an alias may not contain itself")
        if id(node) in self._read:
            self._loader.repeat(node)
        self._read.add(id(node))
        self._open.add(id(node))
        value: Any
        if isinstance(node, yaml.SequenceNode):
            value = [self.read(item, (*path, i)) for i, item in enumerate(node.value)]
        else:
            assert isinstance(node, yaml.MappingNode)
            value = self._mapping(node, path)
        self._open.discard(id(node))
        return value

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        try:
            value = self._loader.construct_object(node)
        except (yaml.YAMLError, ValueError, LookupError, AttributeError) as error:
            raise self._document.error(path, f"unusable value: {error}") from None
        if not isinstance(value, SCALARS):
            raise self._document.error(path, f"unusable value: {node.tag} is not known here")
        if self._env is None or not isinstance(value, str) or "${{" not in value:
            return value
        text = substitute(value, self._env, lambda why: self._document.error(path, why))
        if text == value:
            return value
        self._document.environment[path] = text
        return natural(text)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        self._refuse_duplicates(node, path)
        self._loader.flatten_mapping(node)
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, path)
            below = (*path, key)
            self._document.lines[below] = key_node.start_mark.line + 1
            result[key] = self.read(value_node, below)
        return result

    def _refuse_duplicates(self, node: yaml.MappingNode, path: KeyPath) -> None:
        seen: dict[str, int] = {}
        for key_node, _ in node.value:
            if key_node.tag == _MERGE_TAG:
                continue
            key, line = self._key(key_node, path), key_node.start_mark.line + 1
            if key in seen:
                below = (*path, key)
                self._document.lines[below] = line
                raise self._document.error(below, f"given twice (first on line {seen[key]})")
            seen[key] = line

    def _key(self, node: yaml.Node, path: KeyPath) -> str:
        if not isinstance(node, yaml.ScalarNode):
            self._document.lines[path] = node.start_mark.line + 1
            raise self._document.error(path, "a key must be a plain word, not a list or a table")
        key = str(node.value)
        if self._env is None:
            return key
        return substitute(key, self._env, lambda why: self._document.error(path, why))


def _syntax_error(file: str, error: yaml.YAMLError) -> ConfigError:
    problem = getattr(error, "problem", None) or str(error)
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark else None
    return ConfigError(f"not valid YAML: {problem}", file=file, line=line)


def read_text(
    text: str,
    file: str,
    *,
    variables: Literal["values", "text", "none"] = "values",
    env: Mapping[str, str] | None = None,
) -> Document:
    """Parse YAML text; `file` is the name that messages show.

    `variables="values"` substitutes `${{VAR}}` inside parsed strings, then gives the result its
    natural type (config.yaml); `"text"` substitutes before parsing (apisix.yaml); `"none"`
    substitutes nothing. `env` is `os.environ` unless given. An empty file has the value None.
    Raises ConfigError.
    """
    env = os.environ if env is None else env
    document = Document(file)
    if variables == "text":
        text = substitute(text, env, lambda why: ConfigError(why, file=file))
    try:
        loader = Loader(text)
    except yaml.YAMLError as error:
        raise _syntax_error(file, error) from None
    try:
        node = loader.get_single_node()
        if node is not None:
            reader = _Reader(document, loader, env if variables == "values" else None)
            document.value = reader.read(node, ())
    except yaml.YAMLError as error:
        raise _syntax_error(file, error) from None
    finally:
        loader.dispose()
    return document


def read_file(
    path: Path,
    *,
    variables: Literal["values", "text"] = "values",
    env: Mapping[str, str] | None = None,
) -> Document:
    """Read and parse the YAML file at `path`; see `read_text`. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=str(path)) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"not UTF-8 (byte {error.start})", file=str(path)) from None
    return read_text(text, str(path), variables=variables, env=env)
