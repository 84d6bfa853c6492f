"""Owns the step from a merged and checked configuration to typed Settings.

Must never read a file; a key that null removed and that pygw cannot do without is an error here.
"""

from __future__ import annotations

import os
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from pygw import __version__
from pygw.config.listening import addresses
from pygw.config.model import Admin, AdminKey, Etcd, Http, Listen, Settings, Tls
from pygw.config.proxying import disk_zones, memory_zones, mirror_timeouts
from pygw.config.tree import Tree
from pygw.config.units import parse_duration, parse_size
from pygw.config.yamlfile import Document
from pygw.paths import PLUGINS_DIR

# As APISIX has them in nginx.conf: the cache of TLS sessions that all workers share, how long one
# may be resumed, how deep the chains of those may be whom the gateway speaks to.
_SESSIONS, _SESSION_TIMEOUT, _VERIFY_DEPTH = "SSL:20m", 600, 5
# Who loads it has every gateway write to the store, so one has to ask for it, as in APISIX.
_UNASKED = {"server-info"}
_SYSTEM_TRUST = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
)


def build(
    merged: dict[str, Any], document: Document, base: Path, warnings: tuple[str, ...] = ()
) -> Settings:
    """Return the Settings for `merged`; relative paths start at `base`. Raises ConfigError."""
    merged = _sorted_out(merged)
    tree = Tree(merged, document, base)
    role = tree.need("deployment.role")
    listen, admin = addresses(tree), _admin(tree, role)
    if admin.enabled and admin.listen.port:
        for address in listen:
            if str(address) == str(admin.listen):
                path = ("deployment", "admin", "admin_listen")
                name = "ssl.listen" if address.tls else "node_listen"
                raise document.error(path, f"{address} is one of apisix.{name}")
    error_log = tree.need("nginx_config.error_log")
    return Settings(
        merged=merged,
        source=document.file,
        base=base,
        listen=listen,
        workers=_workers(tree),
        role=role,
        provider=_provider(tree.need(f"deployment.role_{role}.config_provider")),
        http=_http(tree),
        tls=_tls(tree),
        admin=admin,
        etcd=_etcd(tree),
        embedded_path=tree.path("deployment.embedded.path"),
        yaml_path=tree.path("deployment.yaml.path"),
        error_log=None if error_log == "stderr" else (base / error_log).absolute(),
        error_log_level=tree.need("nginx_config.error_log_level"),
        pid_file=tree.path("pygw.pid"),
        worker_shutdown_timeout=tree.seconds("nginx_config.worker_shutdown_timeout"),
        max_pending_timers=tree.need("nginx_config.max_pending_timers"),
        max_running_timers=tree.need("nginx_config.max_running_timers"),
        worker_rlimit_nofile=tree.need("nginx_config.worker_rlimit_nofile"),
        shared_dicts=_shared_dicts(tree),
        lua_paths=_lua_paths(tree, "apisix.extra_lua_path"),
        lua_cpaths=_lua_paths(tree, "apisix.extra_lua_cpath"),
        plugin_dirs=tuple((base / d).absolute() for d in tree.get("pygw.plugin_dirs", [])),
        python_plugins=tuple(tree.get("pygw.python_plugins", [])),
        entry_points=tree.need("pygw.entry_points"),
        watchdog_timeout=tree.need("pygw.watchdog_timeout"),
        strict_phases=tree.need("pygw.strict_phases"),
        watch_plugins=tree.need("pygw.watch_plugins"),
        plugins=tuple(tree.get("plugins", [])),
        warnings=warnings,
    )


def _provider(name: str) -> str:
    """A file is a file: its form is told by its name."""
    return "yaml" if name == "json" else name


def _sorted_out(merged: dict[str, Any]) -> dict[str, Any]:
    """The configuration with what is Python's among `plugins` where it belongs."""
    listed = merged.get("plugins") or []
    found = [name for name in listed if _is_python(name)]
    if not found:
        return merged
    own = merged.get("pygw") or {}
    return {
        **merged,
        "plugins": [name for name in listed if name not in found],
        "pygw": {**own, "python_plugins": [*(own.get("python_plugins") or []), *found]},
    }


def _is_python(name: str) -> bool:
    """Whether an entry of `plugins` is a Python file, or a class as `package.module:Class`."""
    return name.endswith(".py") or ":" in name


def stock_plugins() -> list[str]:
    """Names of the Lua plugins that pygw ships, the default of `plugins`: all that need no word."""
    return sorted({path.stem for path in PLUGINS_DIR.glob("*.lua")} - _UNASKED)


def _workers(tree: Tree) -> int:
    if tree.get("apisix.enable_dev_mode"):
        return 1
    value = tree.need("nginx_config.worker_processes")
    return len(os.sched_getaffinity(0)) if value == "auto" else int(value)


