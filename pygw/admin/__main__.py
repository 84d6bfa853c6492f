"""Owns the entry point of the Admin API's process, and its life: start, serve, stop.

Nothing that starts gevent or grpc may be imported before `begin()` has tied the process down.
"""

from __future__ import annotations

import logging
import re
import signal
import socket
from typing import TYPE_CHECKING

from pygw.paths import LUA_DIR
from pygw.process.entry import Child, begin

if TYPE_CHECKING:
    from gevent.pywsgi import WSGIServer

    from pygw.admin.wsgi import Application
    from pygw.config.model import Settings
    from pygw.config.plugin_files import PluginFiles
    from pygw.vm.checker import Checker


def main() -> None:
    """Serve until the master says stop; a start that fails is reported to it."""
    child = begin()
    from gevent import monkey

    monkey.patch_all()
    with child.reporting():
        serve(child)


def serve(child: Child) -> None:
    """Run the Admin API on the sockets given; TERM stops at once, QUIT after what is under way."""
    import gevent
    from gevent.event import AsyncResult
    from gevent.pywsgi import WSGIServer

    from pygw.admin.api import Api
    from pygw.admin.wsgi import Application
    from pygw.config.choose import open_store
    from pygw.config.plugin_files import PluginFiles
    from pygw.extensions.hook_calls import HookCalls
    from pygw.extensions.manager import Extensions
    from pygw.vm.checker import Checker

    settings = child.settings
    extensions = Extensions(settings)
    hook_calls = HookCalls(extensions.manager)
    if hook_calls.wants_log:
        child.log.tap = hook_calls.on_record
        hook_calls.start()
    plugins = extensions.find_plugins()  # what is wrong with others the workers say
    checker = Checker(settings, plugins, extensions.broken)
    store = open_store(settings)
    application = Application(
        Api(settings, store, checker), cors=settings.admin.cors, server=server_name(settings)
    )
    log = logging.getLogger("pygw.admin")
    if not settings.admin.key_required:
        log.warning("Admin key is bypassed! Whoever reaches the Admin API may do everything.")
    servers = [
        WSGIServer(_listener(fd), application, log=None, error_log=log) for fd in child.listen_fds
    ]
    for server in servers:
        server.start()
    files = PluginFiles()
    if settings.watch_plugins:
        gevent.spawn(_follow, files, checker)
    patience: AsyncResult = AsyncResult()
    gevent.signal_handler(signal.SIGTERM, patience.set, 0.0)
    gevent.signal_handler(signal.SIGQUIT, patience.set, settings.worker_shutdown_timeout)
    gevent.signal_handler(signal.SIGUSR1, child.log.reopen)
    child.ready()
    _stop(servers, application, patience.get())
    hook_calls.stop()
    files.close()
    if store is not None:
        store.close()
    checker.close()


def server_name(settings: Settings) -> str:
    """The header Server: clients of APISIX tell by it which version they speak with."""
    if not (settings.merged.get("apisix") or {}).get("enable_server_tokens", False):
        return "APISIX"
    text = (LUA_DIR / "apisix/core/version.lua").read_text()
    found = re.search(r'VERSION = "([^"]+)"', text)
    assert found
    return f"APISIX/{found[1]}"


def _follow(files: PluginFiles, checker: Checker) -> None:
    """Let the plugins' schemas be those of the files as they are now."""
    version: int | None = 0
    while not files.closed:
        version = files.wait(checker.reload(), version or 0, 60) or version


def _listener(fd: int) -> socket.socket:
    listener = socket.socket(fileno=fd)
    listener.setblocking(False)
    # Accepted sockets inherit it. A head and a body in two packets must not wait for an ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _stop(servers: list[WSGIServer], application: Application, patience: float) -> None:
    """Accept no more; let requests under way finish; connections that only wait are cut."""
    for server in servers:
        server.close()
    application.idle.wait(patience)
    for server in servers:
        server.stop(timeout=0)


if __name__ == "__main__":
    main()
