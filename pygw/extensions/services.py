"""Owns what Python plugins use of their worker: shared dictionaries, metrics, timers.

Which worker that is, is known by the greenlet: a phase, a timer and what they start belong to
theirs, anything else to the worker that began last (a process of its own has one only). Must never
be asked with a Lua frame on the caller's stack.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, Protocol

Number = int | float


class Services(Protocol):
    """What a worker offers. `call`: a Lua entry by name, at once, in values of Python."""

    def call(self, entry: str, *arguments: Any) -> Any: ...
    def start_timer(
        self, delay: float, again: bool, function: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> Timer: ...


class Place(Protocol):
    """Where Python code runs: of which worker, and for log lines for what."""

    @property
    def services(self) -> Services: ...

    def describe(self) -> str: ...


#: Of the greenlet that runs.
place: ContextVar[Place] = ContextVar("pygw.place")
_begun: list[Services] = []


def begin(services: Services) -> None:
    """A worker is there; it is the one that code outside of phases means, until `end`."""
    _begun.append(services)


def end(services: Services) -> None:
    """The worker is gone. Again is harmless."""
    if services in _begun:
        _begun.remove(services)


def _services() -> Services:
    here = place.get(None)
    if here is not None:
        return here.services
    if not _begun:
        raise RuntimeError("no worker runs in this process: this is for plugins that are served")
    return _begun[-1]


def describe_place() -> str:
    """Of what the code that runs is a part, for log lines; "" when it is of no phase."""
    here = place.get(None)
    return "" if here is None else here.describe()


class Timer:
    """A timer that waits or repeats; `cancel` it, once or more often."""

    __slots__ = ("_cancel", "cancelled")

    def __init__(self, cancel: Callable[[], None]) -> None:
        self._cancel, self.cancelled = cancel, False

    def cancel(self) -> None:
        """Do not run any more; a run that is under way goes on."""
        if not self.cancelled:
            self.cancelled = True
            self._cancel()


class timer:  # noqa: N801 - it is used as a name space: pygw.timer.at
    """Functions that run later, each in a greenlet of its own, on the worker's clock.

    They may block; what they raise is logged. A worker that stops cancels them.
    """

    @staticmethod
    def at(delay: float, fn: Callable[..., Any], *args: Any) -> Timer:
        """Call fn(*args) once, `delay` seconds from now."""
        return _services().start_timer(delay, False, fn, args)

    @staticmethod
    def every(interval: float, fn: Callable[..., Any], *args: Any) -> Timer:
        """Call fn(*args) every `interval` seconds; a call is left out while one is under way."""
        return _services().start_timer(interval, True, fn, args)


class SharedDictError(Exception):
    """A shared dictionary refused: it is full, or the value is not one for it."""


class SharedDict:
    """One ngx.shared.DICT: all workers of the gateway and all Lua code see the same values.

    Values are str, bytes, int, float or bool; bytes come back as str (UTF-8, what is none as
    surrogate escapes) and every number as float or int. ttl: seconds, 0 for ever.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def get(self, key: str, default: Any = None) -> Any:
        """The value, or `default` when there is none."""
        value = self._do("get", key)
        return default if value is None else value

    def set(self, key: str, value: Any, ttl: float = 0) -> None:
        """Store a value. Raises SharedDictError."""
        self._do("set", key, value, ttl)

    def add(self, key: str, value: Any, ttl: float = 0) -> bool:
        """Store a value unless there is one; whether it was stored. Raises SharedDictError."""
        return bool(self._do("add", key, value, ttl))

    def incr(self, key: str, by: Number = 1, init: Number | None = None, ttl: float = 0) -> Number:
        """Add to a number; returns the sum. init, ttl: of one that is not there (else KeyError)."""
        found: Number | None = self._do("incr", key, by, init, ttl)
        if found is None:
            raise KeyError(key)
        return found

    def delete(self, key: str) -> None:
        """Remove a value, if there is one."""
        self._do("delete", key)

    def ttl(self, key: str) -> float | None:
        """Seconds that the value still lives, 0 for ever; None without one."""
        found: float | None = self._do("ttl", key)
        return found

    def _do(self, operation: str, key: str, *arguments: Any) -> Any:
        return _services().call("python_shared", self.name, operation, key, *arguments)


class SharedDicts:
    """`pygw.shared["name"]`: the dictionaries that config.yaml declares, and pygw's own."""

    __slots__ = ()

    def __getitem__(self, name: str) -> SharedDict:
        return SharedDict(name)


shared = SharedDicts()


class _Metric:
    kind = ""

    def __init__(
        self, name: str, help: str, labels: Sequence[str] = (), buckets: Sequence[float] = ()
    ) -> None:
        self.name, self.help, self.labels = name, help, tuple(labels)
        self.buckets = tuple(buckets)

    def _do(self, operation: str, value: Number, labels: dict[str, Any]) -> None:
        if labels.keys() != set(self.labels):
            given = ", ".join(sorted(labels)) or "none"
            wanted = ", ".join(self.labels) or "none"
            raise ValueError(f"the labels of {self.name} are {wanted}; given were {given}")
        values = [str(labels[name]) for name in self.labels]
        _services().call(
            "python_metric",
            [self.kind, self.name, self.help, list(self.labels), list(self.buckets)],
            operation,
            value,
            values,
        )


class Counter(_Metric):
    """A number that only grows."""

    kind = "counter"

    def inc(self, value: Number = 1, /, **labels: Any) -> None:
        """Add to the series of these labels."""
        if value < 0:
            raise ValueError(f"a counter only grows: {value}")
        self._do("inc", value, labels)


class Gauge(_Metric):
    """A number that goes up and down."""

    kind = "gauge"

    def set(self, value: Number, /, **labels: Any) -> None:
        """Let the series of these labels be `value`."""
        self._do("set", value, labels)

    def inc(self, value: Number = 1, /, **labels: Any) -> None:
        """Add to the series of these labels."""
        self._do("inc", value, labels)

    def dec(self, value: Number = 1, /, **labels: Any) -> None:
        """Take from the series of these labels."""
        self._do("dec", value, labels)


class Histogram(_Metric):
    """How many values were seen, and of what size."""

    kind = "histogram"

    def observe(self, value: Number, /, **labels: Any) -> None:
        """Count a value in the series of these labels."""
        self._do("observe", value, labels)


class metrics:  # noqa: N801 - it is used as a name space: pygw.metrics.counter
    """Metrics of the endpoint that the plugin prometheus serves; without it they are not kept.

    One may be made at any time, at import too; its name gets the endpoint's prefix (apisix_). A Lua
    plugin that asks the same registry for a metric of the same name gets the same series.
    """

    @staticmethod
    def counter(name: str, help: str, labels: Sequence[str] = ()) -> Counter:
        """A counter; labels: their names."""
        return Counter(name, help, labels)

    @staticmethod
    def gauge(name: str, help: str, labels: Sequence[str] = ()) -> Gauge:
        """A gauge; labels: their names."""
        return Gauge(name, help, labels)

    @staticmethod
    def histogram(
        name: str, help: str, labels: Sequence[str] = (), buckets: Sequence[float] = ()
    ) -> Histogram:
        """A histogram; labels: their names; buckets: upper bounds, ascending (default: Lua's)."""
        return Histogram(name, help, labels, buckets)
