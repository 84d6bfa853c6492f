"""debug.yaml: debugging turned on and off while the gateway runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HOOK = """
hook_conf: {enable: true, name: hook_phase, log_level: error%s}
hook_phase:
  apisix: [http_access_phase, http_log_phase]
  apisix.core.string: [has_prefix]
"""


@pytest.fixture
def gateway(start: Callable[..., Any], upstream: Any) -> Any:
    to = {"type": "roundrobin", "nodes": {upstream.node: 1}}
    return start({"routes/1": {"uri": "/*", "upstream": to, "plugins": {"t-late": {}}}})


def write(gateway: Any, text: str) -> Path:
    """Write debug.yaml beside config.yaml."""
    path: Path = gateway.log_path.parent / "conf" / "debug.yaml"
    path.write_text(f"{text}\n#END\n")
    return path


def test_the_header_comes_and_goes(gateway: Any) -> None:
    assert "Apisix-Plugins" not in gateway.ask("/").headers
    path = write(gateway, "basic: {enable: true}")
    gateway.until(lambda: "t-late#log" in (gateway.ask("/").headers["Apisix-Plugins"] or ""))
    write(gateway, "basic: {enable: false}")
    gateway.until(lambda: "Apisix-Plugins" not in gateway.ask("/").headers)
    write(gateway, "basic: {enable: true}")
    gateway.until(lambda: "Apisix-Plugins" in gateway.ask("/").headers)
    path.unlink()
    gateway.until(lambda: "Apisix-Plugins" not in gateway.ask("/").headers)


def test_a_gateway_starts_with_it(start: Callable[..., Any], upstream: Any) -> None:
    to = {"type": "roundrobin", "nodes": {upstream.node: 1}}
    gateway = start({"routes/1": {"uri": "/*", "upstream": to}}, {"apisix": {"enable_debug": True}})
    assert gateway.ask("/").headers["Apisix-Plugins"] == "no plugin"
    write(gateway, "basic: {enable: false}")
    gateway.until(lambda: gateway.ask("/").status == 200)
    assert gateway.ask("/").headers["Apisix-Plugins"] == "no plugin", "config.yaml still says so"


def test_calls_of_hooked_functions_are_logged(gateway: Any) -> None:
    path = write(gateway, HOOK % "")
    call = 'call require("apisix").http_access_phase()'

    def logged() -> bool:
        assert gateway.ask("/").status == 200
        return f"{call} args:" in gateway.log() and f"{call} return:" in gateway.log()

    gateway.until(logged)
    write(gateway, HOOK % ", is_print_return_value: false, is_print_input_args: true")
    path.unlink()
    gateway.until(lambda: not says(gateway, call))


def says(gateway: Any, text: str) -> bool:
    """Whether a request makes the log say that."""
    before = gateway.log().count(text)
    gateway.ask("/")
    return bool(gateway.log().count(text) > before)


def test_a_header_of_the_request_may_be_asked_for(gateway: Any) -> None:
    write(gateway, HOOK % "" + "http_filter: {enable: true, enable_header_name: X-Debug}")
    call = 'call require("apisix").http_access_phase() return'

    def logged() -> bool:
        gateway.ask("/", X_Debug="1")
        return call in gateway.log()

    gateway.until(logged)
    assert not says(gateway, call)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("basic: {enable: 7}", 'failed to validate debug.yaml: property "basic" validation failed'),
        ("hook_conf: {enable: true, log_level: loud}", "failed to validate debug.yaml: property"),
        ("hook_conf: {enable: true, name: none}", "hook_conf.name: there is no list [none]"),
        (
            "hook_conf: {enable: true}\nhook_phase: {no.module: [f]}",
            "debug.yaml: failed to load module [no.module]: ",
        ),
        (
            "hook_conf: {enable: true}\nhook_phase: {apisix: [f]}",
            "debug.yaml: failed to find function [f] in module: apisix",
        ),
    ],
)
def test_what_is_wrong_is_told(gateway: Any, text: str, complaint: str) -> None:
    write(gateway, text)
    gateway.until(lambda: complaint in gateway.log())
    assert gateway.ask("/").status == 200
