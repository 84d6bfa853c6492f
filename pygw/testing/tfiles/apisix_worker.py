"""Owns a whole gateway as the worker of a block: its store, and its Admin API in the same process.

The store is a file, so that what one block configures the next one finds. A write over the Admin
API is answered when the worker has applied it: the request that follows need not wait.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import socket
import time
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import gevent
import yaml
from gevent.pywsgi import WSGIServer

from pygw.admin.__main__ import server_name
from pygw.admin.api import ROOT, Api
from pygw.admin.wsgi import Application, Environ, StartResponse
from pygw.config.choose import open_store
from pygw.config.model import Admin, Settings
from pygw.config.settings import load
from pygw.config.store import Store
from pygw.extensions.manager import Extensions
from pygw.gateway import Gateway
from pygw.testing.inside import Inside
from pygw.vm.checker import Checker
from pygw.vm.worker import Listener

_PATIENCE = 2.0  # seconds that a write gets to be applied
_LOOK = 0.002
_READS = ("GET", "HEAD", "OPTIONS")


def make(job: dict[str, Any], listeners: Sequence[Listener], log: int) -> GatewayWorker:
    """The worker that a job of `run.py` asks for. Raises ConfigError, StoreRefused."""
    settings = settings_of(job)
    store = open_store(settings)
    gateway = Gateway(
        settings,
        0,
        listeners,
        job["app"],
        error_fd=log,
        shared_fds=_kept_dicts(job["gateway"]["dicts"], settings),
        store=store,
        has_framework=True,
    )
    return GatewayWorker(gateway, settings, store, job["gateway"]["admin_port"])


def _kept_dicts(directory: str | None, settings: Settings) -> dict[str, int]:
    """The files of the shared dictionaries, where they outlive the block, as with HUP."""
    if directory is None:
        return {}
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    return {
        name: os.open(f"{directory}/{name}-{size}.dict", flags, 0o600)
        for name, size in settings.shared_dicts.items()
    }


def settings_of(job: dict[str, Any]) -> Settings:
    """config.yaml of the block, with what the checkout has; a store takes the place of etcd."""
    given = job["gateway"]
    path = Path(given["config"])
    read = load(path, overrides={("apisix", "ssl", "enable"): _has_tls(path)})
    plugins = list(read.plugins)
    if given["plugin"] and given["plugin"] not in plugins:
        plugins.append(given["plugin"])
    return dataclasses.replace(
        read,
        merged={**read.merged, "plugins": plugins},
        plugins=tuple(plugins),
        admin=_without_key(read.admin),
        provider="embedded" if read.provider == "etcd" else read.provider,
        embedded_path=Path(given["store"]),
        base=Path(job["servroot"]),
        error_log_level=job["log_level"],
        shared_dicts={**read.shared_dicts, **job["shared_dicts"]},
        workers=1,
        lua_paths=(*read.lua_paths, *given["lua_paths"], *_from_environment("LUA_PATH")),
        lua_cpaths=(*read.lua_cpaths, *given["lua_cpaths"], *_from_environment("LUA_CPATH")),
        plugin_dirs=(*map(Path, given["plugin_dirs"]), *read.plugin_dirs),
    )


def _from_environment(name: str) -> list[str]:
    return [each for each in os.environ.get(name, "").split(";") if each]


def _has_tls(path: Path) -> bool:
    """Whether HTTPS is on, as it is in APISIX unless config.yaml says otherwise."""
    ssl = yaml.safe_load(path.read_text()) or {}
    for key in ("apisix", "ssl"):
        ssl = (ssl.get(key) if isinstance(ssl, dict) else None) or {}
    return bool(ssl.get("enable", True)) if isinstance(ssl, dict) else True


def _without_key(admin: Admin) -> Admin:
    """Where APISIX is told no key, anyone may use its Admin API; pygw itself lets nobody."""
    return dataclasses.replace(admin, key_required=admin.key_required and bool(admin.keys))


class GatewayWorker:
    """`start`, `run` and `stop` as of pygw.vm.worker.Worker."""

    def __init__(
        self, gateway: Gateway, settings: Settings, store: Store | None, admin_port: int
    ) -> None:
        self._gateway = gateway
        self._admin = AdminApi(gateway, settings, store)
        self._admin_port = admin_port

    def start(self) -> None:
        self._gateway.start()
        listener = socket.create_server(("127.0.0.1", self._admin_port))
        listener.setblocking(False)
        log = logging.getLogger("pygw.admin")
        WSGIServer(listener, self._admin, log=None, error_log=log).start()

    def run(self) -> None:
        self._gateway.run()

    def stop(self, graceful: bool) -> None:
        self._gateway.stop(graceful)


class AdminApi:
    """The WSGI application; a write is answered when the worker has dealt with it."""

    def __init__(self, gateway: Gateway, settings: Settings, store: Store | None) -> None:
        self._gateway, self._settings, self._store = gateway, settings, store
        self._prefix = f"{settings.etcd.prefix}/".encode()

    @cached_property
    def _application(self) -> Application:
        """Made when first asked: it has a Lua VM of its own, and many blocks never ask."""
        found = Extensions(self._settings)
        checker = Checker(self._settings, found.find_plugins(), found.broken)
        return Application(
            Api(self._settings, self._store, checker),
            cors=self._settings.admin.cors,
            server=server_name(self._settings),
        )

    @cached_property
    def _inside(self) -> Inside:
        return Inside(self._gateway.worker.runtime)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        environ["REMOTE_ADDR"] = environ.get("HTTP_X_REAL_IP", "127.0.0.1")
        writes = self._store is not None and environ["REQUEST_METHOD"] not in _READS
        before = self._revision() if writes else 0
        response = self._application(environ, start_response)
        if writes and (revision := self._revision()) > before:
            self._settle(environ["PATH_INFO"], revision)
        return response

    def _revision(self) -> int:
        assert self._store
        return self._store.readdir(self._prefix)[0]

    def _settle(self, path: str, revision: int) -> None:
        directory = path.removeprefix(ROOT).strip("/").partition("/")[0]
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            progress = self._inside.progress(f"{directory}/-")
            if progress is None or progress[0] >= revision:
                return
            gevent.sleep(_LOOK)
