"""Real redis servers for tests: alone, as a cluster, with a sentinel, on free ports."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.app_server import PATIENCE, Log

PACKAGE = "redis-server"  # Debian's
SLOTS = 16384


def free_ports(count: int) -> list[int]:
    """Ports that the kernel just called free; held together so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class RedisError(Exception):
    """What a redis server answered with "-"."""


class Redis:
    """One redis-server process; `options` are lines of its configuration."""

    def __init__(self, directory: Path, *options: str, sentinel: bool = False) -> None:
        passwords = [line.split()[1] for line in options if line.startswith("requirepass ")]
        binary = shutil.which("redis-server") or pytest.skip(f"needs Debian's {PACKAGE}")
        self.port, self.bus_port = free_ports(2)
        directory.mkdir(parents=True)
        config = directory / "redis.conf"
        lines = [f"port {self.port}", "bind 127.0.0.1", f"dir {directory}"]
        if not sentinel:
            lines += ['save ""', f"cluster-port {self.bus_port}", "repl-diskless-sync-delay 0"]
            lines.append("repl-ping-replica-period 1")  # a replica counts once it has an offset
        config.write_text("\n".join([*lines, *options, ""]))
        self._process = subprocess.Popen(
            [binary, str(config), *(["--sentinel"] if sentinel else [])], stdout=subprocess.PIPE
        )
        self.log = Log(self._process.stdout)
        self.log.wait_for("+monitor master" if sentinel else "Ready to accept connections")
        self._socket = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        self._file = self._socket.makefile("rb")
        if passwords:
            self("auth", passwords[0])

    def stop(self) -> None:
        """End it, whatever it is doing."""
        self._file.close()
        self._socket.close()
        self._process.kill()
        self._process.wait()
        self.log.join()

    def pause(self) -> None:
        """Let it keep its connections and answer nothing, until resume()."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def __call__(self, *command: object) -> Any:
        """Run a command; returns its reply, texts decoded. Raises RedisError."""
        parts = [str(part).encode() for part in command]
        request = b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
        self._socket.sendall(b"*%d\r\n%s" % (len(parts), request))
        return self._read()

    def until(self, true: Callable[[], bool]) -> None:
        """Wait until `true`, which asks the server."""
        deadline = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < deadline, self.log.text

    def _read(self) -> Any:
        line = self._file.readline()[:-2]
        kind, rest = line[:1], line[1:].decode()
        if kind == b"-":
            raise RedisError(rest)
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"*":
            return [self._read() for _ in range(int(rest))]
        if int(rest) < 0:
            return None
        data: bytes = self._file.read(int(rest) + 2)
        return data[:-2].decode("latin-1")


@contextlib.contextmanager
def running(directory: Path, *options: str) -> Iterator[Redis]:
    """A redis server alone."""
    server = Redis(directory, *options)
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def running_cluster(directory: Path, *options: str, masters: int = 3) -> Iterator[list[Redis]]:
    """A cluster of masters that share the slots evenly, and one replica of the first, last."""
    with contextlib.ExitStack() as stack:
        servers = []
        for i in range(masters + 1):
            more = ("cluster-enabled yes", "cluster-node-timeout 1000", *options)
            servers.append(stack.enter_context(running(directory / str(i), *more)))
        bounds = [SLOTS * i // masters for i in range(masters + 1)]
        for i, server in enumerate(servers[:-1]):
            server("cluster", "set-config-epoch", i + 1)
            server("cluster", "addslotsrange", bounds[i], bounds[i + 1] - 1)
        for server in servers[1:]:
            server("cluster", "meet", "127.0.0.1", servers[0].port, servers[0].bus_port)
        for server in servers:
            server.log.wait_for("Cluster state changed: ok")
        servers[-1]("cluster", "replicate", servers[0]("cluster", "myid"))
        servers[-1].log.wait_for("MASTER <-> REPLICA sync: Finished with success")
        servers[0].until(lambda: len(servers[0]("cluster", "slots")[0]) == 4)  # has its replica
        yield servers


@contextlib.contextmanager
def running_sentinel(
    directory: Path, password: str = "", sentinel_password: str = ""
) -> Iterator[tuple[Redis, Redis, Redis]]:
    """A master, a replica of it, and a sentinel that calls them "mymaster"."""
    with contextlib.ExitStack() as stack:
        login = (f"requirepass {password}", f"masterauth {password}") if password else ()
        master = stack.enter_context(running(directory / "master", *login))
        replica = stack.enter_context(
            running(directory / "replica", f"replicaof 127.0.0.1 {master.port}", *login)
        )
        replica.log.wait_for("MASTER <-> REPLICA sync: Finished with success")
        options = [f"sentinel monitor mymaster 127.0.0.1 {master.port} 1"]
        if password:
            options.append(f"sentinel auth-pass mymaster {password}")
        if sentinel_password:
            options.append(f"requirepass {sentinel_password}")
        sentinel = Redis(directory / "sentinel", *options, sentinel=True)
        stack.callback(sentinel.stop)
        sentinel("sentinel", "debug", "info-period", 100)  # milliseconds between looks
        sentinel.until(lambda: _is_up(sentinel("sentinel", "slaves", "mymaster")))
        yield master, replica, sentinel


def _is_up(slaves: list[list[str]]) -> bool:
    known = [dict(zip(slave[::2], slave[1::2], strict=True)) for slave in slaves]
    return [slave.get("master-link-status") for slave in known] == ["ok"]
