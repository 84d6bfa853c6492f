"""A real memcached for tests, on a free port."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest
from support.app_server import PATIENCE

PACKAGE = "memcached"  # Debian's


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert process.poll() is None, "memcached ended"
        assert time.monotonic() < deadline, "memcached does not listen"


@contextlib.contextmanager
def running() -> Iterator[int]:
    """Run memcached; gives its port. Skips the test where it is not installed."""
    binary = shutil.which("memcached") or pytest.skip(f"needs Debian's {PACKAGE}")
    port = _free_port()
    command = [binary, "-u", "nobody", "-l", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command)
    try:
        _wait_for(port, process)
        yield port
    finally:
        process.kill()
        process.wait()
