"""What the master does when a process dies, and when it cannot start at all."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

ONE_WORKER = "nginx_config: {worker_processes: 1}"
ANY_PORTS = """
nginx_config: {worker_processes: 1}
apisix: {node_listen: [{ip: 127.0.0.1, port: 0}]}
deployment: {admin: {admin_listen: {ip: 127.0.0.1, port: 0}}}
"""

# A master whose children are the Python code given: sys.argv = [kind's code, …] as JSON.
DRIVER = """
import json, sys
from pygw.config.settings import load
from pygw.process.master import Master
commands = {kind: (sys.executable, "-c", code) for kind, code in json.loads(sys.argv[1]).items()}
try:
    Master(lambda: load("config.yaml"), commands=commands).run()
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""
SERVES = """
import signal
from pygw.process.entry import begin
signal.signal(signal.SIGTERM, signal.SIG_DFL)
child = begin()
child.ready()
signal.pause()
"""


def with_children(**codes: str) -> list[str]:
    return [sys.executable, "-c", DRIVER, json.dumps(codes)]


def listening_sockets(pid: int) -> int:
    sockets = [os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_symlink()]
    listening = {
        f"socket:[{line.split()[9]}]"
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[3] == "0A"
    }
    return sum(link in listening for link in sockets)


def test_a_killed_worker_is_replaced_and_no_waiting_connection_is_lost(start: Any) -> None:
    gateway = start(ONE_WORKER).started()
    (worker,) = gateway.children()
    os.kill(worker, signal.SIGSTOP)
    clients = [gateway.connect() for _ in range(3)]
    for client in clients:
        gateway.send(client, "/")
    os.kill(worker, signal.SIGKILL)
    answers = {gateway.answer(client) for client in clients}
    for client in clients:
        client.close()
    assert len(answers) == 1
    assert worker not in answers
    gateway.log.wait_for(rf"\[alert\] .*worker 0 \(pid {worker}\): killed by SIGKILL; replaced")


def test_the_port_answers_while_one_of_two_workers_is_replaced(start: Any) -> None:
    gateway = start("nginx_config: {worker_processes: 2}").started()
    first, second = gateway.children()
    os.kill(first, signal.SIGKILL)
    answered = {gateway.get() for _ in range(40)}
    assert first not in answered
    assert second in answered


def test_descriptors_do_not_leak_over_deaths_and_reloads(start: Any) -> None:
    gateway = start("nginx_config: {worker_processes: 1, error_log_level: notice}").started()

    def upset() -> int:
        (worker,) = gateway.children()
        os.kill(worker, signal.SIGKILL)
        replacement = gateway.get()
        gateway.tell(signal.SIGHUP)
        gateway.log.wait_for(f"pid {replacement}.* stopped")
        return len(list(Path(f"/proc/{gateway.process.pid}/fd").iterdir()))

    first = upset()
    assert [upset() for _ in range(3)] == [first] * 3
    (worker,) = gateway.children()
    assert listening_sockets(worker) == 1


def test_an_application_that_cannot_load_ends_the_start_with_the_reason(start: Any) -> None:
    gateway = start(ONE_WORKER, app="return { content = ")
    assert gateway.ended() == 1
    log = gateway.log.everything().splitlines()
    assert re.fullmatch(r"pygw: worker 0 cannot start: .*app\.lua:1: unexpected symbol.*", log[-1])
    assert not any("Traceback" in line for line in log)
    assert gateway.out.everything() == ""


def test_a_worker_that_dies_at_once_is_tried_a_few_times_then_the_master_ends(start: Any) -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    gateway = start(ANY_PORTS, command=with_children(worker=code, admin=SERVES))
    assert gateway.ended() == 1
    log = gateway.log.everything()
    assert log.count("killed by SIGSEGV; replaced in") == 3
    assert "StartError: worker 0 cannot start: killed by SIGSEGV" in log
    assert [float(s) for s in re.findall(r"replaced in ([\d.]+) s", log)] == [0.1, 0.2, 0.4]


