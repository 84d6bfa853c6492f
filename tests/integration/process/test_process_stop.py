"""How a gateway starts and ends: readiness, TERM, QUIT, the death of the master."""

from __future__ import annotations

import os
import signal
import socket
import time
from typing import Any

import pytest

ONE_WORKER = "nginx_config: {worker_processes: 1}"


def test_one_line_says_that_all_serve(start: Any) -> None:
    gateway = start("nginx_config: {worker_processes: 2}")
    line = gateway.out.wait_for(".*")[0]
    gateway.tell(signal.SIGTERM)
    assert line.startswith("pygw 0.1.0: listening on 127.0.0.1:")
    assert line.endswith(f", 2 workers, application {gateway.directory}/app.lua")
    assert gateway.ended() == 0
    assert gateway.out.everything() == line + "\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_term_and_int_stop_at_once_and_leave_no_orphan(
    start: Any, wait_dead: Any, number: signal.Signals
) -> None:
    gateway = start("nginx_config: {worker_processes: 2}").started()
    workers = gateway.children()
    assert len(workers) == 2
    with gateway.connect() as client:
        gateway.send(client, "/slow?s=60")
        gateway.log.wait_for("slow began")
        before = time.monotonic()
        gateway.tell(number)
        assert gateway.ended() == 0
        assert time.monotonic() - before < 4
    for pid in workers:
        wait_dead(pid)
    assert not (gateway.directory / "run/pygw.pid").exists()


def test_quit_finishes_the_request_in_hand_and_takes_no_new_one(start: Any) -> None:
    gateway = start(ONE_WORKER).started()
    with gateway.connect() as client:
        gateway.send(client, "/slow?s=0.4")
        gateway.log.wait_for("slow began")
        gateway.tell(signal.SIGQUIT)
        assert gateway.answer(client) > 0
    assert gateway.ended() == 0
    with pytest.raises(ConnectionRefusedError):
        gateway.connect()


def test_quit_closes_idle_connections(start: Any) -> None:
    gateway = start(ONE_WORKER).started()
    with gateway.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
        gateway.tell(signal.SIGQUIT)
        client.shutdown(socket.SHUT_WR)
        while client.recv(65536):
            pass
    assert gateway.ended() == 0


def test_quit_serves_what_waited_in_the_accept_queue(start: Any) -> None:
    gateway = start(ONE_WORKER).started()
    (worker,) = gateway.children()
    os.kill(worker, signal.SIGSTOP)
    clients = [gateway.connect() for _ in range(5)]
    for client in clients:
        gateway.send(client, "/")
    gateway.tell(signal.SIGQUIT)
    os.kill(worker, signal.SIGCONT)
    for client in clients:
        with client:
            assert gateway.answer(client) == worker
    assert gateway.ended() == 0


def test_quit_ends_when_worker_shutdown_timeout_is_over(start: Any) -> None:
    config = "nginx_config: {worker_processes: 1, worker_shutdown_timeout: 200ms}"
    gateway = start(config).started()
    with gateway.connect() as client:
        gateway.send(client, "/slow?s=60")
        gateway.log.wait_for("slow began")
        before = time.monotonic()
        gateway.tell(signal.SIGQUIT)
        gateway.log.wait_for("still has requests after worker_shutdown_timeout")
        assert gateway.ended() == 0
        assert time.monotonic() - before < 4


def test_term_overtakes_quit(start: Any) -> None:
    gateway = start(ONE_WORKER).started()
    with gateway.connect() as client:
        gateway.send(client, "/slow?s=60")
        gateway.log.wait_for("slow began")
        gateway.tell(signal.SIGQUIT)
        before = time.monotonic()
        gateway.tell(signal.SIGTERM)
        assert gateway.ended() == 0
        assert time.monotonic() - before < 4


def test_workers_die_with_a_master_that_is_killed(start: Any, wait_dead: Any) -> None:
    gateway = start("nginx_config: {worker_processes: 2}").started()
    workers = gateway.children()
    gateway.process.kill()
    for pid in workers:
        wait_dead(pid)
    with pytest.raises(ConnectionRefusedError):
        gateway.connect()


def test_a_stopped_worker_that_does_not_answer_is_killed(start: Any, wait_dead: Any) -> None:
    gateway = start(ONE_WORKER).started()
    (worker,) = gateway.children()
    os.kill(worker, signal.SIGSTOP)
    gateway.tell(signal.SIGTERM)
    gateway.log.wait_for("did not stop in time: killed")
    assert gateway.ended() == 0
    wait_dead(worker)
