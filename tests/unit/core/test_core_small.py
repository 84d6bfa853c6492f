"""The small modules of apisix.core: math, event, io, os, version, env, profile, ip."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


def test_gcd(run_lua: Run) -> None:
    code = 'local gcd = require("apisix.core.math").gcd; return gcd(12, 18), gcd(7, 0), gcd(0, 7)'
    assert run_lua(code) == (6, 7, 7)


def test_an_event_reaches_its_last_handler_until_that_is_unregistered(run_lua: Run) -> None:
    code = """
        local event = require("apisix.core.event")
        local kind, seen = event.CONST.BUILD_ROUTER, {}
        event.push(kind, "nobody")
        event.register(kind, function(what) seen[#seen + 1] = "old " .. what end)
        event.register(kind, function(what) seen[#seen + 1] = "new " .. what end)
        event.push(kind, "a")
        event.unregister(kind)
        event.push(kind, "b")
        return table.concat(seen, ",")
    """
    assert run_lua(code) == "new a"


def test_get_file(run_lua: Run, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"a\0b\r\n")
    code = 'return require("apisix.core.io").get_file(...)'
    assert run_lua(code, str(path)) == "a\0b\r\n"
    missing, error = run_lua(code, str(tmp_path / "none"))
    assert missing is None
    assert "No such file" in error


def test_setenv_is_seen_by_getenv(run_lua: Run) -> None:
    code = """
        local core_os = require("apisix.core.os")
        assert(core_os.setenv("PYGW_TEST_SETENV", 42))
        return os.getenv("PYGW_TEST_SETENV"), core_os.setenv(1, "x")
    """
    assert run_lua(code) == ("42", False, "invalid argument")


def test_usleep_refuses_fractions(run_lua: Run) -> None:
    ok, message = run_lua('return pcall(require("apisix.core.os").usleep, 1.5)')
    assert not ok
    assert "bad microseconds: 1.5" in message


def test_waitpid_tells_when_the_child_has_ended(run_lua: Run) -> None:
    code = 'return require("apisix.core.os").waitpid(...)'
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert run_lua(code, child.pid, 0.03) is None
    assert child.stdin is not None
    child.stdin.close()
    assert run_lua(code, child.pid, 10) is True
    child.returncode = 1  # reaped above
    assert run_lua(code, child.pid, 1) == (None, "No child processes")


def test_version_is_the_contract_that_plugins_ask_for(run_lua: Run) -> None:
    assert run_lua('return require("apisix.core.version").VERSION') == "3.18.0"


def test_env_uris(run_lua: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "PYGW_TEST_ENV", '{"key": "v"}')
    code = 'return require("apisix.core.env").fetch_by_uri(...)'
    assert run_lua(code, "$env://PYGW_TEST_ENV") == '{"key": "v"}'
    assert run_lua(code, "$ENV://PYGW_TEST_ENV/key") == "v"
    assert run_lua(code, "$env://PYGW_TEST_NONE") is None
    assert run_lua(code, "env://X") == (None, "error env_uri prefix: env://X")
    assert run_lua(code, 1) == (None, "error env_uri type: number")
    monkeypatch.setitem(os.environ, "PYGW_TEST_ENV", "{")
    value, error = run_lua(code, "$env://PYGW_TEST_ENV/key")
    assert value is None
    assert error.startswith("decode failed, err: ")


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("127.0.0.1", True),
        ("127.0.0.1/24", True),
        ("127.0.0.1/33", False),
        ("127.0.0.1/-1", False),
        ("127.0.0.1/x", False),
        ("127.0.0.666", False),
        ("::1", True),
        ("fe80::/64", True),
        ("fe80::/129", False),
        ("localhost", False),
    ],
)
def test_validate_cidr_or_ip(run_lua: Run, text: str, valid: bool) -> None:
    assert run_lua('return require("apisix.core.ip").validate_cidr_or_ip(...)', text) is valid


def test_a_matcher_of_bad_addresses_is_nil(run_lua: Run) -> None:
    code = """
        local create = require("apisix.core.ip").create_ip_matcher
        return create({"10.0.0.0/8"}):match("10.0.0.1"), create({"x"})
    """
    assert run_lua(code) == (True, None)


def test_the_profile_stands_in_the_name_of_configuration_files(run_lua: Run) -> None:
    code = """
        local profile = require("apisix.core.profile")
        profile.apisix_home, profile.profile = "/gw/", ...
        return profile:yaml_path("config"), profile:yaml_path("config-default")
    """
    assert run_lua(code, "") == ("/gw/conf/config.yaml", "/gw/conf/config-default.yaml")
    assert run_lua(code, "dev") == ("/gw/conf/config-dev.yaml", "/gw/conf/config-default.yaml")
