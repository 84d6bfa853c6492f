"""The way of configuration changes to hooks: order, text, and the ends of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gevent
import pluggy
import pytest

from pygw import hookspecs
from pygw.extensions.config_changes import Changes
from pygw.hookspecs import ConfigChange, hookimpl


class Listener:
    """A module with the hook."""

    def __init__(self) -> None:
        self.heard: list[ConfigChange] = []

    @hookimpl
    def pygw_config_change(self, change: ConfigChange) -> None:
        self.heard.append(change)


def hook_with(*listeners: Any) -> Any:
    manager = pluggy.PluginManager("pygw")
    manager.add_hookspecs(hookspecs)
    for listener in listeners:
        manager.register(listener)
    return manager.hook.pygw_config_change


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def changes(listener: Listener) -> Iterator[Changes]:
    changes = Changes(hook_with(listener))
    yield changes
    changes.stop()


def settle() -> None:
    gevent.sleep(0)
    gevent.sleep(0)


def test_nobody_listens_is_said_and_nothing_kept() -> None:
    changes = Changes(hook_with())
    assert changes.announce("/routes", "1", "{}", 1) is False
    changes.start()
    changes.stop()


def test_they_are_delivered_in_order_after_the_start(changes: Changes, listener: Listener) -> None:
    assert changes.announce("/routes", "1", '{"uri": "/a"}', 5.0) is True
    assert changes.announce("/routes", "1", None, 6) is True
    settle()
    assert listener.heard == []
    changes.start()
    settle()
    assert listener.heard == [
        ConfigChange("/routes", "1", {"uri": "/a"}, 5, "added"),
        ConfigChange("/routes", "1", None, 6, "removed"),
    ]


def test_text_is_utf_8(changes: Changes, listener: Listener) -> None:
    changes.start()
    changes.announce(
        "/routes", "zoë".encode().decode("latin-1"), '"日本"'.encode().decode("latin-1"), 1
    )
    settle()
    assert listener.heard == [ConfigChange("/routes", "zoë", "日本", 1, "added")]


def test_after_the_stop_nothing_is_delivered(changes: Changes, listener: Listener) -> None:
    changes.start()
    changes.announce("/routes", "1", "{}", 1)
    changes.stop()
    assert changes.announce("/routes", "2", "{}", 2) is False
    settle()
    assert listener.heard == []
