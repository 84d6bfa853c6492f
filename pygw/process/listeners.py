"""Owns the listening sockets: one per address and worker, joined by SO_REUSEPORT.

The master holds them and workers inherit them, so that the accept queue of a worker that dies is
served by the one that replaces it. Must never accept a connection itself.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from dataclasses import replace

from pygw.config.model import Listen

BACKLOG = 511  # nginx's


class ListenError(Exception):
    """An address cannot be listened on; `str()` says which and why."""


Key = tuple[str, Listen, int]  # kind of process, address, index of the process


class Listeners:
    """Sockets by who uses them; kept over a reload, so that none is closed and reopened."""

    def __init__(self) -> None:
        self._sockets: dict[Key, socket.socket] = {}

    def open(self, kind: str, addresses: Iterable[Listen], count: int) -> None:
        """Make sure that `count` processes have a socket for each address. Raises ListenError.

        Sockets that are there already stay; on an error those made by this call are closed.
        """
        made: list[Key] = []
        try:
            for address in addresses:
                for index in range(count):
                    key = (kind, address, index)
                    if key not in self._sockets:
                        self._sockets[key] = self._bind(kind, address)
                        made.append(key)
        except OSError as error:
            self._close(made)
            reason = os.strerror(error.errno) if error.errno else str(error)
            site = f" ({address.site})" if address.site else ""
            raise ListenError(f"cannot listen on {address}{site}: {reason}") from None

    def retain(self, wanted: Iterable[Key]) -> None:
        """Close every socket that is not wanted."""
        keep = set(wanted)
        self._close([key for key in self._sockets if key not in keep])

    def keys(self) -> list[Key]:
        """Who has a socket."""
        return list(self._sockets)

    def fd(self, key: Key) -> int:
        """The descriptor of a socket that is open."""
        return self._sockets[key].fileno()

    def bound(self, kind: str, address: Listen) -> Listen:
        """`address` with the port that the kernel chose, if it chose one."""
        return replace(address, port=self._sockets[kind, address, 0].getsockname()[1])

    def close(self) -> None:
        """Close them all."""
        self._close(list(self._sockets))

    def _close(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self._sockets.pop(key).close()

    def _bind(self, kind: str, address: Listen) -> socket.socket:
        first = self._sockets.get((kind, address, 0))
        if first is None:
            _refuse_if_taken(address)
        listener = _socket(address)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.bind((address.ip, first.getsockname()[1] if first else address.port))
            listener.listen(BACKLOG)
            listener.setblocking(False)
        except OSError:
            listener.close()
            raise
        return listener


def _socket(address: Listen) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.ip else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return made


def _refuse_if_taken(address: Listen) -> None:
    """SO_REUSEPORT would let us share a port with another gateway of the same user, unnoticed."""
    if address.port:
        with _socket(address) as probe:
            probe.bind((address.ip, address.port))
            probe.listen(1)
