"""What pytest shows of gateways under test, in a run of its own."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PATIENCE = 120.0  # seconds for one run of pytest


@pytest.fixture
def project(tmp_path: Path, greeter: Path) -> Path:
    """A directory of an author: a plugin and, for a test to write, its tests."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -q -p no:cacheprovider\n")
    return tmp_path


def run(project: Path, *options: str) -> tuple[int, str]:
    """Run pytest there; returns its exit code and what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_failure_shows_requests_log_and_seed(project: Path) -> None:
    (project / "test_it.py").write_text("""
def test_it(lua_plugin):
    plugin = lua_plugin("greeter.lua", {"name": "Ann"})
    assert plugin.get("/x").status == 201
""")
    code, said = run(project, "--pygw-seed", "42")
    assert code == 1
    assert re.search(r"requests to the gateway -+\nGET /test/1/x: 200\n", said), said
    assert re.search(r"log of the gateway \(--pygw-seed 42\) -+\n", said)
    assert "greeter.lua:19: greeting Ann" in said


def test_an_error_in_lua_shows_its_traceback(project: Path) -> None:
    text = (project / "greeter.lua").read_text()
    text = text.replace("ctx.greeted = name", "ctx.greeted = conf.nothing.name")
    (project / "greeter.lua").write_text(text)
    (project / "test_it.py").write_text("""
def test_it(lua_plugin):
    assert lua_plugin("greeter.lua", {}).get().status == 200
""")
    code, said = run(project)
    assert code == 1
    assert "greeter.lua:18: attempt to index field 'nothing' (a nil value)" in said


def test_lines_of_lua_are_covered(project: Path) -> None:
    (project / ".coveragerc").write_text("[run]\nplugins = pygw.testing.coverage\n")
    (project / "unused.lua").write_text("local a = 1\nreturn a\n")
    (project / "test_it.py").write_text("""
def test_it(lua_plugin):
    lua_plugin("greeter.lua", {}).get()
""")
    code, said = run(project, "--cov=.", "--cov-report=term-missing", "--cov-report=xml")
    assert code == 0, said
    assert re.search(r"^greeter\.lua +\d+ +1 +\d+% +16$", said, re.M), said
    assert re.search(r"^unused\.lua +2 +2 +0% +1-2$", said, re.M), said
    xml = (project / "coverage.xml").read_text()
    assert re.search(r'filename="greeter\.lua".*?number="16" hits="0"', xml, re.S)
    code, said = run(project, "--cov=.", "--cov-report=html", "--cov-branch")
    assert code == 0, said
    assert "greeter.lua" in (project / "htmlcov" / "index.html").read_text()


def test_coverage_that_is_not_configured_is_told(project: Path) -> None:
    (project / "test_it.py").write_text("""
def test_it(lua_plugin):
    lua_plugin("greeter.lua", {}).get()
""")
    code, said = run(project, "--cov=.")
    assert code == 0
    assert "lacks `plugins = pygw.testing.coverage`" in said


def test_python_is_patched_if_asked(project: Path) -> None:
    (project / "test_it.py").write_text("""
import socket

def test_it(request):
    import gevent.monkey
    wanted = request.config.getini("pygw_monkey_patch")
    assert gevent.monkey.is_module_patched("socket") == wanted
""")
    assert run(project)[0] == 0
    (project / "pytest.ini").write_text("[pytest]\npygw_monkey_patch = true\n")
    assert run(project)[0] == 0


def test_those_who_do_not_use_it_do_not_pay_for_it(project: Path) -> None:
    (project / "test_it.py").write_text("""
import sys

def test_it(pytestconfig):
    assert pytestconfig.pluginmanager.has_plugin("pygw")
    assert not {"gevent", "lupa", "yaml", "coverage"} & sys.modules.keys()
""")
    code, said = run(project, "-p", "no:cov", "-p", "no:hypothesispytest", "-p", "no:pytest_cov")
    assert code == 0, said


@pytest.mark.parametrize("code", ["gateway.clock.advance(1)", "gateway.get(path)"])
def test_ctrl_c_ends_it(project: Path, code: str) -> None:
    (project / "test_it.py").write_text(f"""
def test_it(gateway):
    path = gateway.route()
    print("begun", flush=True)
    while True:
        {code}
""")
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", "-s"], cwd=project, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout
        for line in running.stdout:
            if "begun" in line:
                break
        running.send_signal(signal.SIGINT)
        try:
            said = running.communicate(timeout=PATIENCE)[0]
        finally:
            running.kill()
    assert running.returncode == pytest.ExitCode.INTERRUPTED, said
