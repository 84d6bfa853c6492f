"""Owns the way of documents to and from their stored form, in which secrets are encrypted.

What is secret the plugins say, in Lua; only those texts are replaced, all else of a document stays
as it is. Must never know a key or a cipher.
"""

from __future__ import annotations

import copy
from typing import Any

from pygw.admin import documents
from pygw.vm.checker import Change, Checker


class Secrecy:
    """Seals documents that were checked and opens stored ones; does neither without a keyring.

    resource: the directory, such as "routes". item_id: of plugin_metadata the plugin's name.
    """

    def __init__(self, checker: Checker) -> None:
        self._checker, self._active = checker, checker.has_secrecy()

    def sealed(self, resource: str, item_id: str, document: dict[str, Any]) -> dict[str, Any]:
        """The document as it is to be stored."""
        if not self._active:
            return document
        text = documents.write(document)
        return _changed(document, self._checker.sealed(resource, item_id, text))

    def opened(self, resource: str, item_id: str, document: dict[str, Any]) -> dict[str, Any]:
        """The document as it was given."""
        if not self._active:
            return document
        text = documents.write(document)
        return _changed(document, self._checker.opened(resource, item_id, text))


def _changed(document: dict[str, Any], changes: list[Change]) -> dict[str, Any]:
    if not changes:
        return document
    document = copy.deepcopy(document)
    for (*way, last), text in changes:
        place: Any = document
        for step in way:
            place = place[step]
        place[last] = text
    return document
