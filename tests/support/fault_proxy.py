"""A TCP proxy on loopback with scripted faults: delays, throttling, cuts, resets, black holes."""

import contextlib
import socket as plain_socket
import struct
from typing import Any

import gevent
from gevent import socket
from gevent.event import Event
from gevent.server import StreamServer

_CHUNK = 65536
_AT_ONCE = struct.pack("ii", 1, 0)


class FaultProxy:
    """Forwards to 127.0.0.1:`port`; `accepted` counts its connections ever, `open` those now.

    `delay`: seconds that each piece waits. `piece`: bytes that are passed on at a time, each after
    `delay`; a small one throttles.
    """

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._flowing = Event()
        self._pairs: set[tuple[Any, Any]] = set()
        self._refusing = False
        self.accepted = 0
        self.heal()
        self._server = StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @property
    def open(self) -> int:
        return len(self._pairs)

    def heal(self) -> None:
        """No faults from now on; what a black hole has held back flows on."""
        self.delay, self.piece = 0.0, _CHUNK
        self._refusing = False
        self._flowing.set()

    def black_hole(self) -> None:
        """Connections are accepted, and nothing passes, until heal()."""
        self._flowing.clear()

    def cut(self) -> None:
        """Close every connection properly."""
        for pair in list(self._pairs):
            _close(pair)

    def reset(self) -> None:
        """Close every connection with a reset."""
        for pair in list(self._pairs):
            for side in pair:
                with contextlib.suppress(OSError):  # the pump may have closed it
                    side.setsockopt(plain_socket.SOL_SOCKET, plain_socket.SO_LINGER, _AT_ONCE)
            _close(pair)

    def refuse(self) -> None:
        """Cut, and cut every new connection, until heal()."""
        self._refusing = True
        self.cut()

    def close(self) -> None:
        """End all."""
        self._flowing.set()
        self._server.stop()
        self.cut()

    def _serve(self, near: Any, _: Any) -> None:
        self.accepted += 1
        if self._refusing:
            return
        try:
            far = socket.create_connection(self._target)
        except OSError:
            return
        pair = (near, far)
        self._pairs.add(pair)
        back = gevent.spawn(self._pump, far, near, pair)
        self._pump(near, far, pair)
        back.join()
        self._pairs.discard(pair)

    def _pump(self, source: Any, sink: Any, pair: tuple[Any, Any]) -> None:
        try:
            while data := source.recv(_CHUNK):
                piece = self.piece
                for start in range(0, len(data), piece):
                    self._flowing.wait()
                    if self.delay:
                        gevent.sleep(self.delay)
                    sink.sendall(data[start : start + piece])
        except OSError:
            pass
        _close(pair)


def _close(pair: tuple[Any, Any]) -> None:
    for side in pair:
        with contextlib.suppress(OSError):
            side.shutdown(plain_socket.SHUT_RDWR)
        side.close()
