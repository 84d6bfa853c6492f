"""The process behind `zygote`: it has imported what a worker needs, and forks for each block.

A line of stdin is a job (JSON, made by run.py); answers are lines on stdout: "pid N" for the
worker's process, "ready" or "failed TEXT" of it, "exit STATUS" when it has ended.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import signal
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import gevent

from pygw.config.settings import ConfigError, load
from pygw.config.store import StoreError
from pygw.extensions.importing import ExtensionError
from pygw.testing.tfiles import apisix_worker
from pygw.testing.tfiles.apisix_worker import GatewayWorker
from pygw.vm.worker import Listener, Process, StartError, Worker

BACKLOG = 511
PATIENCE = 2.0  # seconds


def say(text: str) -> None:
    os.write(1, text.encode("utf-8", "replace") + b"\n")


def bind(host: str, port: int, family: socket.AddressFamily) -> socket.socket:
    """A listening socket; what the block before left may need a moment to go."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_server((host, port), family=family, backlog=BACKLOG)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def listen(host: str, port: int) -> int:
    """A listening descriptor."""
    if host.startswith("unix:"):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(host.removeprefix("unix:"))
        listener.listen(BACKLOG)
    else:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = bind(host, port, family)
    listener.setblocking(False)
    return listener.detach()


def run(job: dict[str, Any], settings: Any) -> None:
    """Be the worker of one block until a signal says otherwise."""
    os.chdir(job["cwd"])
    os.environ.update(job["env"])
    log = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 2)
    worker = make_worker(settings, job, log)
    gevent.signal_handler(signal.SIGTERM, worker.stop, False)
    gevent.signal_handler(signal.SIGQUIT, worker.stop, True)
    try:
        worker.start()
    except StartError as error:
        say("failed " + json.dumps(str(error)))
        os._exit(1)
    say("ready")
    worker.run()


def make_worker(settings: Any, job: dict[str, Any], log: int) -> Worker | GatewayWorker:
    listeners = [
        Listener(listen(each["host"], each["port"]), each["tls"]) for each in job["listeners"]
    ]
    process: Process = "worker" if job["master"] else "single"
    master = os.getppid() if job["master"] else os.getpid()
    Path(job["servroot"], "logs/nginx.pid").write_text(f"{master}\n")
    if job["gateway"]:
        return apisix_worker.make(job, listeners, log)
    changes = {
        "base": job["servroot"],
        "error_log_level": job["log_level"],
        "shared_dicts": job["shared_dicts"],
        "workers": job["workers"],
        "lua_paths": tuple(filter(None, os.environ.get("LUA_PATH", "").split(";"))),
    }
    settings = dataclasses.replace(settings, **changes)
    return Worker(settings, 0, listeners, job["app"], error_fd=log, strict=True, process=process)


def main() -> None:
    settings = load()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                run(json.loads(line), settings)
            except (ConfigError, ExtensionError, StoreError) as error:
                say("failed " + json.dumps(str(error)))
                os._exit(1)
            except BaseException:
                say("failed " + json.dumps(traceback.format_exc()))
                os._exit(1)
            os._exit(0)
        say(f"pid {pid}")
        say(f"exit {os.waitpid(pid, 0)[1]}")


if __name__ == "__main__":
    main()
