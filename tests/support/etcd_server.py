"""Starts real etcd servers for tests: own data directory, free ports, readiness awaited."""

import shutil
import signal
import socket
import ssl
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import subprocess

from pygw.config.model import Etcd

PACKAGE = "etcd-server"  # Debian's


def free_ports(count: int) -> list[int]:
    """Ports that the kernel just called free; held together so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def etcd_conf(*hosts: str, **changes: Any) -> Etcd:
    """Settings for those endpoints."""
    values: dict[str, Any] = {
        "host": hosts,
        "prefix": "/apisix",
        "timeout": 5,
        "user": None,
        "password": None,
        "cert": None,
        "key": None,
        "verify": True,
        "sni": None,
    }
    return Etcd(**{**values, **changes})


class EtcdServer:
    """One etcd process; `url` is its client URL. It can be killed and started again."""

    def __init__(
        self, directory: Path, tls: tuple[Path, Path] | None = None, name: str = "default"
    ) -> None:
        self._binary = shutil.which("etcd") or pytest.skip(f"needs Debian's {PACKAGE}")
        self._client, self._peer = free_ports(2)
        self._directory, self._tls = directory, tls
        self._process: Any = None
        self._name = name
        self._members = self.member = f"{name}=http://127.0.0.1:{self._peer}"
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._client}"

    def start(self, *, wait: bool = True) -> "EtcdServer":
        """Start it, and wait until it answers."""
        peer = f"http://127.0.0.1:{self._peer}"
        self._process = subprocess.Popen(
            [
                self._binary,
                f"--data-dir={self._directory}",
                f"--listen-client-urls={self.url}",
                f"--advertise-client-urls={self.url}",
                f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}",
                f"--name={self._name}",
                f"--initial-cluster={self._members}",
                "--heartbeat-interval=50",
                "--election-timeout=500",
                *self._tls_options(),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        if wait:
            self.until_healthy()
        return self

    def until_healthy(self) -> None:
        """Wait until it answers."""
        with gevent.Timeout(20):
            while not self._healthy():
                assert self._process.poll() is None, "etcd ended at its start"
                gevent.sleep(0.02)

    @property
    def port(self) -> int:
        return self._client

    def join(self, members: list["EtcdServer"]) -> None:
        """Have its first start make a cluster of these."""
        self._members = ",".join(each.member for each in members)

    def restore(self, snapshot: Path) -> None:
        """Kill it, and start it with what `ctl("snapshot", "save", …)` has saved."""
        self.kill()
        self.wipe()
        self.ctl(
            "snapshot",
            "restore",
            str(snapshot),
            f"--data-dir={self._directory}",
            f"--name={self._name}",
            f"--initial-cluster={self._members}",
            f"--initial-advertise-peer-urls={self._members.partition('=')[2]}",
        )
        self.start()

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self._process:
            self._process.kill()  # wakes a stopped one too
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """SIGSTOP: it keeps its connections and answers nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Undo stop()."""
        self._process.send_signal(signal.SIGCONT)

    def wipe(self) -> None:
        """Remove all data of the killed server."""
        shutil.rmtree(self._directory, ignore_errors=True)

    def ctl(self, *arguments: str) -> str:
        """Run etcdctl and return what it printed."""
        binary = shutil.which("etcdctl") or pytest.skip("needs Debian's etcd-client")
        result = subprocess.run(
            [binary, f"--endpoints={self.url}", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"ETCDCTL_API": "3"},
            check=True,
        )
        output: str = result.stdout.decode()
        return output

    def _tls_options(self) -> list[str]:
        if not self._tls:
            return []
        cert, key = self._tls
        options = [f"--cert-file={cert}", f"--key-file={key}"]
        return [*options, "--client-cert-auth", f"--trusted-ca-file={cert}"]

    def metric(self, name: str) -> float:
        """A number from the server's /metrics."""
        lines = self._get("/metrics").decode().splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith(f"{name} ")))

    def _healthy(self) -> bool:
        try:
            return b'"true"' in self._get("/health")
        except OSError:
            return False

    def _get(self, path: str) -> bytes:
        context = None
        if self._tls:
            cert, key = self._tls
            context = ssl.create_default_context(cafile=str(cert))
            context.load_cert_chain(cert, key)
        with urllib.request.urlopen(self.url + path, timeout=5, context=context) as answer:
            body: bytes = answer.read()
            return body


@contextmanager
def running(directory: Path, tls: tuple[Path, Path] | None = None) -> Iterator[EtcdServer]:
    """A started server, gone with the block."""
    server = EtcdServer(directory, tls)
    try:
        yield server.start()
    finally:
        server.kill()
        server.wipe()
