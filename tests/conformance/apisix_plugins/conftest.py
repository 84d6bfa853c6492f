"""A gateway whose plugin directory is an APISIX checkout, named by --apisix."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conformance.apisix_plugins.groups import GROUP_A
from support.gateway import Gateway, excuse, running_gateway

from pygw.hub.clock import VirtualClock
from pygw.testing.upstream import Upstream


@pytest.fixture(scope="session")
def checkout(request: pytest.FixtureRequest) -> Path:
    """The APISIX checkout."""
    directory: Path | None = request.config.getoption("--apisix")
    if not directory:
        pytest.skip("needs --apisix DIR, a checkout of APISIX 3.18")
    assert (directory / "apisix" / "plugins").is_dir(), f"{directory} is no APISIX checkout"
    return directory.resolve()


@pytest.fixture(scope="session")
def lua_trees(request: pytest.FixtureRequest) -> list[str]:
    """The LuaRocks trees with libraries of its plugins."""
    trees: list[Path] = request.config.getoption("--lua-tree") or []
    return [str(tree.resolve()) for tree in trees]


@pytest.fixture(scope="module")
def start_gateway(
    tmp_path_factory: pytest.TempPathFactory, checkout: Path, lua_trees: list[str]
) -> Iterator[Callable[..., Gateway]]:
    """Start a gateway in virtual time: start_gateway(**config); config: keys of config.yaml.

    serverless-pre-function, which is of the group too, is there to look inside.
    """
    with contextlib.ExitStack() as stack:
        upstream = Upstream()
        stack.callback(upstream.stop)
        ends = ("?.lua", "?/init.lua")
        paths = [f"{tree}/share/lua/5.1/{end}" for tree in lua_trees for end in ends]
        whole: dict[str, Any] = {
            "apisix": {
                "extra_lua_path": ";".join(paths),
                "extra_lua_cpath": ";".join(f"{tree}/lib/lua/5.1/?.so" for tree in lua_trees),
            },
            "plugins": list(GROUP_A),
            "plugin_attr": {"redirect": {"https_port": 8443}, "server-info": {"report_ttl": 60}},
            "pygw": {"plugin_dirs": [str(checkout)]},
        }

        def start(**config: Any) -> Gateway:
            base = tmp_path_factory.mktemp("gateway")
            context = running_gateway(base, upstream, {**whole, **config}, VirtualClock())
            return stack.enter_context(context)

        yield start


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    """One with all plugins of group A."""
    return start_gateway()


@pytest.fixture
def needs(gateway: Gateway) -> Callable[[str], None]:
    """Skip a test whose plugin was not loaded, for want of a library that no --lua-path has."""

    def need(plugin: str) -> None:
        skip_without_library(gateway.log, plugin)

    return need


def skip_without_library(log: str, plugin: str) -> None:
    """Skip the test when the log says that the plugin was not loaded for want of a library."""
    failure = rf"failed to load plugin \[{plugin}\] err: [^\n]*module '([^']+)' not found"
    library = re.search(failure, log)
    if library and not library[1].startswith(("apisix.", "ngx.")):
        pytest.skip(f"no --lua-path has {library[1]}")


@pytest.fixture(autouse=True)
def _gateways_of_the_module_go_on() -> Iterator[None]:
    yield
    excuse()