def test_the_admin_process_is_started_and_replaced_like_a_worker(start: Any) -> None:
    gateway = start(
        ANY_PORTS,
        command=with_children(worker=SERVES, admin=SERVES),
    )
    found = gateway.out.wait_for(
        r"listening on 127\.0\.0\.1:(\d+), admin 127\.0\.0\.1:(\d+) \(key in (.*)\), 1 worker"
    )
    assert found[1] != found[2]
    key = Path(found[3])
    assert key == gateway.directory / "run/admin.key"
    assert key.stat().st_mode & 0o777 == 0o600
    worker, admin = gateway.children()
    assert (listening_sockets(worker), listening_sockets(admin)) == (1, 1)
    os.kill(admin, signal.SIGKILL)
    gateway.log.wait_for(rf"admin 0 \(pid {admin}\): killed by SIGKILL; replaced")
    gateway.tell(signal.SIGTERM)
    assert gateway.ended() == 0


def test_without_admin_there_is_no_admin_process(start: Any) -> None:
    gateway = start(
        "{nginx_config: {worker_processes: 1}, apisix: {enable_admin: false,"
        " node_listen: [{ip: 127.0.0.1, port: 0}]}}",
        command=with_children(worker=SERVES, admin="raise SystemExit('started')"),
    )
    gateway.out.wait_for("1 worker, store embedded")
    assert len(gateway.children()) == 1


def test_a_port_that_is_taken_is_one_message(start: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        gateway = start("", "--listen", f"127.0.0.1:{port}")
        assert gateway.ended() == 1
    said = f"pygw: cannot listen on 127.0.0.1:{port}: Address already in use\n"
    assert gateway.log.everything() == said


def test_a_control_port_that_is_taken_is_named(start: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        gateway = start(f"apisix: {{control: {{port: {port}}}}}", app=None)
        assert gateway.ended() == 1
    said = f"pygw: cannot listen on 127.0.0.1:{port} (control): Address already in use\n"
    assert said in gateway.log.everything()


def test_a_second_gateway_is_not_let_onto_the_port_of_the_first(start: Any, tmp_path: Path) -> None:
    first = start(ONE_WORKER).started()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/config.yaml").write_text("")
    second = subprocess.run(
        [sys.executable, "-m", "pygw", "run", "-c", "other/config.yaml", "--app", "app.lua"]
        + ["--listen", f"127.0.0.1:{first.port}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert second.returncode == 1
    assert "Address already in use" in second.stderr


def test_an_invalid_configuration_is_one_message(start: Any) -> None:
    gateway = start("apisix:\n  enable_admin: maybe\n")
    assert gateway.ended() == 1
    said = 'pygw: config.yaml:2: apisix.enable_admin: must be true or false, not "maybe"\n'
    assert gateway.log.everything() == said


def test_a_second_master_of_the_same_directory_is_refused(start: Any) -> None:
    first = start(ONE_WORKER).started()
    second = start(ONE_WORKER)
    assert second.ended() == 1
    said = second.log.everything()
    assert said.startswith(f"pygw: pygw runs already (pid {first.process.pid}, ")
    assert first.get() > 0


def test_a_pid_file_left_by_a_crash_is_no_master(start: Any, wait_dead: Any) -> None:
    first = start(ONE_WORKER).started()
    workers = first.children()
    first.process.kill()
    first.process.wait()
    for pid in workers:
        wait_dead(pid)
    assert start(ONE_WORKER).started().get() > 0


def test_the_master_loads_neither_gevent_nor_grpc_nor_lua() -> None:
    code = (
        "import sys, pygw.cli.commands, pygw.process.master\n"
        "print(sorted({'gevent', 'grpc', 'lupa'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_the_generated_admin_key_stays_over_restarts_and_reaches_the_admin_process(
    start: Any,
) -> None:
    code = SERVES.replace(
        "child.ready()", "print(child.settings.admin.keys, flush=True)\nraise SystemExit"
    )
    keys = []
    for _ in range(2):
        gateway = start(
            ANY_PORTS,
            command=with_children(worker=SERVES, admin=code),
        )
        keys.append(gateway.out.wait_for(r"key='([\w-]{32})', role='admin'")[1])
        assert gateway.ended() == 1
    assert keys[0] == keys[1] == (gateway.directory / "run/admin.key").read_text().strip()
