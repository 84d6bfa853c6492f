"""Tests of plugins/greeting.lua; no server is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

PLUGIN = Path(__file__).parents[1] / "plugins" / "greeting.lua"


@pytest.fixture
def greeting(lua_plugin: Any) -> Any:
    """The plugin on a route."""
    return lua_plugin(PLUGIN, {"name": "Ann"})


def test_it_answers_who_asks_for_a_greeting(greeting: Any) -> None:
    answer = greeting.get(headers={"X-Greet": "1"})
    assert (answer.status, answer.json()) == (200, {"message": "hello Ann"})
    assert greeting.gateway.upstream.requests == []


def test_it_tells_the_upstream(greeting: Any) -> None:
    assert greeting.get("/anything").status == 200
    assert greeting.gateway.upstream.last.headers["X-Greeted"] == "Ann"


@pytest.mark.parametrize(("conf", "fault"), [({}, None), ({"name": 7}, "wrong type")])
def test_its_schema(greeting: Any, conf: dict[str, Any], fault: str | None) -> None:
    said = greeting.check(conf)
    assert said is None if fault is None else fault in said
