"""Owns PUT /plugins/reload: the plugins that config.yaml lists now, in every gateway.

The list goes into the store, where workers see it change. Must never load a plugin itself.
"""

from __future__ import annotations

import logging
from typing import Any

from pygw.admin.records import Records
from pygw.admin.refusal import Refusal
from pygw.config.model import Settings
from pygw.config.settings import BUILT_IN, ConfigError, load
from pygw.vm.checker import Checker

log = logging.getLogger(__name__)


class Reloading:
    """The order to load all plugins again."""

    def __init__(self, settings: Settings, records: Records, checker: Checker) -> None:
        self._settings, self._records, self._checker = settings, records, checker

    def answer(self, method: str) -> str:
        """Reload. Raises Refusal: 405, 503 where config.yaml cannot be used; StoreError."""
        if method != "PUT":
            raise Refusal(
                405, f"please use PUT method to reload the plugins, {method} method is not allowed."
            )
        merged = self._merged()
        names = list(merged.get("plugins") or ())
        listed: list[dict[str, Any]] = [{"name": name} for name in names]
        listed += [{"name": name, "stream": True} for name in merged.get("stream_plugins") or ()]
        self._checker.load_plugins(names)
        self._records.put("plugins", listed)
        return "done"

    def _merged(self) -> Any:
        settings = self._settings
        if settings.source == BUILT_IN:
            return settings.merged
        try:
            return load(settings.base / settings.source).merged
        except ConfigError as error:
            log.error("plugins are not reloaded: %s", error)
            raise Refusal(503, f"the configuration cannot be read: {error}") from None
