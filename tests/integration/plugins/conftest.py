"""Gateways with our plugins and, given --apisix, once more with those of an APISIX checkout."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.gateway import Gateway, Upstream, excuse, running_gateway

from pygw.hub.clock import Clock

PLUGINS = (
    "key-auth",
    "limit-count",
    "proxy-rewrite",
    "response-rewrite",
    "serverless-pre-function",
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "plugin_source" in metafunc.fixturenames:
        checkout = metafunc.config.getoption("--apisix")
        sources = {"pygw": None, **({"apisix": checkout} if checkout else {})}
        metafunc.parametrize(
            "plugin_source", sources.values(), ids=sources, indirect=True, scope="module"
        )


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
    tmp_path_factory: pytest.TempPathFactory, upstream: Upstream, plugin_source: Path | None
) -> Iterator[Callable[..., Gateway]]:
    """Start a gateway: start_gateway(clock=None, **config); config: keys of config.yaml."""
    with contextlib.ExitStack() as stack:

        def start(clock: Clock | None = None, **config: Any) -> Gateway:
            directories = [str(plugin_source)] if plugin_source else []
            base = tmp_path_factory.mktemp("gateway")
            whole = {"plugins": [*PLUGINS], "pygw": {"plugin_dirs": directories}, **config}
            return stack.enter_context(running_gateway(base, upstream, whole, clock))

        yield start


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway()


@pytest.fixture(autouse=True)
def _gateways_of_the_module_go_on() -> Iterator[None]:
    yield
    excuse()
