"""HUP, USR1 and the commands that send signals by the pid file."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

ONE_WORKER = "nginx_config: {worker_processes: 1, error_log_level: notice}"


def pygw(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pygw", *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_reload_changes_the_workers_and_no_request_fails(start: Any, wait_dead: Any) -> None:
    gateway = start(ONE_WORKER).started()
    (old,) = gateway.children()
    done = threading.Event()
    answers: list[int] = []
    errors: list[BaseException] = []

    def ask() -> None:
        try:
            while not done.is_set():
                answers.append(gateway.get())
        except BaseException as error:
            errors.append(error)

    clients = [threading.Thread(target=ask) for _ in range(3)]
    for client in clients:
        client.start()
    for _ in range(3):
        gateway.tell(signal.SIGHUP)
        gateway.log.wait_for("reloaded: ")
    wait_dead(old)
    done.set()
    for client in clients:
        client.join()
    assert errors == []
    assert answers[0] == old
    assert answers[-1] != old


def test_reload_can_change_the_number_of_workers(start: Any, wait_dead: Any) -> None:
    gateway = start("nginx_config: {worker_processes: 3, error_log_level: notice}").started()
    old = gateway.children()
    (gateway.directory / "config.yaml").write_text(ONE_WORKER)
    gateway.tell(signal.SIGHUP)
    gateway.log.wait_for("reloaded: .*, 1 worker,")
    for pid in old:
        wait_dead(pid)
    (worker,) = gateway.children()
    assert {gateway.get() for _ in range(20)} == {worker}


def test_an_invalid_configuration_is_refused_and_the_old_one_stays(start: Any) -> None:
    gateway = start(ONE_WORKER).started()
    before = gateway.children()
    (gateway.directory / "config.yaml").write_text("apisix:\n  enable_admin: x\n")
    gateway.tell(signal.SIGHUP)
    gateway.log.wait_for(
        r"\[emerg\] .*reload refused, the old configuration stays: config\.yaml:2: "
        r"apisix\.enable_admin: must be"
    )
    assert gateway.children() == before
    assert gateway.get() == before[0]


def test_new_workers_that_cannot_start_leave_the_old_ones(start: Any) -> None:
    gateway = start(ONE_WORKER).started()
    before = gateway.children()
    (gateway.directory / "app.lua").write_text("error('broken')")
    gateway.tell(signal.SIGHUP)
    gateway.log.wait_for(r"\[emerg\] .*reload failed, the old configuration stays: .*broken")
    assert gateway.children() == before
    assert gateway.get() == before[0]


def test_a_reload_after_a_failed_one_works(start: Any, wait_dead: Any) -> None:
    gateway = start(ONE_WORKER).started()
    (old,) = gateway.children()
    (gateway.directory / "config.yaml").write_text("apisix: [")
    gateway.tell(signal.SIGHUP)
    gateway.log.wait_for("reload refused")
    (gateway.directory / "config.yaml").write_text(ONE_WORKER)
    gateway.tell(signal.SIGHUP)
    gateway.log.wait_for("reloaded: ")
    wait_dead(old)
    assert gateway.get() > 0


def test_reopen_moves_master_and_workers_to_a_new_log_file(start: Any) -> None:
    gateway = start(
        "nginx_config: {worker_processes: 1, error_log: error.log, error_log_level: notice}"
    ).started()
    gateway.get("/log")
    log = gateway.directory / "error.log"
    assert "the worker logs" in log.read_text()
    log.rename(gateway.directory / "old.log")
    assert pygw(gateway.directory, "reopen").returncode == 0
    while not log.exists() or "the worker logs" not in log.read_text():
        gateway.get("/log")
    gateway.tell(signal.SIGHUP)
    while "reloaded: " not in log.read_text():
        gateway.get()


def test_stop_quit_and_reload_find_the_gateway_by_its_pid_file(start: Any, wait_dead: Any) -> None:
    gateway = start(ONE_WORKER).started()
    (old,) = gateway.children()
    assert pygw(gateway.directory, "reload").returncode == 0
    gateway.log.wait_for("reloaded: ")
    wait_dead(old)
    assert gateway.get() > 0
    assert pygw(gateway.directory, "quit").returncode == 0
    assert gateway.ended() == 0
    gone = pygw(gateway.directory, "stop")
    assert gone.returncode == 1
    assert gone.stderr == f"pygw: no pygw runs with {gateway.directory}/run/pygw.pid\n"
