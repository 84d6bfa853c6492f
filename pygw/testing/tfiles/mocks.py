"""Owns the servers that a block asks for with tcp_listen and udp_listen: each serves one peer."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pygw.testing.tfiles.spec import Block

_PATIENCE = 10.0  # seconds that a server waits for its peer
_SILENCE = 0.1  # seconds without a byte that end a query, where the block asks for that


class Mock:
    """A listening socket, and a thread that serves its first peer by the block's sections."""

    def __init__(self, kind: str, block: Block, target: str, cwd: Path) -> None:
        self.kind = kind
        self.received = b""
        self._block = block
        self._done = threading.Event()
        stream = socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM
        self._socket = _bound(stream, target, cwd)
        if kind == "tcp":
            self._socket.listen(5)
        self._socket.settimeout(_PATIENCE)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            if self.kind == "tcp":
                self._serve_stream()
            else:
                self._serve_datagram()

    def _text(self, name: str) -> Any:
        return self._block.sections.get(f"{self.kind}_{name}")

    def _seconds(self, name: str) -> float:
        return self._block.seconds(f"{self.kind}_{name}", 0.0)

    def _wanted(self) -> int | None:
        length = self._text("query_len")
        if length is not None:
            return int(length)
        query = self._text("query")
        return len(query) if isinstance(query, str) else None

    def _serve_stream(self) -> None:
        peer, _ = self._socket.accept()
        with peer:
            peer.settimeout(_PATIENCE)
            how = self._text("shutdown")
            if how is not None:
                time.sleep(self._seconds("shutdown_delay"))
                peer.shutdown(int(how))
            if how is None or int(how) == socket.SHUT_WR:
                self._receive(peer)
            time.sleep(self._seconds("reply_delay"))
            if how is None or int(how) == socket.SHUT_RD:
                for piece in _pieces(self._text("reply")):
                    peer.sendall(piece)
            if self._text("no_close") is not None:
                self._done.wait()

    def _receive(self, peer: socket.socket) -> None:
        wanted = self._wanted()
        silence = self._text("query_auto_timeout") is not None
        if silence:
            peer.settimeout(self._seconds("query_auto_timeout") or _SILENCE)
        with contextlib.suppress(TimeoutError):  # nothing more has come in that time
            while piece := peer.recv(4096):
                self.received += piece
                if not silence and (not wanted or len(self.received) >= wanted):
                    break
        peer.settimeout(_PATIENCE)

    def _serve_datagram(self) -> None:
        self.received, peer = self._socket.recvfrom(4096)
        time.sleep(self._seconds("reply_delay"))
        for piece in _pieces(self._text("reply")):
            self._socket.sendto(piece, peer)

    def problems(self) -> Iterator[str]:
        """What the block says of what came, and is not so."""
        query, length = self._text("query"), self._text("query_len")
        received = self.received.decode("latin-1")
        fits = query.search(received) if isinstance(query, re.Pattern) else query == received
        if query is not None and not fits:
            yield f"{self.kind}_query {received!r}, not {query!r}"
        if length is not None and len(self.received) != int(length):
            yield f"{self.kind}_query_len {len(self.received)}, not {int(length)}"

    def close(self) -> None:
        self._done.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(_PATIENCE)


def _bound(kind: int, target: str, cwd: Path) -> socket.socket:
    if target.isdigit():
        made = socket.socket(socket.AF_INET, kind)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("127.0.0.1", int(target)))
        return made
    path = cwd / target
    made = socket.socket(socket.AF_UNIX, kind)
    path.unlink(missing_ok=True)
    made.bind(str(path))
    return made


def _pieces(reply: Any) -> list[bytes]:
    if reply is None:
        return []
    texts = reply if isinstance(reply, list) else [reply]
    return [str(text).encode("latin-1") for text in texts]


def started(block: Block, expand: Callable[[str], str], cwd: Path) -> list[Mock]:
    """The servers that a block asks for. cwd: where relative paths of sockets begin."""
    return [
        Mock(kind, block, expand(block.text(f"{kind}_listen")).strip(), cwd)
        for kind in ("tcp", "udp")
        if block.has(f"{kind}_listen")
    ]
