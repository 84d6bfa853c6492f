"""Owns the kinds of value that a key of config.yaml may hold, one checker each.

A checker takes (value, path, document) and raises the document's ConfigError; it changes nothing
and knows no key by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from pygw.config.units import parse_duration, parse_size
from pygw.config.yamlfile import Document, KeyPath

Check = Callable[[Any, KeyPath, Document], None]


def shown(value: Any) -> str:
    """Write a value as its owner would recognise it in YAML."""
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    return str(value)


def anything(value: Any, path: KeyPath, document: Document) -> None:
    """Accept: the key belongs to Lua code that checks it itself."""


def boolean(value: Any, path: KeyPath, document: Document) -> None:
    if not isinstance(value, bool):
        raise document.error(path, f"must be true or false, not {shown(value)}")


def string(value: Any, path: KeyPath, document: Document) -> None:
    if not isinstance(value, str) and path not in document.environment:
        raise document.error(path, f"must be a string, not {shown(value)}")


def integer(low: int, high: int | None = None) -> Check:
    """An integer from low to high, both included."""
    span = f"an integer of at least {low}" if high is None else f"an integer from {low} to {high}"

    def check(value: Any, path: KeyPath, document: Document) -> None:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or value < low or (high is not None and value > high):
            raise document.error(path, f"must be {span}, not {shown(value)}")

    return check


def number(low: float) -> Check:
    """A number of at least low, with or without a fraction."""

    def check(value: Any, path: KeyPath, document: Document) -> None:
        numeric = isinstance(value, int | float) and not isinstance(value, bool)
        if not numeric or value < low:
            raise document.error(path, f"must be a number of at least {low}, not {shown(value)}")

    return check


port = integer(0, 65535)


def one_of(*values: str) -> Check:
    """One of a few words."""

    def check(value: Any, path: KeyPath, document: Document) -> None:
        if value not in values:
            wanted = ", ".join(values)
            raise document.error(path, f"must be one of {wanted}; not {shown(value)}")

    return check


def _parsed(parse: Callable[[Any], Any], what: str) -> Check:
    def check(value: Any, path: KeyPath, document: Document) -> None:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise document.error(path, f"must be {what}, not {shown(value)}")
        try:
            parse(value)
        except (ValueError, TypeError, AttributeError) as error:
            raise document.error(path, str(error)) from None

    return check


def _parse_whole_size(value: Any) -> int:
    if isinstance(value, float):
        raise ValueError(f"a size is a whole number of bytes, not {value}")
    return parse_size(value)


duration = _parsed(parse_duration, 'a duration such as "60s"')
size = _parsed(_parse_whole_size, 'a size such as "10m"')


def ip(value: Any, path: KeyPath, document: Document) -> None:
    try:
        ip_address(str(value).strip("[]"))
    except ValueError:
        raise document.error(path, f"must be an IP address, not {shown(value)}") from None


def network(value: Any, path: KeyPath, document: Document) -> None:
    try:
        ip_network(str(value), strict=False)
    except ValueError:
        raise document.error(path, f"must be an IP address or CIDR, not {shown(value)}") from None


def matching(pattern: str, what: str) -> Check:
    """A string that matches the whole of pattern; `what` says so in words."""

    def check(value: Any, path: KeyPath, document: Document) -> None:
        string(value, path, document)
        if not re.fullmatch(pattern, str(value)):
            raise document.error(path, f"must be {what}, not {shown(value)}")

    return check


@dataclass(frozen=True)
class ListOf:
    """A list whose items all pass `item`."""

    item: Check
    at_least: int = 0

    def __call__(self, value: Any, path: KeyPath, document: Document) -> None:
        if not isinstance(value, list):
            raise document.error(path, f"must be a list, not {shown(value)}")
        if len(value) < self.at_least:
            raise document.error(path, "must not be empty")
        for i, entry in enumerate(value):
            self.item(entry, (*path, i), document)


@dataclass(frozen=True)
class Table:
    """A table; `other` checks the keys not listed, None refuses them. null unsets a key."""

    keys: Mapping[str, Check]
    required: Collection[str] = ()
    other: Check | None = anything

    def __call__(self, value: Any, path: KeyPath, document: Document) -> None:
        if not isinstance(value, dict):
            raise document.error(path, f"must be a table, not {shown(value)}")
        for key in self.required:
            if value.get(key) is None:
                raise document.error(path, f'needs the key "{key}"')
        for key, entry in value.items():
            checker = self.keys.get(key, self.other)
            if checker is None:
                known = ", ".join(sorted(self.keys))
                raise document.error((*path, key), f"unknown key; known here: {known}")
            if entry is not None:
                checker(entry, (*path, key), document)
