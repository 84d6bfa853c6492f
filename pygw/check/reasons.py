"""Owns the reading of what a check says of an item: which part of the item it speaks of.

The messages are those of APISIX's JSON schema checks and of its plugins. Must never judge.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pygw.config.yamlfile import KeyPath

# The beginning of a message that leads further into the value, and into which part of it.
_LEADS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], KeyPath]], ...] = (
    (re.compile(r"(?:then|else) clause did not match: "), lambda _: ()),
    (re.compile(r"invalid (?:plugins )?configuration: "), lambda _: ()),
    (re.compile(r"allOf \d+ failed: "), lambda _: ()),
    (
        re.compile(r"failed to check the configuration of plugin (\S+) err: "),
        lambda found: ("plugins", found[1]),
    ),
    (re.compile(r'property "([^"]*)" validation failed: '), lambda found: (found[1],)),
    (
        re.compile(r"failed to validate (?:additional )?item (\d+): "),
        lambda found: (int(found[1]) - 1,),
    ),
    (re.compile(r"failed to validate additional property (\S+): "), lambda found: (found[1],)),
    (re.compile(r'failed to validate (\S+) \(matching ".*?"\): '), lambda found: (found[1],)),
    (re.compile(r'failed to validate dependent schema for "([^"]*)": '), lambda _: ()),
)
# The end of a message that names a key of the value: it is the name that is wrong.
_NAMES = (
    re.compile(r"additional properties forbidden, found (.+)"),
    re.compile(r"invalid property name ([^:]+): "),
)
_PLUGIN = re.compile(r"unknown plugin \[(.+)\]")
_VALUE = re.compile(r"failed to (?:validate|load|run) (?:the )?'(\w+)' ")
_EQUAL_ITEMS = re.compile(r"expected unique items but items \d+ and (\d+) are equal")


def part_of(message: str, item: Any, plugin: str | None) -> tuple[KeyPath, bool]:
    """The path in the item, and whether the key there is meant, not its value."""
    path: list[str | int] = []
    if plugin is not None and f"plugin {plugin} err: " not in message:
        path = ["plugins", plugin]
    rest, led = message, True
    while led:
        led = False
        for pattern, part in _LEADS:
            if found := pattern.match(rest):
                path += part(found)
                rest, led = rest[found.end() :], True
                break
    if found := _PLUGIN.match(rest):
        return ("plugins", found[1]), True
    for pattern in _NAMES:
        if found := pattern.match(rest):
            return (*path, found[1]), True
    if found := _EQUAL_ITEMS.match(rest):
        path.append(int(found[1]) - 1)
    elif not path and isinstance(item, dict) and (found := _VALUE.match(rest)) and found[1] in item:
        path.append(found[1])
    return tuple(path), False
