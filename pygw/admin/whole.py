"""Owns the judging of a whole configuration, as apisix.yaml holds it: every item of every list.

Must never look into a store: what items refer to may stand in the same document. Mirrors
apisix.admin.config_validate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from pygw.admin import documents
from pygw.admin.address import id_text
from pygw.admin.messages import YAML, Answer, Request, decode, decode_yaml, read_body
from pygw.admin.refusal import Refusal
from pygw.admin.resources import RESOURCES
from pygw.vm.checker import Checker, CheckFailedError

MAX_BODY = 64 * 1024 * 1024  # bytes

# The lists of a configuration: the resources that do not stand below another one, and `plugins`.
LISTS = (*(name for name, resource in RESOURCES.items() if not resource.owners), "plugins")

_BELOW_CONSUMER = "/credentials/"


@dataclass(frozen=True)
class Fault:
    """What is wrong with an item, or with a list's version (then `index` is None)."""

    resource_type: str
    error: str
    resource_id: str | None = None
    index: int | None = None


def version_key(name: str) -> str:
    """The key of the version of a list."""
    return f"{name}_conf_version"


def read(request: Request, checker: Checker) -> dict[str, Any]:
    """The configuration in a request's body, JSON or YAML. Raises Refusal (400, 413)."""
    text = read_body(request, MAX_BODY)
    if not text:
        raise Refusal(400, "invalid request body: empty request body")
    is_yaml = request.headers.get("content-type", "").startswith(YAML)
    value = decode_yaml(text) if is_yaml else decode(text, checker, echo=False)
    if not isinstance(value, dict):
        raise Refusal(400, "invalid request body: it should be an object of lists")
    return value


def validate(request: Request, checker: Checker) -> Answer:
    """Answer /configs/validate: {} or everything that is wrong; nothing is kept."""
    found = [_shown(fault) for fault in faults(checker, read(request, checker))]
    if found:
        raise Refusal(400, "Configuration validation failed", errors=found)
    return Answer(200, {})


def faults(checker: Checker, config: dict[str, Any]) -> Iterator[Fault]:
    """Everything that is wrong with a configuration, list by list."""
    for name in LISTS:
        version = config.get(version_key(name))
        if version is not None and (isinstance(version, bool) or not _is_number(version)):
            yield Fault(name, f"{version_key(name)} must be a number")
        items = config.get(name)
        if items is not None and not isinstance(items, list):
            yield Fault(name, f"{name} must be a list")
        elif items and name != "plugins":
            yield from _item_faults(checker, name, items)


def _item_faults(checker: Checker, name: str, items: list[Any]) -> Iterator[Fault]:
    seen: set[str] = set()
    for index, item in enumerate(items):
        table = item if isinstance(item, dict) else {}
        given = table.get("id", table.get("username") if name == "consumers" else None)
        own = "" if given is None else id_text(given)
        if fault := _fault(checker, name, item):
            yield Fault(name, fault, own, index)
        if own and own in seen:
            what = "username" if name == "consumers" and "id" not in table else "id"
            what = "credential id" if name == "consumers" and "id" in table else what
            yield Fault(name, f"found duplicate {what} {own} in {name}", own, index)
        seen.add(own)


def _fault(checker: Checker, name: str, item: Any) -> str | None:
    if isinstance(item, dict):
        name, item_id, item = _as_stored(name, item)
    else:
        item_id = None
    if name == "secrets" and "/" not in (item_id or ""):
        return f"invalid secret id: {item_id or ''}"
    try:
        return checker.check(name, item_id, documents.write(item))
    except CheckFailedError as error:
        return f"a plugin failed at its check_schema: {error}"


def _as_stored(name: str, item: dict[str, Any]) -> tuple[str, str | None, dict[str, Any]]:
    """Resource, id and document of an item as they would stand in a store."""
    if isinstance(item.get("modifiedIndex"), int):
        item = {key: value for key, value in item.items() if key != "modifiedIndex"}
    item_id = None if item.get("id") is None else id_text(item["id"])
    if name != "consumers":
        return name, item_id, item
    if item_id and _BELOW_CONSUMER in item_id:
        item_id = item_id.partition(_BELOW_CONSUMER)[2]
        return "credentials", item_id, {**item, "id": item_id}
    return name, None, item


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _shown(fault: Fault) -> dict[str, Any]:
    return {key: value for key, value in asdict(fault).items() if value is not None}
