"""Owns what `pygw test` says of apisix.yaml: each item judged as a worker would judge it.

Must start nothing: the plugins' schemas are asked in a Lua VM that no event loop drives.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pygw.config.settings import Settings
from pygw.config.standalone import parse_document
from pygw.config.yamlfile import ConfigError, Document
from pygw.plugin import Plugin
from pygw.vm.checker import Checker, CheckFailedError
from pygw.vm.worker import StartError

# The lists of apisix.yaml that hold items with a check of their own.
_LISTS = (
    "routes",
    "services",
    "upstreams",
    "consumers",
    "consumer_groups",
    "global_rules",
    "plugin_configs",
    "plugin_metadata",
    "secrets",
    "protos",
)


def faults(settings: Settings, plugins: Mapping[str, Plugin]) -> Iterator[str]:
    """Everything that is wrong with the file, one message each with file, line, path and reason."""
    try:
        document = parse_document(settings.yaml_path)
    except ConfigError as error:
        yield str(error)
        return
    try:
        checker = Checker(settings, plugins)
    except StartError as error:
        yield f"the plugins cannot be asked: {error}"
        return
    try:
        for name in _LISTS:
            yield from _list_faults(checker, document, name)
    finally:
        checker.close()


def _list_faults(checker: Checker, document: Document, name: str) -> Iterator[str]:
    items = document.value.get(name)
    if items is None:
        return
    if not isinstance(items, list):
        yield str(document.error((name,), "must be a list"))
        return
    for i, item in enumerate(items):
        if not isinstance(item, dict):
            yield str(document.error((name, i), "must be a table"))
            continue
        if fault := _fault(checker, name, item):
            yield str(document.error((name, i), fault))


def _fault(checker: Checker, name: str, item: dict[str, Any]) -> str | None:
    item_id = None if name == "consumers" else item.get("id")
    try:
        return checker.check(
            name, None if item_id is None else str(item_id), json.dumps(item).encode()
        )
    except CheckFailedError as error:
        return str(error)