def _http(tree: Tree) -> Http:
    http = "nginx_config.http"
    count, size = tree.need(f"{http}.large_client_header_buffers").split()
    tokens = tree.get("apisix.enable_server_tokens", False)
    return Http(
        client_header_timeout=tree.seconds(f"{http}.client_header_timeout"),
        client_body_timeout=tree.seconds(f"{http}.client_body_timeout"),
        client_header_size=int(count) * parse_size(size),
        client_header_line_size=parse_size(size),
        client_max_body_size=parse_size(tree.need(f"{http}.client_max_body_size")),
        send_timeout=tree.seconds(f"{http}.send_timeout"),
        keepalive_timeout=tree.seconds(f"{http}.keepalive_timeout"),
        keepalive_requests=tree.need(f"{http}.keepalive_requests"),
        upstream_keepalive=tree.need(f"{http}.upstream.keepalive"),
        upstream_keepalive_timeout=tree.seconds(f"{http}.upstream.keepalive_timeout"),
        upstream_keepalive_requests=tree.need(f"{http}.upstream.keepalive_requests"),
        server_tokens=f"pygw/{__version__}" if tokens else "pygw",
        **mirror_timeouts(tree.get("plugin_attr", {}), tree.document),
        proxy_cache_path=disk_zones(tree.get("apisix.proxy_cache.zones", []), tree.base),
        proxy_cache_valid=parse_duration(tree.get("apisix.proxy_cache.cache_ttl", "10s")),
    )


def _admin(tree: Tree, role: str) -> Admin:
    admin = "deployment.admin"
    keys = tree.get(f"{admin}.admin_key", [])
    found = Admin(
        enabled=role == "control_plane"
        or (role == "traditional" and tree.get("apisix.enable_admin", False)),
        listen=Listen(
            tree.get(f"{admin}.admin_listen.ip", "0.0.0.0").strip("[]"),
            tree.need(f"{admin}.admin_listen.port"),
        ),
        key_required=tree.get(f"{admin}.admin_key_required", True),
        keys=tuple(AdminKey(k["name"], k.get("key") or "", k["role"]) for k in keys),
        allow=tuple(tree.get(f"{admin}.allow_admin", [])),
        cors=tree.get(f"{admin}.enable_admin_cors", False),
    )
    is_open = found.enabled and not ip_address(found.listen.ip).is_loopback
    if is_open and found.key_required and not all(key.key for key in found.keys):
        reason = f"an empty key is refused where the Admin API listens on {found.listen.ip}"
        raise tree.document.error(("deployment", "admin", "admin_key"), reason)
    return found


def _etcd(tree: Tree) -> Etcd:
    etcd = "deployment.etcd"
    return Etcd(
        host=tuple(tree.need(f"{etcd}.host")),
        prefix=tree.need(f"{etcd}.prefix").rstrip("/"),
        timeout=tree.need(f"{etcd}.timeout"),
        user=tree.get(f"{etcd}.user"),
        password=tree.get(f"{etcd}.password"),
        cert=tree.get(f"{etcd}.tls.cert"),
        key=tree.get(f"{etcd}.tls.key"),
        verify=tree.get(f"{etcd}.tls.verify", True),
        sni=tree.get(f"{etcd}.tls.sni"),
    )


def _tls(tree: Tree) -> Tls:
    ssl = "apisix.ssl"
    certificate, key = (tree.get(f"{ssl}.{name}", None) for name in ("ssl_cert", "ssl_cert_key"))
    if bool(certificate) != bool(key):
        given, missing = (
            ("ssl_cert", "ssl_cert_key") if certificate else ("ssl_cert_key", "ssl_cert")
        )
        path = ("apisix", "ssl", given)
        raise tree.document.error(path, f"is of no use without apisix.ssl.{missing}")
    return Tls(
        ssl_protocols=tree.need(f"{ssl}.ssl_protocols"),
        ssl_ciphers=tree.need(f"{ssl}.ssl_ciphers"),
        ssl_prefer_server_ciphers=True,
        ssl_session_tickets=tree.need(f"{ssl}.ssl_session_tickets"),
        ssl_session_cache=f"shared:{_SESSIONS}",
        ssl_session_timeout=_SESSION_TIMEOUT,
        ssl_certificate=str(tree.base / certificate) if certificate else False,
        ssl_certificate_key=str(tree.base / key) if key else False,
        lua_ssl_trusted_certificate=_trusted(tree) or False,
        lua_ssl_verify_depth=_VERIFY_DEPTH,
    )


def _trusted(tree: Tree) -> str | None:
    """The file of those whom the gateway trusts as a client; "system" is what the machine has."""
    value = tree.get("apisix.ssl.ssl_trusted_certificate", "system")
    if value == "system":
        return next((path for path in _SYSTEM_TRUST if Path(path).exists()), None)
    return str(tree.base / value)


def _shared_dicts(tree: Tree) -> dict[str, int]:
    """Every ngx.shared.DICT by name, with its bytes; the user's own win over APISIX's."""
    sizes: dict[str, Any] = memory_zones(tree.get("apisix.proxy_cache.zones", []))
    for key in ("meta.lua_shared_dict", "http.lua_shared_dict", "http.custom_lua_shared_dict"):
        sizes.update(tree.get(f"nginx_config.{key}", {}))
    if "cas-auth" in sizes:  # the one whose key is not its name
        sizes.setdefault("cas_sessions", sizes["cas-auth"])
    if tree.get("apisix.ssl.enable", False):
        name, _, size = _SESSIONS.partition(":")
        sizes[f"ssl:{name}"] = size
    return {name: parse_size(size) for name, size in sizes.items()}


def _lua_paths(tree: Tree, key: str) -> tuple[str, ...]:
    parts = (part.strip() for part in tree.get(key, "").split(";"))
    return tuple(str(tree.base / part) for part in parts if part)
