"""Owns the etcd back end: the store's interface in etcd's v3 API.

python-etcd3 supplies the messages and stubs of that API (docs/decisions/0002); its client is not
used. Must never block the hub: gRPC runs in its gevent mode.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gevent.lock import BoundedSemaphore

from pygw.config.etcd_endpoints import Endpoint, Endpoints, Metadata, StaleToken, translated
from pygw.config.etcd_history import History
from pygw.config.etcd_watch import EtcdWatch, WatchDenied, WatchStream
from pygw.config.grpc_mode import etcdrpc
from pygw.config.model import Etcd
from pygw.config.store import (
    Batch,
    Compacted,
    Delete,
    KeyValue,
    Put,
    Store,
    StoreRefused,
    StoreUnavailable,
    prefix_end,
)

_PAGE = 2000  # keys of one answer: parsing more at once would hold up the hub

# etcd calls it a lack of permission too when the token that a stream began with has expired.
# A denial on a stream older than this many seconds is therefore tried again with a new token.
_TOKEN_DOUBT = 60.0


class EtcdStore(Store):
    """A store in an etcd cluster; connects when first used."""

    def __init__(self, conf: Etcd, trusted_ca: Path | None = None) -> None:
        self._endpoints = Endpoints(conf, trusted_ca)
        self._stream: WatchStream | None = None
        self._stream_at: Endpoint
        self._history = History()
        self._verifying = BoundedSemaphore(1)

    @property
    def history(self) -> str:
        return self._history.label

    def readdir(self, prefix: bytes) -> tuple[int, list[KeyValue]]:
        while True:
            try:
                pages = list(self.pages(prefix, _PAGE))
            except Compacted:
                continue
            revision, kvs = pages[0][0], [kv for _, page in pages for kv in page]
            if self._trusted() or not self._history.known:
                self._history.saw(revision, kvs, prefix)
            return revision, kvs

    def pages(self, prefix: bytes, size: int) -> Iterator[tuple[int, list[KeyValue]]]:
        """What readdir() reads, up to `size` keys at a time, each with the one revision.

        Raises Compacted when that revision is compacted away meanwhile.
        """
        start, end, revision = prefix or b"\0", prefix_end(prefix), 0
        while True:
            request = etcdrpc.RangeRequest(key=start, range_end=end, limit=size, revision=revision)
            try:
                answer = self._kv("Range", request)
            except StoreRefused as error:
                if revision and "compacted" in str(error):
                    raise Compacted(revision) from None
                raise
            revision = revision or answer.header.revision
            kvs = list(map(_key_value, answer.kvs))
            yield revision, kvs
            if not answer.more:
                return
            start = kvs[-1].key + b"\0"

    def get(self, key: bytes) -> tuple[int, KeyValue | None]:
        answer = self._kv("Range", etcdrpc.RangeRequest(key=key))
        return answer.header.revision, _key_value(answer.kvs[0]) if answer.kvs else None

    def put(self, key: bytes, value: bytes, ttl: int | None = None) -> int:
        answer = self._kv("Put", self._put_request(Put(key, value, ttl)))
        revision: int = answer.header.revision
        return revision

    def put_leased(self, key: bytes, value: bytes, ttl: int) -> tuple[int, str]:
        lease = self._grant(ttl)
        answer = self._kv("Put", etcdrpc.PutRequest(key=key, value=value, lease=lease))
        return answer.header.revision, str(lease)

    def keep_alive(self, lease: str) -> int:
        request = etcdrpc.LeaseKeepAliveRequest(ID=int(lease))

        def action(endpoint: Endpoint, metadata: Metadata) -> int:
            stub, timeout = etcdrpc.LeaseStub(endpoint.channel), self._endpoints.timeout
            answers = stub.LeaseKeepAlive(iter([request]), timeout=timeout, metadata=metadata)
            seconds: int = next(answers).TTL
            answers.cancel()
            return seconds

        return self._endpoints.attempt(action)

    def delete(self, key: bytes) -> tuple[int, int]:
        answer = self._kv("DeleteRange", etcdrpc.DeleteRangeRequest(key=key))
        return answer.header.revision, answer.deleted

    def delete_prefix(self, prefix: bytes) -> tuple[int, int]:
        request = etcdrpc.DeleteRangeRequest(key=prefix or b"\0", range_end=prefix_end(prefix))
        answer = self._kv("DeleteRange", request)
        return answer.header.revision, answer.deleted

    def transact(
        self, operations: Sequence[Put | Delete], unless_changed: Sequence[tuple[bytes, int]] = ()
    ) -> tuple[int, bool]:
        request = etcdrpc.TxnRequest(
            compare=[_compare(key, mod_rev) for key, mod_rev in unless_changed],
            success=[self._operation(operation) for operation in operations],
        )
        answer = self._kv("Txn", request, again=not unless_changed)
        return answer.header.revision, answer.succeeded

    def compact(self, revision: int) -> None:
        self._kv("Compact", etcdrpc.CompactionRequest(revision=revision))

    def open_watch(self, prefix: bytes, start_revision: int) -> EtcdWatch:
        def action(endpoint: Endpoint, metadata: Metadata) -> EtcdWatch:
            stream = self._live_stream(endpoint, metadata)
            try:
                watch = stream.open(prefix, start_revision, self._endpoints.timeout)
                self._verify(stream, metadata, prefix)
                watch.history = self._history.label
                return watch
            except StoreUnavailable as error:
                stream.close(str(error))
                raise
            except WatchDenied as error:
                if stream.age() > _TOKEN_DOUBT:
                    stream.close(f"its user may have to log in again: {error}")
                    raise StaleToken(str(error)) from None
                raise StoreRefused(str(error)) from None

        return self._endpoints.attempt(action)

    def _live_stream(self, endpoint: Endpoint, metadata: Metadata) -> WatchStream:
        """The one stream of this store; a new one, to this endpoint, when there is none."""
        if self._stream is None or self._stream.ended:
            self._stream = WatchStream(endpoint.channel, metadata, self._saw)
            self._stream_at = endpoint
        return self._stream

    def _verify(self, stream: WatchStream, metadata: Metadata, prefix: bytes) -> None:
        """Once for each stream, before its first watch is used; asks where the stream is."""
        endpoint = self._stream_at

        def read(key: bytes, revision: int, end: bytes = b"") -> Any:
            request = etcdrpc.RangeRequest(key=key, range_end=end, revision=revision, limit=1)
            return self._endpoints.call_on(endpoint, metadata, etcdrpc.KVStub, "Range", request)

        with self._verifying:
            if not stream.verified:
                self._history.verify(lambda *at: translated(read, *at), prefix or b"\0")
                stream.verified = True

    def _trusted(self) -> bool:
        """Whether what is read now belongs to the history that is remembered."""
        return self._stream is not None and self._stream.verified and not self._stream.ended

    def _saw(self, batch: Batch) -> None:
        if self._trusted():
            puts = (event for event in batch.events if event.type == "PUT")
            self._history.saw(batch.revision, (KeyValue(*event[1:]) for event in puts))

    def server_version(self) -> str:
        answer = self._endpoints.call(
            etcdrpc.MaintenanceStub, "Status", etcdrpc.StatusRequest(), again=True
        )
        version: str = answer.version
        return version

    def close(self) -> None:
        if self._stream:
            self._stream.close()
        self._endpoints.close()

    def _kv(self, method: str, request: Any, *, again: bool = True) -> Any:
        return self._endpoints.call(etcdrpc.KVStub, method, request, again=again)

    def _put_request(self, put: Put) -> Any:
        lease = self._grant(put.ttl) if put.ttl is not None else 0
        return etcdrpc.PutRequest(key=put.key, value=put.value, lease=lease)

    def _grant(self, ttl: int) -> int:
        answer = self._endpoints.call(
            etcdrpc.LeaseStub, "LeaseGrant", etcdrpc.LeaseGrantRequest(TTL=ttl), again=True
        )
        lease: int = answer.ID
        return lease

    def _operation(self, operation: Put | Delete) -> Any:
        if isinstance(operation, Put):
            return etcdrpc.RequestOp(request_put=self._put_request(operation))
        request = etcdrpc.DeleteRangeRequest(key=operation.key)
        return etcdrpc.RequestOp(request_delete_range=request)


def _key_value(kv: Any) -> KeyValue:
    return KeyValue(kv.key, kv.value, kv.create_revision, kv.mod_revision)


def _compare(key: bytes, mod_rev: int) -> Any:
    return etcdrpc.Compare(
        result=etcdrpc.Compare.EQUAL,
        target=etcdrpc.Compare.MOD,
        key=key,
        mod_revision=mod_rev,
    )
