"""Owns the reading of config.yaml: defaults, the file, the environment, the command line.

`load()` gives immutable Settings or raises ConfigError with one message. Must never open a
listening socket, a log or a store: the settings only say which.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from pygw.config import schema
from pygw.config.build import build, stock_plugins
from pygw.config.checks import shown
from pygw.config.model import Admin, AdminKey, Etcd, Http, Listen, Settings
from pygw.config.yamlfile import ConfigError, Document, KeyPath, dotted, read_file, read_text

__all__ = [
    "Admin",
    "AdminKey",
    "ConfigError",
    "Etcd",
    "Http",
    "Listen",
    "Settings",
    "defaults",
    "from_document",
    "load",
    "restore",
]

DEFAULTS_FILE = Path(__file__).with_name("defaults.yaml")
BUILT_IN = "built-in defaults"

# What an APISIX configuration may ask for and pygw does not have: said, never silently dropped.
_ABSENT: dict[KeyPath, str] = {
    ("apisix", "stream_proxy"): "TCP and UDP proxying is not available",
    ("apisix", "proxy_protocol"): "the PROXY protocol is not available",
    ("apisix", "tracing"): "there is no tracing of phases",
    ("nginx_config", "http", "enable_access_log"): "there is no access log",
    ("apisix", "lua_module_hook"): "module hooks are not available",
    ("wasm",): "Wasm plugins are not available",
    ("xrpc",): "xRPC is not available",
    ("discovery",): "service discovery is not available",
    ("deployment", "admin", "https_admin"): "the Admin API speaks plain HTTP only",
    **{
        ("nginx_config", f"{kind}_configuration_snippet"): "there is no nginx.conf to add to"
        for kind in (
            "main",
            "http",
            "http_server",
            "http_server_location",
            "http_admin",
            "http_end",
            "stream",
        )
    },
}


def load(
    path: Path | str | None = None,
    *,
    overrides: Mapping[KeyPath, Any] | None = None,
    env: Mapping[str, str] | None = None,
) -> Settings:
    """Read config.yaml at `path` (None: the defaults alone) and return its Settings.

    `overrides` maps key paths to values that win over the file (options of the command line).
    Relative paths in the file start at its directory, without a file at the current one.
    Raises ConfigError.
    """
    env = os.environ if env is None else env
    if path is None:
        document, base = Document(BUILT_IN), Path.cwd()
    else:
        document, base = read_file(Path(path), env=env), Path(path).resolve().parent
    if document.value is None:
        document.value = {}
    if not isinstance(document.value, dict):
        raise document.error((), "must be a table of keys, such as apisix: or deployment:")
    for key_path, value in {**_from_environment(env), **(overrides or {})}.items():
        _set(document, key_path, value)
    return from_document(document, base)


def from_document(document: Document, base: Path) -> Settings:
    """Check a parsed config.yaml and merge it with the defaults. Raises ConfigError."""
    schema.ROOT(document.value, (), document)
    for key_path, text in document.environment.items():
        _keep_string(document.value, key_path, text)
    merged = _merge(defaults(), document.value)
    merged.setdefault("plugins", stock_plugins())
    _choose_provider(merged, document)
    return build(merged, document, base, tuple(_warnings(document)))


def restore(data: bytes) -> Settings:
    """The settings that `Settings.dump` wrote."""
    plain = json.loads(data)
    return build(plain["merged"], Document(plain["source"]), Path(plain["base"]))


def defaults() -> dict[str, Any]:
    """The parsed defaults.yaml, a fresh copy."""
    return deepcopy(_defaults())


@cache
def _defaults() -> dict[str, Any]:
    """Parsed once in a process: tests start many gateways in theirs."""
    text = DEFAULTS_FILE.read_text(encoding="utf-8")
    value: dict[str, Any] = read_text(text, DEFAULTS_FILE.name, env={}).value
    return value


def _from_environment(env: Mapping[str, str]) -> dict[KeyPath, Any]:
    """The variables that APISIX reserves, as overrides."""
    found: dict[KeyPath, Any] = {}
    if hosts := env.get("APISIX_DEPLOYMENT_ETCD_HOST"):
        try:
            found["deployment", "etcd", "host"] = json.loads(hosts)
        except ValueError as error:
            raise ConfigError(
                f"not a JSON list of URLs: {error}", file="$APISIX_DEPLOYMENT_ETCD_HOST"
            ) from None
    if workers := env.get("APISIX_WORKER_PROCESSES"):
        count = int(workers) if workers.isdigit() else workers
        found["nginx_config", "worker_processes"] = count
    return found


def _set(document: Document, path: KeyPath, value: Any) -> None:
    table = document.value
    for i, key in enumerate(path[:-1]):
        if table.get(key) is None:
            table[key] = {}
        table = table[key]
        if not isinstance(table, dict):
            raise document.error(path[: i + 1], f"must be a table, not {shown(table)}")
    table[path[-1]] = value


def _keep_string(value: Any, path: KeyPath, text: str) -> None:
    """Put back the text of `${{VAR}}` where a string was wanted: a password may be digits."""
    if not schema.wants_string(path):
        return
    for key in path[:-1]:
        value = value[key]
    value[path[-1]] = text


def _merge(base: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Merge as APISIX does: tables merge, lists and scalars replace, null removes."""
    for key, value in given.items():
        if value is None:
            base.pop(key, None)
        elif isinstance(value, dict) and isinstance(base.get(key), dict):
            _merge(base[key], value)
        elif isinstance(value, dict):
            base[key] = _merge({}, value)
        else:
            base[key] = value
    return base


def _choose_provider(merged: dict[str, Any], document: Document) -> None:
    """Fill in the provider of the role, and the two keys that APISIX derives from it.

    Lua sees the embedded store as "etcd": same revisions, same watches, one code path.
    """
    deployment = merged.get("deployment")
    role = deployment.get("role") if deployment else None
    if not deployment or not role:
        raise document.error(("deployment", "role"), "has no value: null removed the default")
    key = f"role_{role}"
    names_etcd = ((document.value.get("deployment") or {}).get("etcd") or {}).get("host")
    default = "embedded" if role == "traditional" and not names_etcd else "etcd"
    deployment.setdefault(key, {"config_provider": default})
    provider = deployment[key]["config_provider"]
    deployment["config_provider"] = provider if provider in ("yaml", "json") else "etcd"
    named = ((document.value.get("deployment") or {}).get("yaml") or {}).get("path")
    if provider == "json" and not named:
        deployment["yaml"] = {"path": "apisix.json"}
    merged["etcd"] = deployment.get("etcd")


def _warnings(document: Document) -> Iterator[str]:
    for slip in schema.suspicious_keys(document.value):
        yield f"{document.file}: {slip}"
    for path, reason in _ABSENT.items():
        if _asks_for(document.value, path):
            yield f"{document.error(path, f'ignored: {reason}')}"
    if "stream" in str((document.value.get("apisix") or {}).get("proxy_mode", "")):
        yield f"{document.file}: {dotted(('apisix', 'proxy_mode'))}: only http is available"


def _asks_for(value: Any, path: KeyPath) -> bool:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    if isinstance(value, str):  # a snippet of nothing but comments asks for nothing
        return any(line.strip()[:1] not in ("", "#") for line in value.splitlines())
    return bool(value)
