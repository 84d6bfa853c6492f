"""Owns the servers that specifications count on: memcached, redis, and a nameserver of a few names.

Each has a port of its own; what is not installed is left out.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator

_START = 10.0  # seconds that a server gets to listen
OUTSIDE = "198.18.1.1"  # an address that leads nowhere
_OUTSIDE = socket.inet_aton(OUTSIDE)
_USUAL = {"MEMCACHED": 11211, "REDIS": 6379}
_NAMES = {
    "localhost": bytes([127, 0, 0, 1]),
    "agentzh.org": _OUTSIDE,
    "openresty.org": _OUTSIDE,
    "www.google.com": _OUTSIDE,
    "iscribblet.org": _OUTSIDE,
}


def free_port() -> int:
    """A port that the kernel just called free."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(alone: bool) -> Iterator[dict[str, str]]:
    """Run them all; gives the TEST_NGINX_… variables that say where they are.

    alone: nobody else is in this network, so that they may have their usual ports.
    """
    with contextlib.ExitStack() as stack:
        env = {}
        for name, binary, options in (
            ("MEMCACHED", "memcached", ["-u", "nobody", "-l", "127.0.0.1", "-U", "{}", "-p", "{}"]),
            ("REDIS", "redis-server", ["--bind", "127.0.0.1", "--save", "", "--port", "{}"]),
        ):
            port = _USUAL[name] if alone else free_port()
            env[f"TEST_NGINX_{name}_PORT"] = str(port)
            path = shutil.which(binary)
            if path:
                command = [path, *(option.format(port) for option in options)]
                stack.enter_context(_process(command, port))
        env["TEST_NGINX_RESOLVER"] = f"127.0.0.1:{stack.enter_context(_nameserver())}"
        yield env


@contextlib.contextmanager
def _process(command: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + _START
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError(f"{command[0]} does not listen on port {port}")
            time.sleep(0.02)
        yield
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def _nameserver() -> Iterator[int]:
    """A nameserver of the names of _NAMES; there is no such name for others."""
    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    link.bind(("127.0.0.1", 0))
    thread = threading.Thread(target=_answer_all, args=(link,), daemon=True)
    thread.start()
    port = link.getsockname()[1]
    try:
        yield port
    finally:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", port))
        thread.join()
        link.close()


def _answer_all(link: socket.socket) -> None:
    while True:
        query, peer = link.recvfrom(4096)
        if not query:
            return
        with contextlib.suppress(IndexError, OSError):
            link.sendto(answer(query), peer)


def answer(query: bytes) -> bytes:
    """The reply to a DNS query (RFC 1035) of one question."""
    labels, at = [], 12
    while size := query[at]:
        labels.append(query[at + 1 : at + 1 + size].decode("latin-1"))
        at += size + 1
    kind = int.from_bytes(query[at + 1 : at + 3], "big")
    question = query[12 : at + 5]
    address = _NAMES.get(".".join(labels).lower())
    record = b""
    if address and kind == 1:
        record = b"\xc0\x0c\x00\x01\x00\x01" + (60).to_bytes(4, "big") + b"\x00\x04" + address
    flags = b"\x81\x80" if address else b"\x81\x83"
    counts = b"\x00\x01" + (1 if record else 0).to_bytes(2, "big") + b"\x00\x00\x00\x00"
    return query[:2] + flags + counts + question + record
