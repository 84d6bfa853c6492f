"""Owns the stores that are measured: each is started empty and filled with routes."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.contestants import free_port

from pygw.config.embedded import EmbeddedStore
from pygw.config.etcd import EtcdStore
from pygw.config.model import Etcd
from pygw.config.store import Put, Store, StoreUnavailable

NAMES = ("etcd", "embedded")
_OPERATIONS = {"etcd": 100, "embedded": 5000}  # of a transaction; etcd takes 128


@dataclass
class Place:
    """Where a store is: what config.yaml says of it, and the store itself for filling it."""

    name: str
    deployment: dict[str, Any]
    store: Store

    def fill(self, items: Iterator[tuple[str, dict[str, Any]]]) -> None:
        """Write items, (path below the prefix, value)."""
        batch: list[Put] = []
        for path, value in items:
            batch.append(Put(f"/apisix/{path}".encode(), json.dumps(value).encode()))
            if len(batch) == _OPERATIONS[self.name]:
                self.store.transact(batch)
                batch = []
        if batch:
            self.store.transact(batch)


def available(name: str) -> bool:
    """Whether this machine has what the store needs."""
    return name == "embedded" or shutil.which("etcd") is not None


@contextmanager
def opened(name: str, directory: Path) -> Iterator[Place]:
    """An empty store in `directory`; the process of etcd is on core 1."""
    with (_etcd if name == "etcd" else _embedded)(directory) as place:
        try:
            yield place
        finally:
            place.store.close()


@contextmanager
def _embedded(directory: Path) -> Iterator[Place]:
    path = directory / "store.db"
    yield Place("embedded", {"embedded": {"path": str(path)}}, EmbeddedStore(path))


@contextmanager
def _etcd(directory: Path) -> Iterator[Place]:
    client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    command = [
        "taskset", "-c", "1", "etcd", "--data-dir", str(directory / "etcd"),
        "--logger", "zap", "--log-level", "error",
        "--listen-client-urls", client, "--advertise-client-urls", client,
        "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
        "--initial-cluster", f"default={peer}", "--quota-backend-bytes", str(4 << 30),
    ]  # fmt: skip
    with subprocess.Popen(command) as process:
        store = EtcdStore(_settings(client))
        try:
            _await(store)
            yield Place("etcd", {"etcd": {"host": [client], "prefix": "/apisix"}}, store)
        finally:
            process.kill()


def _settings(host: str) -> Etcd:
    return Etcd(
        host=(host,), prefix="/apisix", timeout=30, user=None, password=None, cert=None, key=None,
        verify=True, sni=None,
    )  # fmt: skip


def _await(store: Store) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            store.server_version()
            return
        except StoreUnavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
