"""Owns what each method does to a resource: read, check, write. Mirrors apisix.admin.resource.

Every write says which revision it replaces, so that none is lost when two clients write at once.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from pygw.admin import decorations, documents, references
from pygw.admin.address import Address, id_text
from pygw.admin.listing import choose
from pygw.admin.records import Record, Records
from pygw.admin.refusal import KeyNotFound, Refusal
from pygw.admin.resources import CONSUMERS, DECORATIONS, SECRETS, SERVICES
from pygw.admin.secrecy import Secrecy
from pygw.vm.checker import Checker

Answer = tuple[int, dict[str, Any]]
Query = Mapping[str, str]

NO_BODY = object()  # unlike None, which is JSON's null

_ATTEMPTS = 20  # at a write while others write the same key: each round, one of them is done
_TIMES = ("create_time", "update_time")


class Handlers:
    """GET, PUT, POST, PATCH and DELETE; each takes the address, the body's value and the query."""

    def __init__(self, records: Records, checker: Checker, secrecy: Secrecy) -> None:
        self._records, self._checker, self._secrecy = records, checker, secrecy

    def get(self, address: Address, body: Any, query: Query) -> Answer:
        """One item, or a list of them."""
        hidden = address.resource.hidden
        if address.id is not None:
            return 200, self._need(address).shown(hidden)
        records = self._records.list(address.parent, address.depth)
        owner = self._owner(address)
        if owner and not owner[1]:
            raise KeyNotFound
        shown, total = choose(records, address.resource, query)
        return 200, {"list": [record.shown(hidden) for record in shown], "total": total}

    def put(self, address: Address, body: Any, query: Query) -> Answer:
        """Create or replace: 201 or 200."""
        document = _given(body)
        ttl = _ttl(query)
        address = self._checked(_identified(address, document), document)
        document = self._sealed(address, document)
        for _ in range(_ATTEMPTS):
            owner = self._needed_owner(address)
            previous, revision = self._records.before(address.path)
            value = _stamped(document, previous) if address.resource.stamped else document
            if self._records.write(address.path, value, revision, ttl, owner):
                return 200 if revision else 201, self._written(address, value)
        raise _contended()

    def post(self, address: Address, body: Any, query: Query) -> Answer:
        """Create under an id of our making: 201."""
        document = _given(body)
        ttl = _ttl(query)
        kind = address.resource.kind
        if address.id is not None or (isinstance(document, dict) and "id" in document):
            raise Refusal(400, f"wrong {kind} id, do not need it")
        _forbid_times(document)
        address = self._checked(address, document)
        document = self._sealed(address, document)
        for _ in range(_ATTEMPTS):
            item_id = f"{self._records.revision() + 1:020d}"  # as APISIX makes them
            target, value = address.with_id(item_id), _stamped({**document, "id": item_id}, {})
            if self._records.write(target.path, value, 0, ttl, self._needed_owner(address)):
                return 201, self._written(target, value)
        raise _contended()

    def patch(self, address: Address, body: Any, query: Query) -> Answer:
        """Change what the body says, or what stands at a path below the item."""
        if address.id is None:
            needs = "no secret id" if address.resource is SECRETS else _missing_id(address)
            raise Refusal(400, needs)
        if body is NO_BODY:
            raise Refusal(400, "missing new configuration")
        if not address.sub_path and not isinstance(body, dict):
            raise Refusal(400, "invalid configuration")
        ttl = _ttl(query)
        for _ in range(_ATTEMPTS):
            record = self._need(address)
            decorations.check_patch(address, body)
            value = _patched(record.value, address.sub_path, body)
            self._checked(_identified(address, value, stamped=True), value)
            value = self._sealed(address, value)
            if self._records.write(address.path, value, record.modified, ttl):
                return 200, self._written(address, value)
        raise _contended()

    def delete(self, address: Address, body: Any, query: Query) -> Answer:
        """Remove an item that nothing uses, or any with force=true."""
        if address.id is None:
            raise Refusal(400, _missing_id(address))
        if query.get("force") != "true":
            references.check_deleted(self._records, address)
        whole = address.resource in (CONSUMERS, SERVICES)  # with what stands below them
        remove = self._records.delete_tree if whole else self._records.delete
        if not remove(address.path):
            raise KeyNotFound
        return 200, {"deleted": "1", "key": self._records.key(address.path)}

    def _checked(self, address: Address, document: Any) -> Address:
        """Check a document wholly; returns the address with the id that a consumer's name is.

        Raises Refusal (400).
        """
        if address.resource is DECORATIONS:
            decorations.bind(self._records, address, document)
        written = documents.write(document)
        fault = self._checker.check(address.resource.name, address.id, written, self._metadata)
        if fault is not None:
            raise Refusal(400, fault)
        if address.resource is CONSUMERS:
            address = address.with_id(document["username"])
        references.check_written(self._records, address, document)
        if address.resource.name == "plugin_metadata":
            document["id"] = address.id
        return address

    def _metadata(self, plugin: str) -> dict[str, Any] | None:
        record = self._records.get(f"plugin_metadata/{plugin}")
        return record.value if record else None

    def _sealed(self, address: Address, document: dict[str, Any]) -> dict[str, Any]:
        return self._secrecy.sealed(address.resource.name, address.id or "", document)

    def _need(self, address: Address) -> Record:
        record = self._records.get(address.path)
        if record is None:
            raise KeyNotFound
        return record

    def _owner(self, address: Address) -> tuple[str, int] | None:
        """The path and revision of what the item stands below; None for all that has no owner."""
        owners = address.resource.owners
        if owners is None:
            return None
        path = f"{owners.name}/{address.owner}"
        return path, self._records.modified(path)

    def _needed_owner(self, address: Address) -> tuple[str, int] | None:
        owner = self._owner(address)
        if owner and not owner[1]:
            assert address.resource.owners
            raise Refusal(404, f"{address.resource.owners.kind} not found")
        return owner

    def _written(self, address: Address, value: dict[str, Any]) -> dict[str, Any]:
        return {"key": self._records.key(address.path), "value": value}


