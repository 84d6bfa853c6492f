"""The error log names the plugin that keeps its worker from answering, while it does."""

from __future__ import annotations

import re
from typing import Any

import gevent
import pytest

from pygw.hub.clock import Clock

SPIN = "local t = os.clock() + 0.7; while os.clock() < t do end"
STUCK = r"\[alert\] .*the worker has not answered for 0\.\d seconds: "


@pytest.fixture
def gateway(make_gateway: Any) -> Any:
    """In real time, and what runs away may run."""
    config = {"pygw": {"watchdog_timeout": 0.2}}
    return make_gateway(config, budget=0, clock=Clock())


def route(gateway: Any, code: str, phase: str = "access") -> str:
    functions = [f"return function(conf, ctx) {code} end"]
    return str(gateway.route({"serverless-pre-function": {"phase": phase, "functions": functions}}))


@pytest.mark.parametrize("phase", ["rewrite", "header_filter", "log"])
def test_a_lua_plugin_that_spins_is_named(gateway: Any, phase: str) -> None:
    assert gateway.get(route(gateway, SPIN, phase)).status == 200
    named = f"{STUCK}plugin \\[serverless-pre-function\\], phase {phase}\n"
    gateway.until(lambda: search(named, gateway))


def test_it_is_known_again_when_it_has_waited(gateway: Any) -> None:
    between = gateway.route()
    path = route(gateway, f"ngx.sleep(0.05) {SPIN}")
    asked = gevent.spawn(gateway.get, path)
    gateway.get(between)  # others have run meanwhile
    assert asked.get(timeout=20).status == 200
    assert search(STUCK + r"plugin \[serverless-pre-function\], phase access\n", gateway)


def test_a_plugin_is_not_named_for_what_others_do(gateway: Any) -> None:
    path = route(gateway, f"ngx.timer.at(0, function() {SPIN} end) ngx.sleep(0.05)")
    assert gateway.get(path).status == 200
    gateway.until(lambda: search(STUCK, gateway))
    assert search(STUCK + "no plugin is running\n", gateway)


def test_who_answers_is_not_named(gateway: Any) -> None:
    assert gateway.get(route(gateway, "ngx.sleep(0.5)")).status == 200
    assert "has not answered" not in gateway.log


def search(pattern: str, gateway: Any) -> bool:
    return re.search(pattern, gateway.log) is not None
