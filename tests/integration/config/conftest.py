"""Fixtures of the store's tests: a real etcd, stores of both back ends, processes with one."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gevent import subprocess
from support.etcd_server import EtcdServer, etcd_conf, running

from pygw.config.embedded import EmbeddedStore
from pygw.config.etcd import EtcdStore
from pygw.config.store import Store


@pytest.fixture
def etcd_store_for() -> Iterator[Callable[..., EtcdStore]]:
    """Makes stores for given endpoints, and closes them."""
    stores: list[EtcdStore] = []

    def make(*hosts: str, trusted_ca: Path | None = None, **changes: Any) -> EtcdStore:
        stores.append(EtcdStore(etcd_conf(*hosts, **changes), trusted_ca))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


@pytest.fixture(scope="session")
def shared_etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdServer]:
    """One server for all tests that neither kill nor reconfigure it."""
    with running(tmp_path_factory.mktemp("etcd") / "data") as server:
        yield server


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[EtcdServer]:
    """A server of the test's own."""
    with running(tmp_path / "etcd") as server:
        yield server


@pytest.fixture(params=["etcd", "embedded", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store of each kind. The etcd one is shared: use keys under `base`."""
    made: Store
    if request.param == "etcd":
        made = EtcdStore(etcd_conf(request.getfixturevalue("shared_etcd").url))
    else:
        made = EmbeddedStore(":memory:" if request.param == "memory" else tmp_path / "s.db")
    yield made
    made.close()


@pytest.fixture
def base(request: pytest.FixtureRequest) -> bytes:
    """A key prefix of the test's own."""
    return f"/{request.node.name}/".encode()


@pytest.fixture
def script() -> Iterator[Callable[..., Any]]:
    """Run Python code that has `store`, `argv` and `say(...)` in a process of its own."""
    prelude = (
        "import sys, time, gevent\n"
        "from pygw.config.embedded import EmbeddedStore\n"
        "argv = sys.argv[1:]\n"
        "store = EmbeddedStore(argv[0])\n"
        "def say(*words): print(*words, flush=True)\n"
    )
    processes: list[Any] = []

    def run(path: Path, code: str, *arguments: object) -> Any:
        command = [sys.executable, "-c", prelude + code, str(path), *map(str, arguments)]
        processes.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        return processes[-1]

    yield run
    for process in processes:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
