"""Owns what pytest finds of the test kit: fixtures, options, what a failed test shows.

It is loaded by its entry point wherever pygw is installed, so it imports the kit when asked for.
"""

from __future__ import annotations

import contextlib
import random
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pygw.testing import Gateway, LuaPlugin

Config = Mapping[str, Any] | Path
MakeGateway = Callable[..., "Gateway"]
MakeLuaPlugin = Callable[..., "LuaPlugin"]

_SEED = pytest.StashKey[int]()
_GATEWAYS = pytest.StashKey[list["Gateway"]]()
_LOG_LINES = 60
_MAX_SEED = 1 << 31


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the command line and of pytest's configuration file."""
    group = parser.getgroup("pygw", "gateways under test")
    group.addoption(
        "--pygw-seed",
        type=int,
        metavar="N",
        help="where chance begins in gateways under test: the same N, the same run",
    )
    group.addoption(
        "--pygw-t",
        type=Path,
        action="append",
        default=[],
        metavar="PATH",
        help="run a Test::Nginx file, or all .t files of a directory; repeatable",
    )
    group.addoption(
        "--pygw-t-jobs",
        type=int,
        default=6,
        metavar="N",
        help="how many blocks of Test::Nginx files run at once (most of them wait)",
    )
    group.addoption(
        "--pygw-t-keep",
        type=Path,
        metavar="DIR",
        help="keep each block's directory (nginx.conf, app.lua, logs) here, and say where",
    )
    parser.addini(
        "pygw_monkey_patch",
        "let gevent patch Python before tests are imported, as in a worker, for Python plugins "
        "that block",
        type="bool",
        default=False,
    )


def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Patch as early as can be: what is imported first is patched late."""
    if early_config.getini("pygw_monkey_patch"):
        from gevent import monkey

        with warnings.catch_warnings():  # that other plugins of pytest were here first
            warnings.simplefilter("ignore", monkey.MonkeyPatchWarning)
            monkey.patch_all()


def pytest_configure(config: pytest.Config) -> None:
    """Choose the seed of this run; take Test::Nginx files, if there are any."""
    given = config.getoption("--pygw-seed")
    config.stash[_SEED] = given or random.randrange(1, _MAX_SEED)
    if paths := config.getoption("--pygw-t"):
        from pygw.testing.tfiles import collector

        collector.enable(config, paths)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what its gateways were asked and what they logged."""
    report = yield
    if report.failed and report.when != "teardown":  # they are closed by then
        for gateway in item.stash.get(_GATEWAYS, []):
            seed = item.config.stash[_SEED]
            report.sections.append(("requests to the gateway", "\n".join(gateway.asked)))
            lines = gateway.log.splitlines()[-_LOG_LINES:]
            report.sections.append((f"log of the gateway (--pygw-seed {seed})", "\n".join(lines)))
    return report


@pytest.fixture
def pygw_config() -> Config:
    """config.yaml of the gateways: a dict, or the path of the file. For tests to override."""
    return {}


@pytest.fixture
def make_gateway(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MakeGateway]:
    """make_gateway(config, **options) starts a gateway; see pygw.testing.running for options."""
    from pygw.testing import running

    started = request.node.stash.setdefault(_GATEWAYS, [])
    with contextlib.ExitStack() as stack:

        def make(config: Config | None = None, **options: Any) -> Gateway:
            options.setdefault("seed", request.config.stash[_SEED])
            directory = tmp_path_factory.mktemp("gateway")
            gateway = stack.enter_context(running(directory, config, **options))
            started.append(gateway)
            return gateway

        yield make
    started.clear()  # pytest keeps the item, and would keep what Lua has in memory


@pytest.fixture
def gateway(make_gateway: MakeGateway, pygw_config: Config) -> Gateway:
    """A gateway with the configuration of `pygw_config`, in virtual time, without a port."""
    return make_gateway(pygw_config)


@pytest.fixture
def lua_plugin(make_gateway: MakeGateway, pygw_config: Config) -> MakeLuaPlugin:
    """lua_plugin(file, conf=None, **config) loads one Lua plugin and puts it on a route.

    file: its path. conf: its configuration, None: none yet. config: of config.yaml, beside
    `pygw_config`.
    """
    from pygw.testing import LuaPlugin
    from pygw.testing.lua_plugin import config_for

    def make(file: Path | str, conf: Mapping[str, Any] | None = None, **config: Any) -> LuaPlugin:
        file = Path(file)
        if isinstance(pygw_config, Path):
            raise TypeError("lua_plugin needs pygw_config to be a dict, not the path of a file")
        gateway = make_gateway(config_for(file, {**pygw_config, **config}))
        return LuaPlugin(gateway, file.stem, conf)

    return make
