"""An upstream server whose every byte the test decides."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

from support.app_server import PATIENCE
from support.http import Client

Script = Callable[["Conversation"], None]


class Conversation(Client):
    """The upstream's end of one connection; `number` counts connections from 1."""

    def __init__(self, plain: socket.socket, number: int) -> None:
        super().__init__(plain)
        self.number = number

    def request(self) -> bytes:
        """Read a request's head; raises Truncated at the connection's end."""
        return self.read_until(b"\r\n\r\n")

    def requests(self) -> Iterator[bytes]:
        """The heads of all requests of this connection."""
        while self.held or self._more():
            yield self.request()

    def reset(self) -> None:
        """End the connection by a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class Upstream:
    """Accepts connections and runs `script(conversation)` for each in a thread.

    `errors` holds what scripts raised; `accepted` counts connections.
    """

    def __init__(self, script: Script, buffer: int | None = None) -> None:
        self._script = script
        self._listener = socket.socket()
        if buffer:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(512)
        self.port: int = self._listener.getsockname()[1]
        self.accepted = 0
        self.errors: list[BaseException] = []
        self._open: set[Conversation] = set()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            plain.settimeout(PATIENCE)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.accepted += 1
            conversation = Conversation(plain, self.accepted)
            self._open.add(conversation)
            thread = threading.Thread(target=self._run, args=(conversation,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, conversation: Conversation) -> None:
        try:
            with conversation:
                self._script(conversation)
        except (AssertionError, OSError) as error:
            self.errors.append(error)
        finally:
            self._open.discard(conversation)

    def stop(self) -> None:
        """End all connections and threads."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for conversation in list(self._open):
            with contextlib.suppress(OSError):
                conversation.socket.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)


def answer_with(*responses: bytes) -> Script:
    """A script that reads a request's head and answers it, once per response, then closes."""

    def script(conversation: Conversation) -> None:
        for response in responses:
            conversation.request()
            conversation.send(response)

    return script


@contextlib.contextmanager
def running_upstream(script: Script, buffer: int | None = None) -> Iterator[Upstream]:
    upstream = Upstream(script, buffer)
    try:
        yield upstream
    finally:
        upstream.stop()
