"""Owns the connections to etcd's endpoints: channels, TLS, fail-over, the token of a user.

A call goes to the endpoint that last answered and, when that one does not, to the next. Must never
know of keys or revisions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from gevent.lock import BoundedSemaphore

from pygw.config.grpc_mode import etcdrpc, grpc, init_gevent
from pygw.config.model import Etcd
from pygw.config.store import StoreRefused, StoreUnavailable

Metadata = tuple[tuple[str, str], ...]
_T = TypeVar("_T")

# gRPC under gevent takes a thread of the hub's pool (10) for every call in flight, and one or two
# for itself. Name resolution lives in the same pool and must go on when etcd hangs.
_CALLS_IN_FLIGHT = 4

_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # A peer that vanished without a word is noticed within 15 s; etcd permits a ping each 5 s.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    # An endpoint that comes back is found again well within a second.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 250),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
]

_STALE_TOKEN = ("invalid auth token", "auth: revision in header is old")

# Codes after which another endpoint, or a later moment, may do better.
_NOT_ANSWERING = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.ABORTED,
}


class StaleToken(StoreRefused):
    """The user's token is no longer accepted: a new one may be."""


class Endpoint(NamedTuple):
    """One address of etcd and its channel, which connects by itself when used."""

    name: str
    channel: Any


class Endpoints:
    """The endpoints of one cluster; `timeout` in seconds is that of each attempt."""

    def __init__(self, conf: Etcd, trusted_ca: Path | None = None) -> None:
        init_gevent()  # without it gRPC blocks the hub for good; again is harmless
        self.timeout = conf.timeout
        self._user, self._password = conf.user, conf.password
        self._token: Metadata | None = None
        self._endpoints = [_connect(host, conf, trusted_ca) for host in conf.host]
        self._in_flight = BoundedSemaphore(_CALLS_IN_FLIGHT)

    def call(self, stub: Callable[[Any], Any], method: str, request: Any, *, again: bool) -> Any:
        """Make one unary call and return its answer.

        `again`: whether the request may be sent to another endpoint when it is unknown whether
        the first one has carried it out.
        """

        def attempt(endpoint: Endpoint, metadata: Metadata) -> Any:
            return self.call_on(endpoint, metadata, stub, method, request)

        return self.attempt(attempt, again=again)

    def call_on(
        self,
        endpoint: Endpoint,
        metadata: Metadata,
        stub: Callable[[Any], Any],
        method: str,
        request: Any,
    ) -> Any:
        """As call(), on this endpoint or not at all; raises gRPC's own errors."""
        function = getattr(stub(endpoint.channel), method)
        with self._in_flight:
            return function(request, timeout=self.timeout, metadata=metadata)

    def attempt(self, action: Callable[[Endpoint, Metadata], _T], *, again: bool = True) -> _T:
        """Run action(endpoint, metadata) on one endpoint after the other until one answers.

        Raises StoreUnavailable when none does, StoreRefused when one says no.
        """
        failures: list[str] = []
        for endpoint in list(self._endpoints):
            try:
                return self._with_token(endpoint, action)
            except StoreUnavailable as error:
                failures.append(f"{endpoint.name}: {error}")
                self._demote(endpoint)
                if not again and len(self._endpoints) > 1:
                    break
        raise StoreUnavailable(f"has no healthy etcd endpoint available ({'; '.join(failures)})")

    def close(self) -> None:
        """Close every channel; calls in flight fail."""
        for endpoint in self._endpoints:
            endpoint.channel.close()

    def _demote(self, endpoint: Endpoint) -> None:
        """Try this endpoint last from now on (unless another call has done so)."""
        if self._endpoints[0] is endpoint:
            self._endpoints.append(self._endpoints.pop(0))

    def _with_token(self, endpoint: Endpoint, action: Callable[[Endpoint, Metadata], _T]) -> _T:
        try:
            return translated(action, endpoint, self._metadata(endpoint))
        except StaleToken:
            if not self._user:
                raise
        self._token = None
        return translated(action, endpoint, self._metadata(endpoint))

    def _metadata(self, endpoint: Endpoint) -> Metadata:
        if self._user and self._token is None:
            self._token = translated(self._authenticate, endpoint, ())
        return self._token or ()

    def _authenticate(self, endpoint: Endpoint, metadata: Metadata) -> Metadata:
        request = etcdrpc.AuthenticateRequest(name=self._user, password=self._password or "")
        try:
            with self._in_flight:
                answer = etcdrpc.AuthStub(endpoint.channel).Authenticate(
                    request, timeout=self.timeout
                )
        except grpc.RpcError as error:
            if "authentication is not enabled" in (error.details() or ""):
                return ()
            raise
        return (("token", answer.token),)


def translated(action: Callable[..., _T], *args: Any) -> _T:
    """action(*args), with gRPC's errors as the store's: StoreUnavailable, StoreRefused."""
    try:
        return action(*args)
    except grpc.RpcError as error:
        reason = error.details() or error.code().name
        if error.code() in _NOT_ANSWERING:
            raise StoreUnavailable(reason) from None
        stale = any(text in reason for text in _STALE_TOKEN)
        raise (StaleToken if stale else StoreRefused)(reason) from None
    except ValueError as error:  # gRPC's way to say that the channel is closed
        raise StoreUnavailable(str(error)) from None


def _connect(host: str, conf: Etcd, trusted_ca: Path | None) -> Endpoint:
    url = urlsplit(host)
    target = f"{url.hostname if ':' not in (url.hostname or '') else f'[{url.hostname}]'}"
    target += f":{url.port or 2379}"
    if url.scheme != "https":
        return Endpoint(host, grpc.insecure_channel(target, options=_OPTIONS))
    if not conf.verify:
        raise StoreRefused(
            f"deployment.etcd: {host} with tls.verify: false is not possible over gRPC; "
            "name the CA in apisix.ssl.ssl_trusted_certificate instead"
        )
    options = [*_OPTIONS, *_server_name(conf)]
    ca, key, cert = (_read(path) for path in (trusted_ca, conf.key, conf.cert))
    credentials = grpc.ssl_channel_credentials(ca, key, cert)
    return Endpoint(host, grpc.secure_channel(target, credentials, options=options))


def _server_name(conf: Etcd) -> Iterator[tuple[str, str]]:
    if conf.sni:
        yield ("grpc.ssl_target_name_override", conf.sni)


def _read(path: Path | str | None) -> bytes | None:
    if path is None:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise StoreRefused(f"deployment.etcd.tls: {path}: {error.strerror}") from None
