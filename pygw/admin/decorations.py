"""Owns what is particular to GraphQL cost decorations: each belongs to the service in its URL.

Must never write. Mirrors apisix.admin.graphql_cost_decorations.
"""

from __future__ import annotations

from typing import Any

from pygw.admin.address import Address, id_text
from pygw.admin.records import Records
from pygw.admin.refusal import Refusal
from pygw.admin.resources import DECORATIONS


def bind(records: Records, address: Address, document: Any) -> None:
    """Write the service's id into a decoration.

    Refuses (404, 400) an unknown service, and what contradicts it or its other decorations.
    """
    if not isinstance(document, dict):
        raise Refusal(400, "invalid configuration")
    if id_text(document.get("service_id", address.owner)) != address.owner:
        raise Refusal(400, "wrong service_id, it is taken from the path")
    if not records.modified(f"services/{address.owner}"):
        raise Refusal(404, "service not found")
    wanted = document.get("field_path")
    for record in records.list(address.parent) if wanted else ():
        if record.value.get("field_path") == wanted and record.id != address.id:
            raise Refusal(
                400,
                f"field_path {wanted} is already decorated on this service by [{record.id}]",
            )
    document["service_id"] = address.owner


def check_patch(address: Address, changes: Any) -> None:
    """Refuse (400) a patch that would give a decoration to another service."""
    if address.resource is not DECORATIONS:
        return
    if address.sub_path == "service_id" or (
        not address.sub_path and isinstance(changes, dict) and "service_id" in changes
    ):
        raise Refusal(400, "service_id can not be patched")
