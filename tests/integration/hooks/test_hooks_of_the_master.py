"""Hooks of the master, and commands: `pygw` in processes of its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 30.0
ROOT = Path(__file__).resolve().parents[3]
HOOKS = '''
import json, os, time
import click
from pygw.hookspecs import ConfigKey, hookimpl

def note(name, **values):
    with open("events", "a") as file:
        file.write(json.dumps({"hook": name, "pid": os.getpid(), **values}) + "\\n")

@hookimpl
def pygw_config_schema():
    return {"notes.word": ConfigKey(str, "none")}

@hookimpl
def pygw_master_start(config):
    note("master_start", word=config["notes"]["word"])

@hookimpl
def pygw_master_ready(workers):
    note("master_ready", workers=workers)

@hookimpl
def pygw_master_reload(workers):
    note("master_reload", workers=workers)

@hookimpl
def pygw_master_stop():
    note("master_stop")

@hookimpl
def pygw_child_spawned(child):
    note("child_spawned", kind=child.kind, id=child.id, child=child.pid)

@hookimpl
def pygw_child_died(child, reason, expected):
    note("child_died", kind=child.kind, child=child.pid, reason=reason, expected=expected)

@hookimpl
def pygw_log_record(record):
    note("log_record", level=record.level, message=record.message, writer=record.pid)

@hookimpl
def pygw_cli_commands():
    @click.command()
    @click.argument("word")
    def shout(word):
        """Say it loud."""
        click.echo(word.upper())
    return [shout]
'''


class Run:
    """A `pygw run` in a directory with HOOKS."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.process = pygw(base, "run")

    def events(self, name: str = "") -> list[dict[str, Any]]:
        file = self.base / "events"
        lines = file.read_text().splitlines() if file.exists() else []
        return [each for each in map(json.loads, lines) if each["hook"].startswith(name)]

    def until(self, true: Callable[[], Any]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not true():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline, self.events()
            time.sleep(0.01)

    def close(self) -> str:
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.communicate(timeout=PATIENCE)[1]


def pygw(base: Path, *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pygw", *command],
        cwd=base,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ask(base: Path, *command: str) -> tuple[int, str, str]:
    process = pygw(base, *command)
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def configure(base: Path, hooks: str = HOOKS, **more: Any) -> None:
    (base / "hooks.py").write_text(hooks)
    config = {
        "apisix": {"node_listen": [{"ip": "127.0.0.1", "port": 0}], "enable_control": False},
        "nginx_config": {"worker_processes": 1},
        "deployment": {"role": "data_plane", "role_data_plane": {"config_provider": "yaml"}},
        "plugins": [],
        "pygw": {"python_plugins": ["hooks.py"]},
        **more,
    }
    (base / "config.yaml").write_text(json.dumps(config))
    (base / "apisix.yaml").write_text("routes: []\n#END\n")


@pytest.fixture
def run(tmp_path: Path) -> Any:
    configure(tmp_path, notes={"word": "first"})
    started = Run(tmp_path)
    yield started
    started.close()


def test_the_life_of_a_master_and_of_its_processes(run: Any) -> None:
    run.until(lambda: run.events("master_ready"))
    names = [event["hook"] for event in run.events() if event["hook"] != "log_record"]
    assert names[:2] == ["master_start", "child_spawned"]
    assert run.events("master_start")[0]["word"] == "first"
    assert {event["pid"] for event in run.events("master")} == {run.process.pid}
    worker = next(each for each in run.events("child_spawned") if each["kind"] == "worker")
    os.kill(worker["child"], signal.SIGKILL)
    run.until(lambda: run.events("child_died"))
    died = run.events("child_died")[0]
    assert (died["child"], died["expected"]) == (worker["child"], False)
    assert died["reason"] == "killed by SIGKILL"
    run.until(lambda: [each["kind"] for each in run.events("child_spawned")].count("worker") == 2)
    assert [
        each["message"]
        for each in run.events("log_record")
        if each["writer"] == run.process.pid and each["level"] == "alert"
    ]
    run.close()
    assert run.events("master_stop")
    assert all(each["expected"] for each in run.events("child_died")[1:])


def test_a_reload_is_told_and_checked(run: Any) -> None:
    run.until(lambda: run.events("master_ready"))
    configure(run.base, notes={"word": 5})
    run.process.send_signal(signal.SIGHUP)
    run.until(lambda: any("reload refused" in each["message"] for each in run.events("log_record")))
    assert not run.events("master_reload")
    configure(run.base, notes={"word": "good"})
    run.process.send_signal(signal.SIGHUP)
    run.until(lambda: run.events("master_reload"))
    assert run.events("master_reload")[0]["workers"] == 1


def test_lines_of_workers_are_told_in_the_worker(run: Any) -> None:
    run.until(lambda: run.events("master_ready"))
    (run.base / "apisix.yaml").write_text("routes: [5]\n#END\n")  # the worker complains
    run.until(lambda: any(each["writer"] != run.process.pid for each in run.events("log_record")))
    assert all(each["pid"] == each["writer"] for each in run.events("log_record"))


def test_lines_of_the_admin_api_are_told_in_its_process(tmp_path: Path) -> None:
    """Those of its start, before anybody could listen, and those of a request."""
    admin = {"admin_listen": {"ip": "127.0.0.1", "port": 0}, "admin_key_required": False}
    configure(tmp_path, deployment={"role": "traditional", "admin": admin})
    with contextlib.closing(Run(tmp_path)) as run:
        run.until(lambda: run.events("master_ready"))
        child = next(each for each in run.events("child_spawned") if each["kind"] == "admin")
        assert run.process.stdout
        port = re.search(r"admin 127\.0\.0\.1:(\d+)", run.process.stdout.readline())
        assert port

        def told() -> list[tuple[str, str]]:
            lines = [each for each in run.events("log_record") if each["pid"] == child["child"]]
            assert all(each["writer"] == each["pid"] for each in lines)
            return [(each["level"], each["message"]) for each in lines]

        run.until(lambda: any("Admin key is bypassed" in message for _, message in told()))
        with socket.create_connection(("127.0.0.1", int(port[1])), PATIENCE) as client:
            client.sendall(b"nonsense\r\n\r\n")
            assert b" 400 " in client.recv(4096)
        run.until(lambda: any("Invalid" in message for _, message in told()))
        assert {level for level, _ in told()} <= {"warn", "error"}


@pytest.mark.parametrize(
    ("hooks", "message"),
    [
        ("@hookimpl\ndef pygw_master_strat(config): pass", "there is no hook `pygw_master_strat`"),
        ("@hookimpl\ndef pygw_master_stop(why): pass", "why"),
        ("@hookimpl\ndef pygw_master_start(): raise OSError('not today')", "OSError: not today"),
    ],
)
def test_a_hook_that_is_none_or_refuses_stops_the_start(
    tmp_path: Path, hooks: str, message: str
) -> None:
    configure(tmp_path, f"from pygw.hookspecs import hookimpl\n{hooks}\n")
    code, _, err = ask(tmp_path, "run")
    assert code == 1
    assert message in err


def test_a_command_of_a_hook_runs_and_is_listed(tmp_path: Path) -> None:
    configure(tmp_path)
    assert ask(tmp_path, "shout", "hello") == (0, "HELLO\n", "")
    code, out, _ = ask(tmp_path, "--help")
    assert code == 0
    assert "Say it loud." in out


def test_without_hooks_an_unknown_command_is_what_it_was(tmp_path: Path) -> None:
    code, _, err = ask(tmp_path, "shout", "hello")
    assert code == 2
    assert "No such command 'shout'" in err


def test_a_command_of_pygws_own_is_not_replaced(tmp_path: Path) -> None:
    hooks = HOOKS.replace("def shout(word)", "def run(word)").replace("[shout]", "[run]")
    configure(tmp_path, hooks)
    code, out, err = ask(tmp_path, "--help")
    assert code == 0
    assert 'the name "run" is taken' in err
