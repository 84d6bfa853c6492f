"""Owns the reading of URLs: which resource, which item, what below it. Never touches the store."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from pygw.admin.refusal import Refusal
from pygw.admin.resources import RESOURCES, SECRETS, Resource


@dataclass(frozen=True)
class Address:
    """What a URL means. `parent` is the store's directory of the resource's items.

    id: the item's key below the parent, None for all of them; sub_path: what follows in the URL.
    owner: the id of the item that it stands below, of a credential its consumer's name.
    depth: segments of an id.
    """

    resource: Resource
    parent: str
    id: str | None = None
    sub_path: str = ""
    owner: str | None = None
    depth: int = 1

    @property
    def path(self) -> str:
        """The item's path in the store."""
        return f"{self.parent}/{self.id}"

    def with_id(self, item_id: str) -> Address:
        """The address of an item whose id stands in its document."""
        return replace(self, id=item_id)


def parse(segments: list[str]) -> Address:
    """The address in the segments after /apisix/admin/. Raises Refusal (404)."""
    name, *rest = segments
    owned = RESOURCES.get(rest[1]) if len(rest) > 1 else None
    if owned and owned.owners and owned.owners.name == name:
        item_id, sub_path = _split(rest[2:])
        return Address(owned, "/".join([name, *rest[:2]]), item_id, sub_path, owner=rest[0])
    resource = RESOURCES.get(name)
    if resource is None or resource.owners:
        raise Refusal(404, f"Unsupported resource type: {name}")
    if resource is SECRETS:
        return _secret(rest)
    item_id, sub_path = _split(rest)
    return Address(resource, name, item_id, sub_path)


def id_text(value: Any) -> str:
    """An id as it stands in a key: 1 and 1.0 are "1", as in Lua."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) else str(value)


def _secret(rest: list[str]) -> Address:
    """A secret's id is <manager>/<id>; a manager alone names all of its secrets."""
    if len(rest) < 2:
        parent = "/".join(["secrets", *rest])
        return Address(SECRETS, parent, depth=2 - len(rest))
    return Address(SECRETS, "secrets", "/".join(rest[:2]), "/".join(rest[2:]), depth=2)


def _split(rest: list[str]) -> tuple[str | None, str]:
    return (rest[0] if rest else None), "/".join(rest[1:])
