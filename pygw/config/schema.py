"""Owns which keys config.yaml has and what each may hold; the names are APISIX's.

Keys that it does not list are accepted: an APISIX configuration must load unchanged, and Lua
plugins read keys of their own. Only below `pygw:` is an unknown key an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from pygw.config import checks as c
from pygw.config.checks import Check, ListOf, Table, one_of
from pygw.config.units import parse_size
from pygw.config.yamlfile import Document, KeyPath, dotted

LOG_LEVELS = ("emerg", "alert", "crit", "error", "warn", "notice", "info", "debug")
SHARED_DICT_SIZES = (
    12 << 10,
    4 << 30,
)  # bytes, least and most, as lua/ngx/shdict/init.lua has them
PROVIDERS = {
    "traditional": ("embedded", "etcd", "yaml"),
    "control_plane": ("etcd",),
    "data_plane": ("etcd", "yaml", "json"),
}


def _listen(value: Any, path: KeyPath, document: Document) -> None:
    if not isinstance(value, list):
        return c.port(value, path, document)
    if not value:
        raise document.error(path, "must name at least one port")
    for i, entry in enumerate(value):
        check = _LISTEN_TABLE if isinstance(entry, dict) else c.port
        check(entry, (*path, i), document)
    return None


def _worker_processes(value: Any, path: KeyPath, document: Document) -> None:
    if value != "auto" and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        reason = f'must be "auto" or an integer of at least 1, not {c.shown(value)}'
        raise document.error(path, reason)


def _provider(role: str) -> Check:
    return Table({"config_provider": one_of(*PROVIDERS[role])}, required=["config_provider"])


def _shared_dict(value: Any, path: KeyPath, document: Document) -> None:
    c.size(value, path, document)
    if not SHARED_DICT_SIZES[0] <= parse_size(value) <= SHARED_DICT_SIZES[1]:
        raise document.error(path, f"a shared dictionary has from 12k to 4g, not {c.shown(value)}")


_LISTEN_TABLE = Table({"ip": c.ip, "port": c.port}, required=["port"])
_SHARED_DICTS = Table({}, other=_shared_dict)
_HEADER_BUFFERS = c.matching(r"[1-9]\d*\s+\d+[kKmM]?", 'a count and a size such as "4 8k"')
_PROTOCOLS = c.matching(
    r"TLSv1(\.[123])?( +TLSv1(\.[123])?)*", 'names such as "TLSv1.2 TLSv1.3", with spaces between'
)
_KEYRING_KEY = c.matching(r".{16}|.{32}", "a string of 16 or 32 characters")


def _keyring(value: Any, path: KeyPath, document: Document) -> None:
    check = ListOf(_KEYRING_KEY) if isinstance(value, list) else _KEYRING_KEY
    check(value, path, document)


_CACHE_ZONE = Table(
    {
        "name": c.string,
        "memory_size": _shared_dict,
        "disk_size": c.size,
        "disk_path": c.string,
        "cache_levels": c.matching(r"[12](:[12]){0,2}", 'up to three numbers such as "1:2"'),
    },
    required=["name", "memory_size"],
)


_CONTROL_ROUTERS = ("radixtree_uri", "radixtree_uri_with_parameter")

APISIX = Table(
    {
        "node_listen": _listen,
        "enable_admin": c.boolean,
        "enable_control": c.boolean,
        "control": Table({"ip": c.ip, "port": c.port, "router": one_of(*_CONTROL_ROUTERS)}),
        "status": Table({"ip": c.ip, "port": c.port}),
        "enable_debug": c.boolean,
        "enable_dev_mode": c.boolean,
        "enable_ipv6": c.boolean,
        "enable_server_tokens": c.boolean,
        "extra_lua_path": c.string,
        "extra_lua_cpath": c.string,
        "lua_module_hook": c.matching(r"[a-zA-Z._-]+", "the name of a Lua module"),
        "id": c.string,
        "show_upstream_status_in_response_header": c.boolean,
        "delete_uri_tail_slash": c.boolean,
        "normalize_uri_like_servlet": c.boolean,
        "match_uri_encoded_slash": c.boolean,
        "max_post_args_readable_size": c.integer(0),
        "router": Table(
            {
                "http": one_of(
                    "radixtree_host_uri", "radixtree_uri", "radixtree_uri_with_parameter"
                ),
                "ssl": one_of("radixtree_sni"),
            }
        ),
        "ssl": Table(
            {
                "enable": c.boolean,
                "listen": _listen,
                "ssl_protocols": _PROTOCOLS,
                "ssl_ciphers": c.string,
                "ssl_session_tickets": c.boolean,
                "ssl_trusted_certificate": c.string,
                "ssl_cert": c.string,
                "ssl_cert_key": c.string,
                "fallback_sni": c.string,
            }
        ),
        "proxy_mode": one_of("http", "stream", "http&stream"),
        "dns_resolver": ListOf(c.string, at_least=1),
        "dns_resolver_valid": c.integer(0),
        "trusted_addresses": ListOf(c.network, at_least=1),
        "worker_startup_time_threshold": c.number(0),
        "proxy_cache": Table({"cache_ttl": c.duration, "zones": ListOf(_CACHE_ZONE)}),
        "data_encryption": Table({"enable_encrypt_fields": c.boolean, "keyring": _keyring}),
    }
)

HTTP = Table(
    {
        "keepalive_timeout": c.duration,
        "keepalive_requests": c.integer(1),
        "client_header_timeout": c.duration,
        "client_body_timeout": c.duration,
        "client_max_body_size": c.size,
        "send_timeout": c.duration,
        "large_client_header_buffers": _HEADER_BUFFERS,
        "upstream": Table(
            {
                "keepalive": c.integer(0),
                "keepalive_requests": c.integer(1),
                "keepalive_timeout": c.duration,
            }
        ),
        "lua_shared_dict": _SHARED_DICTS,
        "custom_lua_shared_dict": _SHARED_DICTS,
    }
)

NGINX = Table(
    {
        "error_log": c.string,
        "error_log_level": one_of(*LOG_LEVELS),
        "worker_processes": _worker_processes,
        "worker_rlimit_nofile": c.integer(1),
        "worker_shutdown_timeout": c.duration,
        "max_pending_timers": c.integer(1),
        "max_running_timers": c.integer(1),
        "meta": Table({"lua_shared_dict": _SHARED_DICTS}),
        "http": HTTP,
    }
)

ADMIN = Table(
    {
        "admin_key_required": c.boolean,
        "admin_key": ListOf(
            Table(
                {"name": c.string, "key": c.string, "role": one_of("admin", "viewer")},
                required=["name", "role"],
            )
        ),
        "enable_admin_cors": c.boolean,
        "allow_admin": ListOf(c.network),
        "admin_listen": Table({"ip": c.ip, "port": c.port}),
        "admin_api_version": one_of("v3"),
    }
)

ETCD = Table(
    {
        "host": ListOf(
            c.matching(r"https?://.+", 'a URL such as "http://127.0.0.1:2379"'), at_least=1
        ),
        "prefix": c.matching(r"/.*", 'a path such as "/apisix"'),
        "timeout": c.number(1),
        "watch_timeout": c.number(1),
        "resync_delay": c.number(0),
        "health_check_timeout": c.number(-1),
        "startup_retry": c.integer(0),
        "user": c.string,
        "password": c.string,
        "tls": Table({"cert": c.string, "key": c.string, "verify": c.boolean, "sni": c.string}),
    }
)

DEPLOYMENT = Table(
    {
        "role": one_of(*PROVIDERS),
        **{f"role_{role}": _provider(role) for role in PROVIDERS},
        "admin": ADMIN,
        "etcd": ETCD,
        "embedded": Table({"path": c.string}, other=None),
        "yaml": Table({"path": c.string}, other=None),
    }
)

PROMETHEUS = Table(
    {
        "enable_export_server": c.boolean,
        "export_addr": Table({"ip": c.ip, "port": c.port}),
        "export_uri": c.string,
        "metric_prefix": c.string,
        "refresh_interval": c.number(0.1),
    }
)

PYGW = Table(
    {
        "pid": c.string,
        "plugin_dirs": ListOf(c.string),
        "python_plugins": ListOf(c.string),
        "entry_points": c.boolean,
        "watchdog_timeout": c.number(0),
        "strict_phases": c.boolean,
        "watch_plugins": c.boolean,
    },
    other=None,
)

ROOT = Table(
    {
        "apisix": APISIX,
        "nginx_config": NGINX,
        "deployment": DEPLOYMENT,
        "plugins": ListOf(c.string),
        "stream_plugins": ListOf(c.string),
        "plugin_attr": Table({"prometheus": PROMETHEUS}, other=Table({})),
        "graphql": Table({"max_size": c.integer(1)}),
        "pygw": PYGW,
    }
)


def suspicious_keys(value: Any, check: Check = ROOT, path: KeyPath = ()) -> Iterator[str]:
    """Yield "apisix.node_lisen: unknown key; did you mean node_listen?" for likely slips."""
    if not isinstance(check, Table) or not isinstance(value, dict):
        return
    for key, entry in value.items():
        if key in check.keys:
            yield from suspicious_keys(entry, check.keys[key], (*path, key))
        elif near := get_close_matches(key, [k for k in check.keys if k not in value], 1, 0.85):
            yield f"{dotted((*path, key))}: unknown key; did you mean {near[0]}?"


def wants_string(path: KeyPath, check: Check | None = ROOT) -> bool:
    """Whether the key at `path` is one that holds a string."""
    if not path:
        return check is c.string
    if isinstance(check, Table):
        return wants_string(path[1:], check.keys.get(str(path[0]), check.other))
    return isinstance(check, ListOf) and wants_string(path[1:], check.item)
