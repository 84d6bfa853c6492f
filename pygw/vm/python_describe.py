"""Owns what lua/server/python_objects.lua is told of plugins, and the check of typed schemas."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pygw.extensions.schema import KINDS, convert, is_typed, json_schema
from pygw.plugin import Plugin, Route


@dataclass(frozen=True)
class Broken:
    """A plugin that has a name and cannot be used, and why: it is stood in for."""

    name: str
    fault: str
    version: float | str = 0
    priority: float = 0
    is_auth: bool = False


Routes = dict[str, list[Route]]


def describe(
    plugins: Iterable[Plugin],
    broken: Iterable[Broken] = (),
    *,
    routes: Mapping[str, Routes] | None = None,
    refuse: bool = False,
) -> list[dict[str, Any]]:
    """What `list` of lua/server/python_objects.lua makes plugin objects of.

    routes: what each plugin serves itself. refuse: configurations of broken ones are refused.
    """
    found = [_described(plugin, (routes or {}).get(plugin.name, {})) for plugin in plugins]
    for each in broken:
        found.append(
            {
                "name": each.name,
                "version": each.version,
                "priority": each.priority,
                "fault": each.fault,
                "schema": "{}",
                "refuse": refuse,
                **({"consumer_schema": "{}"} if each.is_auth else {}),
            }
        )
    return found


def _described(plugin: Plugin, routes: Routes) -> dict[str, Any]:
    schemas = {kind: getattr(plugin, kind) for kind in KINDS}
    given = {kind: schema for kind, schema in schemas.items() if schema is not None}
    return {
        "name": plugin.name,
        "version": plugin.version,
        "priority": plugin.priority,
        "phases": plugin.phases(),
        "typed": {kind: True for kind, schema in given.items() if is_typed(schema)},
        **{kind: json.dumps(json_schema(schema)) for kind, schema in given.items()},
        **{
            kind: [{"methods": list(route.methods), "uri": route.uri} for route in listed]
            for kind, listed in routes.items()
        },
    }


def checker_of(plugins: Mapping[str, Plugin]) -> Callable[[str, str, str], str | None]:
    """The bridge call `python_check`: what is wrong with a configuration by a typed schema."""

    def check(name: str, kind: str, text: str) -> str | None:
        try:
            convert(getattr(plugins[name], kind), json.loads(text.encode("latin-1")))
        except Exception as error:
            return f"{error}" or type(error).__name__
        return None

    return check
