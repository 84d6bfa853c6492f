"""resty.healthcheck: what a checker may be told, and what it makes of it."""

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("{}", "required option 'name' is missing"),
        ("{name = 'n'}", "required option 'shm_name' is missing"),
        ("{name = 'n', shm_name = 'none'}", "no shm found by name 'none'"),
        ("{name = 'n', shm_name = 's', checks = 1}", "checks: invalid value"),
        (
            "{name = 'n', shm_name = 's', checks = {active = {timeout = '1'}}}",
            "checks.active.timeout: invalid value",
        ),
        (
            "{name = 'n', shm_name = 's', checks = {active = {timeout = -1}}}",
            "checks.active.timeout: must be between 0 and 2147483647",
        ),
        (
            "{name = 'n', shm_name = 's', checks = {active = {type = 'udp'}}}",
            "checks.active.type can only be 'http', 'https' or 'tcp', got 'udp'",
        ),
        (
            "{name = 'n', shm_name = 's', checks = {passive = {unhealthy = {timeouts = 255}}}}",
            "checks.passive.unhealthy.timeouts must be at most 254",
        ),
    ],
)
def test_options_that_make_no_sense(run_lua: Run, options: str, message: str) -> None:
    code = f'return select(2, pcall(require("resty.healthcheck").new, {options}))'
    assert run_lua(code) == message


def test_what_is_not_said_has_a_default(run_lua: Run) -> None:
    run_lua("""
        given = {name = "n", shm_name = "s", checks = {active = {
            type = "tcp", healthy = {http_statuses = {201}}, unhealthy = {tcp_failures = 7}}}}
        made = require("resty.healthcheck.settings")(given)
    """)
    active, passive = "made.checks.active", "made.checks.passive"
    assert run_lua(f"return {active}.type") == "tcp"
    assert run_lua(f"return {active}.concurrency") == 10
    assert run_lua(f"return {active}.unhealthy.tcp_failures") == 7
    assert run_lua(f"return {active}.unhealthy.timeouts") == 3
    assert run_lua(f"return {active}.healthy.interval") == 0
    assert run_lua(f"return {active}.healthy.http_statuses[201]") is True
    assert run_lua(f"return {active}.healthy.http_statuses[200]") is None
    assert run_lua(f"return {passive}.unhealthy.http_statuses[503]") is True


def test_what_was_given_is_not_changed(run_lua: Run) -> None:
    assert run_lua("""
        local statuses = {201}
        local checks = {active = {healthy = {http_statuses = statuses}}}
        require("resty.healthcheck.settings")({name = "n", shm_name = "s", checks = checks})
        return statuses[1] == 201 and statuses[201] == nil and checks.passive == nil
    """)
