"""Gateways with our plugins and, given --apisix, once more with those of an APISIX checkout."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.gateway import Gateway, excuse, running_gateway
from support.limits import advance
from support.redis_server import Redis, running, running_cluster, running_sentinel

from pygw.hub.clock import Clock, VirtualClock
from pygw.testing.upstream import Upstream

PLUGINS = (
    "key-auth",
    "limit-count",
    "proxy-rewrite",
    "response-rewrite",
    "serverless-pre-function",
)
# What the log says of a plugin of a checkout whose library is nowhere.
MISSING = re.compile(r"failed to load plugin \[([^]]+)\].*?: module '([^']+)' not found")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "plugin_source" in metafunc.fixturenames:
        checkout = metafunc.config.getoption("--apisix")
        sources = {"pygw": None, **({"apisix": checkout} if checkout else {})}
        metafunc.parametrize(
            "plugin_source", sources.values(), ids=sources, indirect=True, scope="module"
        )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep one source's tests together within a module: their gateway is then made once."""
    modules = {path: i for i, path in enumerate(dict.fromkeys(item.path for item in items))}

    def source(item: pytest.Item) -> str:
        call = getattr(item, "callspec", None)
        return str(call.params.get("plugin_source")) if call else ""

    items.sort(key=lambda item: (modules[item.path], source(item)))


def lua_paths(trees: list[Path]) -> dict[str, str]:
    """The keys of `apisix` in config.yaml that make LuaRocks trees known."""
    if not trees:
        return {}
    lua = [f"{tree}/share/lua/5.1/{name}" for tree in trees for name in ("?.lua", "?/init.lua")]
    c = [f"{tree}/lib/lua/5.1/?.so" for tree in trees]
    return {"extra_lua_path": ";".join(lua), "extra_lua_cpath": ";".join(c)}


@pytest.fixture(scope="module")
def plugin_source(request: pytest.FixtureRequest) -> Path | None:
    """Where the plugins come from: None is pygw's own, else an APISIX checkout."""
    source: Path | None = request.param
    return source


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    server = Upstream()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def start_gateway(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    upstream: Upstream,
    plugin_source: Path | None,
) -> Iterator[Callable[..., Gateway]]:
    """Start a gateway: start_gateway(clock=None, **config); config: keys of config.yaml.

    The plugins of a checkout find their libraries in the --lua-tree directories.
    """
    trees = request.config.getoption("--lua-tree") or [] if plugin_source else []
    with contextlib.ExitStack() as stack:

        def start(clock: Clock | None = None, **config: Any) -> Gateway:
            directories = [str(plugin_source)] if plugin_source else []
            base = tmp_path_factory.mktemp("gateway")
            whole = {"plugins": [*PLUGINS], "pygw": {"plugin_dirs": directories}, **config}
            whole["apisix"] = {**lua_paths(trees), **whole.get("apisix", {})}
            gateway = stack.enter_context(running_gateway(base, upstream, whole, clock))
            if plugin_source and (missing := MISSING.search(gateway.log)):
                pytest.skip(f"{missing[1]} of the checkout needs {missing[2]}: give --lua-tree")
            return gateway

        yield start


@pytest.fixture
def our_libraries(request: pytest.FixtureRequest, plugin_source: Path | None) -> None:
    """For what is up to a library that a --lua-tree has, too, and which behaves otherwise there."""
    if plugin_source and request.config.getoption("--lua-tree"):
        pytest.skip("a library of the --lua-tree decides this, not ours")


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway()


@pytest.fixture(scope="module")
def virtual_gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway(VirtualClock())


@pytest.fixture
def timed_gateway(virtual_gateway: Gateway) -> Gateway:
    """A gateway in virtual time, at the beginning of windows of 10 and of 60 seconds."""
    advance(virtual_gateway, -virtual_gateway.clock.now % 600)
    return virtual_gateway


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """A redis server; the user "app" has the password "secret"."""
    path = tmp_path_factory.mktemp("redis") / "one"
    options = ("user app on >secret ~* &* +@all", f"unixsocket {path}/redis.sock")
    with running(path, *options) as server:
        yield server


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Redis, Redis, Redis]]:
    """A master, a replica (password "data") and a sentinel (password "watch")."""
    base = tmp_path_factory.mktemp("redis")
    with running_sentinel(base, password="data", sentinel_password="watch") as servers:
        yield servers


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Redis]]:
    """Three masters and a replica of the first; the password is "secret"."""
    base = tmp_path_factory.mktemp("cluster")
    with running_cluster(base, "requirepass secret", "masterauth secret") as servers:
        yield servers


@pytest.fixture(autouse=True)
def _gateways_of_the_module_go_on() -> Iterator[None]:
    yield
    excuse()
