"""Owns body filters that are generators: a greenlet for each response, fed chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import gevent
from gevent.event import AsyncResult, Event


class BodyStream:
    """One response on its way through a generator.

    start: makes the generator, given its iterator of chunks. The generator runs in a greenlet of
    its own until it asks for a chunk that has not come yet. title: what it is, for messages.
    """

    def __init__(self, start: Callable[[Iterator[bytes]], Iterator[bytes]], title: str) -> None:
        self._start, self._title = start, title
        self._chunk: bytes | None = None
        self._last = False
        self._fed = Event()
        self._turn: AsyncResult = AsyncResult()
        self._out: list[bytes] = []
        self._over = False
        self._greenlet: gevent.Greenlet | None = None

    def feed(self, chunk: bytes, last: bool) -> bytes:
        """What the generator yields for this chunk, and after the last one until its end."""
        if self._over:
            return b""
        self._chunk, self._last = chunk or None, last
        self._turn = AsyncResult()
        self._fed.set()
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._work)
        made: bytes = self._turn.get()
        return made

    def end(self) -> None:
        """Nobody feeds it any more. Does not wait."""
        if self._greenlet is not None:
            self._greenlet.kill(block=False)

    def _work(self) -> None:
        pygw_culprit = self._title  # noqa: F841 - the watchdog finds it
        try:
            for piece in self._start(self._chunks()):
                if not isinstance(piece, bytes):
                    raise TypeError(f"it yielded {piece!r}: yield bytes")
                self._out.append(piece)
        except BaseException as error:
            self._over = True
            self._turn.set_exception(error)
        else:
            self._over = True
            self._hand_over()

    def _hand_over(self) -> None:
        made, self._out = b"".join(self._out), []
        self._turn.set(made)

    def _chunks(self) -> Iterator[bytes]:
        while True:
            chunk, self._chunk = self._chunk, None
            if chunk is not None:
                yield chunk
            if self._last and self._chunk is None:
                return
            self._fed.clear()
            self._hand_over()
            self._fed.wait()
