"""Owns the shape of the settings: immutable, typed, and able to travel to a worker as JSON.

Must never read a file or judge a value; `settings.py` does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Listen:
    """One address to listen on; port 0 lets the kernel choose. tls: HTTPS is spoken there.

    site: what answers there, "" (the gateway's routes), "metrics", "control" or "status".
    """

    ip: str
    port: int
    tls: bool = False
    site: str = ""

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


@dataclass(frozen=True)
class Http:
    """Limits of the HTTP server under the names of lua/server/settings.lua; seconds, bytes."""

    client_header_timeout: float
    client_body_timeout: float
    client_header_size: int
    client_header_line_size: int
    client_max_body_size: int
    send_timeout: float
    keepalive_timeout: float
    keepalive_requests: int
    upstream_keepalive: int
    upstream_keepalive_timeout: float
    upstream_keepalive_requests: int
    server_tokens: str
    mirror_connect_timeout: float
    mirror_read_timeout: float
    mirror_send_timeout: float
    proxy_cache_path: Mapping[str, Mapping[str, Any]]
    proxy_cache_valid: float


@dataclass(frozen=True)
class Tls:
    """TLS under the names of lua/server/settings.lua; paths as text, False for none."""

    ssl_protocols: str
    ssl_ciphers: str
    ssl_prefer_server_ciphers: bool
    ssl_session_tickets: bool
    ssl_session_cache: str
    ssl_session_timeout: float
    ssl_certificate: str | bool
    ssl_certificate_key: str | bool
    lua_ssl_trusted_certificate: str | bool
    lua_ssl_verify_depth: int


@dataclass(frozen=True)
class AdminKey:
    """A key of the Admin API; role "admin" may write, "viewer" may read."""

    name: str
    key: str
    role: str


@dataclass(frozen=True)
class Admin:
    """The Admin API; `allow` holds CIDRs, empty for everyone."""

    enabled: bool
    listen: Listen
    key_required: bool
    keys: tuple[AdminKey, ...]
    allow: tuple[str, ...]
    cors: bool


@dataclass(frozen=True)
class Etcd:
    """How to reach etcd; `timeout` in seconds. How it is followed is read in Lua."""

    host: tuple[str, ...]
    prefix: str
    timeout: float
    user: str | None
    password: str | None
    cert: str | None
    key: str | None
    verify: bool
    sni: str | None


@dataclass(frozen=True)
class Settings:
    """All that config.yaml decides.

    `merged` is the whole configuration as Lua sees it; the typed fields are what Python uses.
    `base` is the directory that relative paths start from; `provider` is "embedded", "etcd" or
    "yaml" (a file, JSON too); `error_log` None means stderr; `shared_dicts` are name -> bytes.
    """

    merged: Mapping[str, Any]
    source: str
    base: Path
    listen: tuple[Listen, ...]
    workers: int
    role: str
    provider: str
    http: Http
    tls: Tls
    admin: Admin
    etcd: Etcd
    embedded_path: Path
    yaml_path: Path
    error_log: Path | None
    error_log_level: str
    pid_file: Path
    worker_shutdown_timeout: float
    max_pending_timers: int
    max_running_timers: int
    worker_rlimit_nofile: int
    shared_dicts: Mapping[str, int]
    lua_paths: tuple[str, ...]
    lua_cpaths: tuple[str, ...]
    plugin_dirs: tuple[Path, ...]
    python_plugins: tuple[str, ...]
    entry_points: bool
    watchdog_timeout: float
    strict_phases: bool
    watch_plugins: bool
    plugins: tuple[str, ...]
    warnings: tuple[str, ...] = field(default=(), compare=False)

    def to_json(self) -> bytes:
        """The merged configuration, as Lua's local_conf() gives it."""
        return json.dumps(self.merged, ensure_ascii=False).encode()

    def dump(self) -> bytes:
        """All that `pygw.config.settings.restore` needs to make equal settings elsewhere."""
        return json.dumps(
            {"merged": self.merged, "source": self.source, "base": str(self.base)}
        ).encode()
