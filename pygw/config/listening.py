"""Owns the addresses at which workers listen, as config.yaml says them.

Must never open a socket.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pygw.config.model import Listen
from pygw.config.tree import Tree
from pygw.config.yamlfile import KeyPath

_LOCAL = "127.0.0.1"
_METRICS_PORT, _CONTROL_PORT, _STATUS_PORT = 9091, 9090, 7085
_SITES = {
    "metrics": ("plugin_attr", "prometheus", "export_addr"),
    "control": ("apisix", "control"),
    "status": ("apisix", "status"),
}


def addresses(tree: Tree) -> tuple[Listen, ...]:
    """Those of apisix.node_listen, over TLS of apisix.ssl.listen, and of what has a server apart.

    Raises ConfigError for one that is given twice.
    """
    found = _addresses(tree, "apisix.node_listen", tls=False)
    if tree.get("apisix.ssl.enable", False):
        found += _addresses(tree, "apisix.ssl.listen", tls=True)
    chosen = any(not address.port for address in found)
    found += [*_metrics(tree), *_control(tree, chosen), *_status(tree)]
    for i, address in enumerate(found):
        if address.port and str(address) in map(str, found[:i]):
            key: KeyPath = ("apisix", "ssl", "listen") if address.tls else ("apisix", "node_listen")
            key = _SITES.get(address.site, key)
            raise tree.document.error(key, f"{address} is given twice")
    return tuple(found)


def _metrics(tree: Tree) -> list[Listen]:
    """The address of the plugin prometheus' own server, where config.yaml asks for one."""
    prometheus = "plugin_attr.prometheus"
    address = tree.get(f"{prometheus}.export_addr")
    if not tree.get(f"{prometheus}.enable_export_server", address is not None):
        return []
    if "prometheus" not in tree.get("plugins", []):
        return []
    return [_site("metrics", address or {}, _METRICS_PORT)]


def _control(tree: Tree, chosen: bool) -> list[Listen]:
    """The Control API's address. `chosen`: the kernel chooses a port of the gateway's own.

    Such a gateway is one of many on its machine, so the default port is not its to take.
    """
    address = tree.get("apisix.control")
    if not tree.get("apisix.enable_control", False) or (address is None and chosen):
        return []
    return [_site("control", address or {}, _CONTROL_PORT)]


def _status(tree: Tree) -> list[Listen]:
    """The address of the status, where config.yaml asks for one."""
    address = tree.get("apisix.status")
    return [] if address is None else [_site("status", address, _STATUS_PORT)]


def _site(site: str, address: dict[str, Any], port: int) -> Listen:
    return Listen(address.get("ip", _LOCAL).strip("[]"), address.get("port", port), site=site)


def _addresses(tree: Tree, key: str, tls: bool) -> list[Listen]:
    """Addresses under a key; without an `ip`, IPv4 and (enable_ipv6) IPv6, as APISIX."""
    value = tree.need(key)
    both = tree.get("apisix.enable_ipv6", False) and has_ipv6()
    found: list[Listen] = []
    for entry in value if isinstance(value, list) else [value]:
        port = entry["port"] if isinstance(entry, dict) else entry
        ip = entry.get("ip") if isinstance(entry, dict) else None
        found.append(Listen(ip.strip("[]") if ip else "0.0.0.0", port, tls))
        if not ip and both and port:  # two kernel-chosen ports would not be one address
            found.append(Listen("::", port, tls))
    return found


def has_ipv6() -> bool:
    """Whether this kernel has IPv6: containers are often without it."""
    try:
        return bool(Path("/proc/net/if_inet6").read_text())
    except OSError:
        return False
