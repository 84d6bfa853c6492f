"""Owns the listening sockets: one per address and worker, joined by SO_REUSEPORT.

The master holds them and workers inherit them, so that the accept queue of a worker that dies is
served by the one that replaces it. Must never accept a connection itself.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable

from pygw.config.model import Listen

BACKLOG = 511  # nginx's


class ListenError(Exception):
    """An address cannot be listened on; `str()` says which and why."""


class Listeners:
    """Sockets by address and worker index; kept over a reload, so none is closed and reopened."""

    def __init__(self) -> None:
        self._sockets: dict[tuple[Listen, int], socket.socket] = {}

    def open(self, addresses: Iterable[Listen], count: int) -> None:
        """Make sure that `count` workers have a socket for each address. Raises ListenError.

        Sockets that are there already stay; on an error those made by this call are closed.
        """
        made: list[tuple[Listen, int]] = []
        try:
            for address in addresses:
                for index in range(count):
                    if (address, index) not in self._sockets:
                        self._sockets[address, index] = self._bind(address)
                        made.append((address, index))
        except OSError as error:
            self._close(made)
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise ListenError(f"cannot listen on {address}: {reason}") from None

    def retain(self, wanted: Iterable[tuple[Listen, int]]) -> None:
        """Close every socket whose (address, worker index) is not wanted."""
        keep = set(wanted)
        self._close([key for key in self._sockets if key not in keep])

    def keys(self) -> list[tuple[Listen, int]]:
        """The (address, worker index) of every socket."""
        return list(self._sockets)

    def fds(self, addresses: Iterable[Listen], index: int) -> list[int]:
        """The descriptors for the worker `index`, in the order of `addresses`."""
        return [self._sockets[address, index].fileno() for address in addresses]

    def bound(self, address: Listen) -> Listen:
        """`address` with the port that the kernel chose, if it chose one."""
        return Listen(address.ip, self._sockets[address, 0].getsockname()[1])

    def close(self) -> None:
        """Close them all."""
        self._close(list(self._sockets))

    def _close(self, keys: Iterable[tuple[Listen, int]]) -> None:
        for key in keys:
            self._sockets.pop(key).close()

    def _bind(self, address: Listen) -> socket.socket:
        first = self._sockets.get((address, 0))
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