def _given(body: Any) -> Any:
    if body is NO_BODY:
        raise Refusal(400, "missing configurations")
    return body


def _identified(address: Address, document: Any, *, stamped: bool = False) -> Address:
    """Bring the ids of URL and document together, in both. stamped: it may hold its times."""
    if not isinstance(document, dict):  # whoever checks it says so
        return address
    resource = address.resource
    if resource.has_id:
        if address.id is None and (resource is SECRETS or document.get("id") is None):
            raise Refusal(400, _missing_id(address))
        if address.id is None:
            address = address.with_id(id_text(document["id"]))
        elif document.get("id") is None:
            document["id"] = address.id
        elif id_text(document["id"]) != address.id:
            raise Refusal(400, f"wrong {resource.kind} id")
        else:
            document["id"] = address.id  # a number becomes the text that the URL has
    if not stamped:
        _forbid_times(document)
    return address


def _forbid_times(document: Any) -> None:
    if not isinstance(document, dict):
        return
    for place in ("", "upstream", "plugins"):
        table = document.get(place) if place else document
        for name in _TIMES:
            if isinstance(table, dict) and name in table:
                forbidden = f"{place}.{name}" if place else name
                raise Refusal(400, f"the property is forbidden:  {forbidden}")


def _missing_id(address: Address) -> str:
    return f"missing {address.resource.kind} id"


def _stamped(document: dict[str, Any], previous: dict[str, Any]) -> dict[str, Any]:
    now = int(time.time())
    created = previous.get("create_time") or now
    return {**document, "create_time": created, "update_time": now}


def _patched(value: dict[str, Any], sub_path: str, body: Any) -> dict[str, Any]:
    now = int(time.time())
    if sub_path:
        try:
            value = documents.patch(value, sub_path, body)
        except documents.PathError as error:
            raise Refusal(400, f"invalid sub-path: /{error}") from None
        return {**value, "create_time": value.get("create_time", now), "update_time": now}
    value = documents.merge(value, body)
    created, updated = value.get("create_time", now), body.get("update_time") or now
    return {**value, "create_time": created, "update_time": updated}


def _ttl(query: Query) -> int | None:
    if "ttl" not in query:
        return None
    try:
        ttl = float(query["ttl"])
    except ValueError:
        raise Refusal(400, "invalid argument ttl: should be a number") from None
    if not 1 <= ttl < 2**31:
        raise Refusal(400, "invalid argument ttl: should be a number of seconds, 1 or more")
    return int(ttl)


def _contended() -> Refusal:
    return Refusal(503, "value changed before overwritten")
