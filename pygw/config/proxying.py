"""Owns what config.yaml says of proxying: zones of caches, timeouts of mirrors.

Must never read a file; schema.py has checked the zones already.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pygw.config.units import parse_duration, parse_size
from pygw.config.yamlfile import Document

_INACTIVE = 86400.0  # seconds after which a cached response goes that nobody asks for
_MIRROR = ("connect", "read", "send")


def disk_zones(zones: list[dict[str, Any]], base: Path) -> dict[str, dict[str, Any]]:
    """The zones with files, as the setting proxy_cache_path has them."""
    return {
        zone["name"]: {
            "path": str(base / zone["disk_path"]),
            "levels": str(zone["cache_levels"]),
            "max_size": parse_size(zone["disk_size"]),
            "inactive": _INACTIVE,
        }
        for zone in zones
        if _on_disk(zone)
    }


def memory_zones(zones: list[dict[str, Any]]) -> dict[str, Any]:
    """The other zones: shared dictionaries, name -> size as it is written."""
    return {zone["name"]: zone["memory_size"] for zone in zones if not _on_disk(zone)}


def _on_disk(zone: dict[str, Any]) -> bool:
    return all(zone.get(key) for key in ("disk_path", "cache_levels", "disk_size"))


def mirror_timeouts(plugin_attr: dict[str, Any], document: Document) -> dict[str, float]:
    """The settings mirror_…_timeout, of plugin_attr.proxy-mirror.timeout. Raises ConfigError."""
    given = (plugin_attr.get("proxy-mirror") or {}).get("timeout") or {}
    found = {}
    for name in _MIRROR:
        try:
            found[f"mirror_{name}_timeout"] = parse_duration(given.get(name) or "60s")
        except ValueError as error:
            path = ("plugin_attr", "proxy-mirror", "timeout", name)
            raise document.error(path, f"is {error}") from None
    return found
