"""Fixtures of the store's tests: a real etcd, and stores of both back ends."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
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
