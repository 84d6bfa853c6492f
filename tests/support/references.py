"""A gateway whose plugin tells what it got for a reference to a secret; time is virtual."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from support.gateway import Gateway, running_gateway

from pygw.hub.clock import VirtualClock
from pygw.testing.upstream import Upstream

PLUGINS = Path(__file__).parents[1] / "integration/apisix/plugins"


@contextmanager
def secret_gateway(base: Path) -> Iterator[Gateway]:
    """Run one in the directory `base`."""
    config = {"plugins": ["t-secret", "key-auth"], "pygw": {"plugin_dirs": [str(PLUGINS)]}}
    with ExitStack() as stack:
        upstream = Upstream()
        stack.callback(upstream.stop)
        yield stack.enter_context(running_gateway(base, upstream, config, VirtualClock()))


def manage(gateway: Gateway, name: str, conf: dict[str, Any]) -> None:
    """Set up a secret manager, such as "vault/1"."""
    gateway.put(f"secrets/{name}", {"id": name, **conf})


def advance(gateway: Gateway, seconds: float) -> None:
    """Let virtual time pass."""
    assert isinstance(gateway.clock, VirtualClock)
    gateway.clock.advance(seconds)


def teller(gateway: Gateway) -> Callable[[str], str]:
    """Returns what a plugin gets for a reference."""
    path = gateway.route({"t-secret": {}})
    key = f"routes/{path[1:]}"

    def tell(reference: str) -> str:
        gateway.put(key, gateway.describe(path, {"t-secret": {"token": reference}}))
        token: str = gateway.ask(path).json()["conf"]["token"]
        return token

    return tell


def complaint(gateway: Gateway, reference: str) -> str:
    """The log line about a reference that cannot be resolved; it stays as it is."""
    before = len(gateway.log)
    assert teller(gateway)(reference) == reference
    (line,) = [
        line
        for line in gateway.log[before:].splitlines()
        if "failed to resolve secret reference" in line
    ]
    return line.partition("failed to resolve secret reference: ")[2]
