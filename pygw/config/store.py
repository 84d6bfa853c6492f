"""Owns the store's interface: keys with revisions, and watches that begin at a revision.

etcd's model, whatever stands behind it: one revision counter for the whole store, raised by one
per change; every key carries the revision that created it and the one that last changed it.
Every method may be called from any greenlet of one hub and waits without blocking that hub.
Must never know a back end, nor what a key means.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal, NamedTuple

EventType = Literal["PUT", "DELETE"]
BatchKind = Literal["events", "timeout", "compacted", "closed"]


class StoreError(Exception):
    """What the store cannot do; the base of the three below."""


class StoreUnavailable(StoreError):
    """The store does not answer now: keep what you have and try again later."""


class StoreRefused(StoreError):
    """The store answered and said no (credentials, a malformed request): trying again is no use."""


class Compacted(StoreError):
    """The history asked for is gone: read everything again. `revision` is the oldest one kept."""

    def __init__(self, revision: int) -> None:
        super().__init__(f"the store's history was compacted up to revision {revision}")
        self.revision = revision


class KeyValue(NamedTuple):
    """A key as it stands; revisions as etcd's create_revision and mod_revision."""

    key: bytes
    value: bytes
    create_rev: int
    mod_rev: int


class Event(NamedTuple):
    """A change of one key. Of a DELETE, value is b"" and create_rev 0."""

    type: EventType
    key: bytes
    value: bytes
    create_rev: int
    mod_rev: int


class Batch(NamedTuple):
    """One answer of a watch.

    "events": whole revisions in ascending order, `revision` the store's when it was sent;
    "timeout": nothing within the time, which says nothing about the revision; "compacted":
    `revision` is the oldest that can still be watched, the watch is over; "closed": the watch is
    over for the reason in `message`, open another from the revision after the last one seen.
    """

    kind: BatchKind
    revision: int = 0
    events: tuple[Event, ...] = ()
    message: str = ""


class Put(NamedTuple):
    """A write in a transaction; `ttl` in seconds, None for ever."""

    key: bytes
    value: bytes
    ttl: int | None = None


class Delete(NamedTuple):
    """A removal in a transaction."""

    key: bytes


class Watch(ABC):
    """Changes of the keys under a prefix; `revision` was the store's when the watch was made."""

    revision: int
    history: str | None = None  # see Store.history, when the watch was made

    @abstractmethod
    def next(self, timeout: float) -> Batch:
        """Wait up to `timeout` seconds for the next batch. One greenlet at a time."""

    @abstractmethod
    def cancel(self) -> None:
        """End the watch; a waiting next() returns "closed". Never waits. Again is harmless."""


class Store(ABC):
    """A store. All but close() raise StoreUnavailable or StoreRefused."""

    @property
    def history(self) -> str | None:
        """Names the sequence of revisions; another name: they do not continue those seen before.

        None when the store cannot tell: a revision that goes back is then all there is to see.
        """
        return None

    @abstractmethod
    def readdir(self, prefix: bytes) -> tuple[int, list[KeyValue]]:
        """All keys that begin with `prefix`, ascending, at one revision."""

    @abstractmethod
    def get(self, key: bytes) -> tuple[int, KeyValue | None]:
        """One key, and the store's revision."""

    @abstractmethod
    def transact(
        self, operations: Sequence[Put | Delete], unless_changed: Sequence[tuple[bytes, int]] = ()
    ) -> tuple[int, bool]:
        """Apply all operations as one revision if every key of `unless_changed` has that mod_rev.

        mod_rev 0 means that the key does not exist. Returns the revision and whether it was done.
        """

    @abstractmethod
    def put(self, key: bytes, value: bytes, ttl: int | None = None) -> int:
        """Write a key, for `ttl` seconds or for ever. Returns the new revision, once durable."""

    @abstractmethod
    def put_leased(self, key: bytes, value: bytes, ttl: int) -> tuple[int, str]:
        """Write a key for `ttl` seconds. Returns the new revision and the lease that holds the key.

        A later write of the key without it takes the key from the lease.
        """

    @abstractmethod
    def keep_alive(self, lease: str) -> int:
        """Let the seconds of a lease begin anew; returns them, 0 when the lease is over."""

    @abstractmethod
    def delete(self, key: bytes) -> tuple[int, int]:
        """Remove a key. Returns the revision and how many keys (0 or 1) were removed."""

    @abstractmethod
    def delete_prefix(self, prefix: bytes) -> tuple[int, int]:
        """Remove all keys that begin with `prefix` as one revision; returns as delete()."""

    @abstractmethod
    def compact(self, revision: int) -> None:
        """Forget the history before `revision`; keys stay as they are."""

    @abstractmethod
    def open_watch(self, prefix: bytes, start_revision: int) -> Watch:
        """Watch the keys under `prefix` from `start_revision` on (0: from now on).

        Returns when the store has confirmed it. A start that is compacted away gives "compacted"
        as the first batch; one in the future waits for it (compare with the watch's `revision`).
        """

    @abstractmethod
    def server_version(self) -> str:
        """The version of what stores the data."""

    @abstractmethod
    def close(self) -> None:
        """End every watch ("closed") and let go of all resources. Again is harmless."""


def prefix_end(prefix: bytes) -> bytes:
    r"""The first key after all that begin with `prefix`; b"\0" (etcd's "no end") when none is."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else b"\0"
