"""ngx.process and ngx.worker in a gateway with a master: who is what, and the privileged agent."""

from __future__ import annotations

import os
import signal
from typing import Any

TWO_WORKERS = "nginx_config: {worker_processes: 2}"

APP = """
    local process = require "ngx.process"
    local function tell(when)
        ngx.log(ngx.ERR, when, " type=", process.type(), " id=", tostring(ngx.worker.id()),
            " count=", ngx.worker.count(), " pid=", ngx.worker.pid(),
            " master=", process.get_master_pid(), ";")
    end
    return {
        init = function()
            tell("init")
            ngx.log(ngx.ERR, "refused: ", select(2, process.enable_privileged_agent("x")), ";")
            ngx.log(ngx.ERR, "enabled: ", process.enable_privileged_agent(64), ";")
        end,
        init_worker = function()
            tell("init_worker")
            ngx.log(ngx.ERR, "pids: ", select(2, ngx.worker.pids()), ";")
        end,
        content = function()
            if ngx.var.uri == "/quit" then
                process.signal_graceful_exit()
            elseif ngx.var.uri == "/late" then
                local ok, err = process.enable_privileged_agent()
                ngx.log(ngx.ERR, "late: ", ok, " ", err, ";")
            elseif ngx.var.uri == "/pids" then
                local pids = ngx.worker.pids()
                table.sort(pids)
                ngx.log(ngx.ERR, "pids=", table.concat(pids, ","), ";")
            end
            ngx.print(ngx.worker.pid())
        end,
    }
"""
AGENT = r"init_worker type=privileged agent id=nil count=2 pid=(\d+) master=(\d+);"


def test_an_application_gets_a_privileged_agent(start: Any) -> None:
    gateway = start(TWO_WORKERS, app=APP)
    gateway.log.wait_for(r"init type=master id=[01] count=2 ")
    agent, master = map(int, gateway.log.wait_for(AGENT).groups())
    gateway.started()
    assert master == gateway.process.pid
    workers = {gateway.get() for _ in range(40)}
    assert len(workers) == 2
    assert {*workers, agent} == set(gateway.children())
    seen = gateway.log.seen
    assert seen.count("init_worker type=worker id=0 ") == 1
    assert seen.count("init_worker type=worker id=1 ") == 1
    assert "refused: bad 'connections' argument: number expected and greater than 0;" in seen
    assert "enabled: true;" in seen
    assert "pids: API disabled in the current context;" in seen


def test_worker_pids_are_those_of_the_workers(start: Any) -> None:
    gateway = start(TWO_WORKERS, app=APP).started()
    agent = int(gateway.log.wait_for(AGENT)[1])
    gateway.get("/pids")
    pids = {int(pid) for pid in gateway.log.wait_for(r"pids=([\d,]+);")[1].split(",")}
    assert pids == set(gateway.children()) - {agent}
    assert len(pids) == 2


def test_an_agent_that_dies_is_replaced(start: Any) -> None:
    gateway = start(TWO_WORKERS, app=APP).started()
    agent = int(gateway.log.wait_for(AGENT)[1])
    os.kill(agent, signal.SIGKILL)
    gateway.log.wait_for(rf"agent -1 \(pid {agent}\): killed by SIGKILL")
    assert int(gateway.log.wait_for(AGENT)[1]) != agent


def test_a_reload_brings_a_new_agent(start: Any) -> None:
    config = "nginx_config: {worker_processes: 2, error_log_level: notice}"
    gateway = start(config, app=APP).started()
    before = set(gateway.children())
    gateway.tell(signal.SIGHUP)
    gateway.log.wait_for("reloaded: ")
    new = set(gateway.children()) - before
    assert len(new) == 3
    gateway.tell(signal.SIGQUIT)
    assert gateway.ended() == 0


def test_there_is_no_agent_that_nobody_asked_for(start: Any) -> None:
    gateway = start(TWO_WORKERS).started()
    assert {gateway.get() for _ in range(40)} == set(gateway.children())


def test_a_worker_may_end_itself(start: Any) -> None:
    gateway = start("nginx_config: {worker_processes: 1}", app=APP).started()
    pid = gateway.get("/late")
    gateway.log.wait_for("late: nil API disabled in the current context;")
    assert gateway.get("/quit") == pid
    gateway.log.wait_for(rf"worker 0 \(pid {pid}\): exited with code 0")
    assert gateway.get() != pid


def test_a_worker_without_a_master_is_single(app_server: Any) -> None:
    server = app_server(
        """
        return { content = function()
            local process = require "ngx.process"
            ngx.say(process.type(), " ", process.get_master_pid() == ngx.worker.pid(), " ",
                table.concat(ngx.worker.pids(), ",") == tostring(ngx.worker.pid()))
        end }
        """
    )
    assert server.ask().text == "single true true\n"
