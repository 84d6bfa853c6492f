"""Owns the choice of what a list shows: filters, then a page. Mirrors apisix.admin.v3_adapter."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from pygw.admin.address import id_text
from pygw.admin.records import Record
from pygw.admin.refusal import Refusal
from pygw.admin.resources import Resource

_PAGE_SIZES = range(10, 501)


def choose(
    records: Iterable[Record], resource: Resource, query: Mapping[str, str]
) -> tuple[list[Record], int]:
    """The records to show, and how many there are on all pages together.

    query: of the URL: name and uri are regular expressions, label is a label's name, filter holds
    fields=values, page and page_size (both or none) the page. Raises Refusal (400).
    """
    name, uri = _pattern(query, "name"), _pattern(query, "uri")
    fields = dict(parse_qsl(query.get("filter", "")))
    wanted = {key: fields[key] for key in resource.filters if key in fields}
    found = [
        record
        for record in records
        if _has_name(record.value, name)
        and ("label" not in query or _has_label(record.value, query["label"]))
        and _has_uri(record.value, uri)
        and all(_has_field(record.value, key, value) for key, value in wanted.items())
    ]
    return _page(found, query), len(found)


def _pattern(query: Mapping[str, str], argument: str) -> re.Pattern[str] | None:
    if argument not in query:
        return None
    try:
        return re.compile(query[argument])
    except re.error as error:
        raise Refusal(
            400, f"invalid argument {argument}: not a regular expression: {error}"
        ) from None


def _has_name(value: dict[str, Any], pattern: re.Pattern[str] | None) -> bool:
    name = value.get("name")
    return pattern is None or (isinstance(name, str) and bool(pattern.search(name)))


def _has_label(value: dict[str, Any], label: str) -> bool:
    return label in (value.get("labels") or ())


def _has_uri(value: dict[str, Any], pattern: re.Pattern[str] | None) -> bool:
    if pattern is None:
        return True
    uris = [value.get("uri"), *(value.get("uris") or ())]
    return any(isinstance(uri, str) and pattern.search(uri) for uri in uris)


def _has_field(value: dict[str, Any], key: str, wanted: str) -> bool:
    return key in value and id_text(value[key]) == wanted


def _page(records: list[Record], query: Mapping[str, str]) -> list[Record]:
    page, size = _number(query.get("page")), _number(query.get("page_size"))
    if page is None or size is None:
        return records
    if size not in _PAGE_SIZES:
        raise Refusal(400, "page_size must be between 10 and 500")
    start = (max(page, 1) - 1) * size
    return sorted(records, key=lambda record: record.created)[start : start + size]


def _number(text: str | None) -> int | None:
    try:
        return int(text or "")
    except ValueError:
        return None
