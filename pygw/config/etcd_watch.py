"""Owns the watch stream to one etcd endpoint: many watches on one gRPC stream.

python-etcd3's Watcher does this too, but gives a lost stream to its callbacks only, reports a
compaction as an exception without ending the watch for its reader, and waits on thread locks; its
generated messages are what is used here. gRPC runs threads: what those are (native, or greenlets
after monkey.patch_all()) does not matter, since they only hand answers to the hub's loop, and all
state is touched there. Must never open a stream by itself again: the cycle above decides when.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from gevent import Timeout
from gevent.event import AsyncResult
from gevent.hub import get_hub

from pygw.config.grpc_mode import etcdrpc, grpc
from pygw.config.store import Batch, Event, StoreUnavailable, prefix_end
from pygw.config.watch_queue import QueuedWatch

# A member that has lost its leader ends the stream: it would be silent while others go on.
_LEADER = ("hasleader", "true")


class WatchDenied(Exception):
    """etcd confirmed the watch and cancelled it in the same answer; `str()` is its reason."""


class EtcdWatch(QueuedWatch):
    """One watch of a WatchStream."""

    def __init__(self, stream: WatchStream, watch_id: int, revision: int) -> None:
        super().__init__(revision, lambda _: stream.forget(watch_id))


class _Opening:
    """A watch that etcd has not confirmed yet."""

    def __init__(self) -> None:
        self.result: Any = AsyncResult()
        self.abandoned = False


class WatchStream:
    """One bidirectional stream; `on_events` hears every batch of events.

    `ended` is None while it lives, then the reason why it ended. `verified` is its owner's to set.
    """

    def __init__(
        self,
        channel: Any,
        metadata: tuple[tuple[str, str], ...],
        on_events: Callable[[Batch], None],
    ) -> None:
        self.ended: str | None = None
        self.verified = False
        self._on_events = on_events
        self._born = time.monotonic()
        self._loop = get_hub().loop
        self._watches: dict[int, EtcdWatch] = {}
        self._opening: deque[_Opening] = deque()  # etcd confirms in the order of asking
        self._requests: SimpleQueue[Any] = SimpleQueue()
        stub = etcdrpc.WatchStub(channel)
        self._call = stub.Watch(iter(self._requests.get, None), metadata=(*metadata, _LEADER))
        threading.Thread(target=self._read, name="etcd-watch", daemon=True).start()

    def open(self, prefix: bytes, start_revision: int, timeout: float) -> EtcdWatch:
        """Watch `prefix`; returns once etcd has confirmed. Raises StoreUnavailable, WatchDenied."""
        if self.ended:
            raise StoreUnavailable(self.ended)
        opening = _Opening()
        self._opening.append(opening)
        self._requests.put(_create_request(prefix, start_revision))
        try:
            watch: EtcdWatch = opening.result.get(timeout=timeout)
        except Timeout:
            raise StoreUnavailable(f"etcd confirmed no watch within {timeout:g} s") from None
        finally:
            opening.abandoned = True
        return watch

    def age(self) -> float:
        """Seconds since the stream was opened."""
        return time.monotonic() - self._born

    def forget(self, watch_id: int) -> None:
        """Have etcd end a watch. Never waits."""
        if self._watches.pop(watch_id, None) and not self.ended:
            self._cancel_remote(watch_id)

    def close(self, reason: str = "the store was closed") -> None:
        """End the stream and, at once, every watch on it. Again is harmless."""
        self._end(reason)
        self._call.cancel()

    def _read(self) -> None:
        """Runs in a thread of its own for as long as the stream lives."""
        reason = "etcd ended the watch stream"
        try:
            for response in self._call:
                self._loop.run_callback_threadsafe(self._on_response, response)
        except grpc.RpcError as error:
            reason = f"the watch stream broke: {error.details() or error.code().name}"
        self._loop.run_callback_threadsafe(self._end, reason)

    def _on_response(self, response: Any) -> None:
        if self.ended:
            return
        if response.created:
            self._on_created(response)
        elif response.canceled:
            self._on_canceled(response)
        elif response.events and (watch := self._watches.get(response.watch_id)):
            events = tuple(map(_event, response.events))
            batch = Batch("events", response.header.revision, events)
            self._on_events(batch)
            watch.feed(batch)

    def _on_created(self, response: Any) -> None:
        opening = self._opening.popleft()
        if response.canceled:
            opening.result.set_exception(WatchDenied(response.cancel_reason))
        elif opening.abandoned:
            self._cancel_remote(response.watch_id)
        else:
            watch = EtcdWatch(self, response.watch_id, response.header.revision)
            self._watches[response.watch_id] = watch
            opening.result.set(watch)

    def _on_canceled(self, response: Any) -> None:
        watch = self._watches.pop(response.watch_id, None)
        if watch is None:
            return
        if response.compact_revision:
            watch.feed(Batch("compacted", response.compact_revision))
        else:
            watch.feed(Batch("closed", message=f"cancelled by etcd: {response.cancel_reason}"))

    def _cancel_remote(self, watch_id: int) -> None:
        request = etcdrpc.WatchCancelRequest(watch_id=watch_id)
        self._requests.put(etcdrpc.WatchRequest(cancel_request=request))

    def _end(self, reason: str) -> None:
        if self.ended:
            return
        self.ended = reason
        self._requests.put(None)  # lets gRPC's sender go
        for opening in self._opening:
            opening.result.set_exception(StoreUnavailable(reason))
        for watch in self._watches.values():
            watch.feed(Batch("closed", message=reason))
        self._watches.clear()


def _create_request(prefix: bytes, start_revision: int) -> Any:
    create = etcdrpc.WatchCreateRequest(
        key=prefix or b"\0", range_end=prefix_end(prefix), start_revision=start_revision
    )
    return etcdrpc.WatchRequest(create_request=create)


def _event(event: Any) -> Event:
    kv = event.kv
    if event.type == event.DELETE:
        return Event("DELETE", kv.key, b"", 0, kv.mod_revision)
    return Event("PUT", kv.key, kv.value, kv.create_revision, kv.mod_revision)
