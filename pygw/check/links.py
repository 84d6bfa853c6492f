"""Owns what items mean to one another: ids that stand twice, and references to what is not there.

Must never judge an item by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pygw.admin.address import id_text
from pygw.admin.resources import RESOURCES
from pygw.config.yamlfile import KeyPath

Item = dict[str, Any]
Ids = Mapping[str, Mapping[str, Any]]  # directory -> id -> item


class Link(NamedTuple):
    """A place in an item that holds the id of an item of another directory."""

    path: KeyPath
    directory: str
    kind: str
    wanted: str


def broken_links(directory: str, item: Item, ids: Ids) -> Iterator[tuple[KeyPath, str]]:
    """The path of each reference of an item to what does not exist, and what to say of it."""
    for link in _links(directory, item):
        found = ids.get(link.directory, {}).get(link.wanted)
        if found is None:
            yield link.path, f"there is no {link.kind} with the id {link.wanted}"
        elif link.directory == "ssls" and _table(found).get("type") != "client":
            yield link.path, f'the ssl with the id {link.wanted} is not of the type "client"'


def _links(directory: str, item: Item) -> Iterator[Link]:
    for reference in RESOURCES[directory].references if directory in RESOURCES else ():
        yield from _link(item, (reference.field,), reference.directory, reference.kind)
    certificate = ("tls", "client_cert_id")
    if directory == "upstreams":
        yield from _link(item, certificate, "ssls", "ssl")
    yield from _link(item, ("upstream", *certificate), "ssls", "ssl")
    if directory == "stream_routes":
        yield from _link(item, ("protocol", "superior_id"), directory, "stream route")
    yield from _link(item, ("plugins", "grpc-transcode", "proto_id"), "protos", "proto")
    yield from _traffic_split(item)


def _traffic_split(item: Item) -> Iterator[Link]:
    above: KeyPath = ("plugins", "traffic-split", "rules")
    rules = _at(item, above)
    for i, rule in enumerate(rules if isinstance(rules, list) else ()):
        upstreams = _table(rule).get("weighted_upstreams")
        for j, upstream in enumerate(upstreams if isinstance(upstreams, list) else ()):
            below = (*above, i, "weighted_upstreams", j)
            for link in _link(_table(upstream), ("upstream_id",), "upstreams", "upstream"):
                yield link._replace(path=below + link.path)


def _link(item: Item, path: KeyPath, directory: str, kind: str) -> Iterator[Link]:
    value = _at(item, path)
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        yield Link(path, directory, kind, id_text(value))


def _at(value: Any, path: KeyPath) -> Any:
    for part in path:
        value = _table(value).get(str(part))
    return value


def _table(value: Any) -> Item:
    return value if isinstance(value, dict) else {}
