"""Owns the choice of where configuration comes from, by the settings. Must never judge them."""

from __future__ import annotations

import os
from pathlib import Path

from pygw.config.model import Settings
from pygw.config.pushed import pushed_file
from pygw.config.snapshot import Snapshot
from pygw.config.standalone import StandaloneFile
from pygw.config.store import Store


def open_store(settings: Settings) -> Store | None:
    """The store that `deployment` asks for; None when the configuration is apisix.yaml.

    The embedded one is opened at once, etcd when first used, so that a gateway starts without it.
    Raises StoreRefused when what is configured cannot work.
    """
    if settings.provider == "etcd":
        from pygw.config.etcd import EtcdStore  # gRPC costs memory and start time: only if used

        return EtcdStore(settings.etcd, _trusted_ca(settings))
    if settings.provider == "embedded":
        from pygw.config.embedded import EmbeddedStore

        return EmbeddedStore(settings.embedded_path)
    return None


def open_snapshot(settings: Settings, store: Store) -> Snapshot | None:
    """The copy that is kept of what is in etcd, beside the pid file; None for other stores."""
    if settings.provider != "etcd":
        return None
    from pygw.config.etcd import EtcdStore

    assert isinstance(store, EtcdStore)
    path = settings.pid_file.with_name("etcd-snapshot.jsonl")
    prefix = settings.etcd.prefix.rstrip("/") + "/"
    return Snapshot(path, prefix, settings.etcd.host, store.pages)


def open_standalone(settings: Settings) -> StandaloneFile | None:
    """The file of the configuration, read and followed; None when a store provides it.

    With the Admin API it may be given over that, too.

    Raises ConfigError when the file cannot be used.
    """
    if settings.provider != "yaml":
        return None
    pushed = pushed_file(settings) if settings.admin.enabled else None
    return StandaloneFile(settings.yaml_path, pushed=pushed)


def open_debug(settings: Settings) -> StandaloneFile:
    """debug.yaml beside config.yaml, followed whether it is there or not."""
    profile = os.environ.get("APISIX_PROFILE")
    name = f"debug-{profile}.yaml" if profile else "debug.yaml"
    beside = Path(settings.source).absolute().parent
    directory = beside if beside.is_dir() else settings.base
    return StandaloneFile(directory / name, optional=True)


def _trusted_ca(settings: Settings) -> Path | None:
    ssl = (settings.merged.get("apisix") or {}).get("ssl") or {}
    path = ssl.get("ssl_trusted_certificate")
    return settings.base / path if path and path != "system" else None
