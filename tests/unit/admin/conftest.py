"""A checker with plugins of its own, and an API on a real embedded store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pygw.admin.api import Api
from pygw.admin.messages import NOTHING, Answer, Request
from pygw.config.embedded import EmbeddedStore
from pygw.config.model import Settings
from pygw.config.settings import load
from pygw.config.store import Store
from pygw.plugin import Plugin
from pygw.vm.checker import Checker

PLUGINS = Path(__file__).with_name("plugins")
KEYS = [
    {"name": "a", "key": "the-admin-key", "role": "admin"},
    {"name": "v", "key": "the-viewer-key", "role": "viewer"},
]


class Greeter(Plugin):
    """A Python plugin."""

    name = "t-python"
    priority = 5
    schema = {"type": "object", "properties": {"greeting": {"type": "string"}}}


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    base = tmp_path_factory.mktemp("admin")
    config = {
        "plugins": ["t-count", "key-auth"],
        "apisix": {"data_encryption": {"keyring": []}},
        "pygw": {"plugin_dirs": [str(PLUGINS)]},
        "deployment": {"admin": {"admin_key": KEYS}},
    }
    (base / "config.yaml").write_text(yaml.safe_dump(config))
    return load(base / "config.yaml")


@pytest.fixture(scope="session")
def checker_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log") / "error.log"


@pytest.fixture(scope="session")
def checker(settings: Settings, checker_log: Path) -> Iterator[Checker]:
    with checker_log.open("ab") as log:
        checker = Checker(settings, {"t-python": Greeter()}, error_fd=log.fileno())
        yield checker
        checker.close()


class Client:
    """Asks an Api as an administrator would; the store is there to look at."""

    def __init__(self, api: Api, store: Store) -> None:
        self.api, self.store = api, store

    def ask(
        self,
        method: str,
        path: str,
        body: Any = NOTHING,
        *,
        key: str | None = "the-admin-key",
        address: str = "127.0.0.1",
        **query: str,
    ) -> Answer:
        """One request below /apisix/admin/; a body that is not bytes is sent as JSON."""
        raw = b"" if body is NOTHING else body
        text = raw if isinstance(raw, bytes) else json.dumps(raw).encode()
        full = path if path.startswith("/") else f"/apisix/admin/{path}"
        return self.api.answer(
            Request(method, full, address, lambda limit: text[: limit + 1], query, key)
        )

    def refused(self, *request: Any, **options: Any) -> tuple[int, str]:
        """Status and error_msg of a request that is refused."""
        answer = self.ask(*request, **options)
        return answer.status, answer.body["error_msg"]

    def made(self, path: str, body: Any) -> dict[str, Any]:
        """PUT what must be accepted; returns its value."""
        answer = self.ask("PUT", path, body)
        assert answer.status in (200, 201), answer
        value: dict[str, Any] = answer.body["value"]
        return value

    def stored(self, path: str) -> Any:
        """What the store holds at a path below the prefix; None for nothing."""
        _, found = self.store.get(f"/apisix/{path}".encode())
        return found and json.loads(found.value)


@pytest.fixture
def client(settings: Settings, checker: Checker, tmp_path: Path) -> Iterator[Client]:
    store = EmbeddedStore(tmp_path / "store.db")
    yield Client(Api(settings, store, checker), store)
    store.close()
