"""Shared dictionaries are one for all workers, and outlive any of them."""

from __future__ import annotations

import os
import signal
from typing import Any

APP = """
    local kept = ngx.shared.kept

    local function count(dict)
        return dict:incr("requests", 1, 0)
    end

    -- What each path answers, a number.
    local answers = {
        ["/count"] = function() return count(kept) end,
        ["/other"] = function() return count(ngx.shared.other) end,
        ["/workers"] = function()
            kept:set("worker " .. ngx.worker.pid(), true)
            local workers = 0
            for _, key in ipairs(kept:get_keys()) do
                workers = workers + (key:find("worker", 1, true) and 1 or 0)
            end
            return workers
        end,
        ["/pid"] = function() return ngx.worker.pid() end,
        ["/capacity"] = function() return ngx.shared.other:capacity() end,
    }
    return { content = function() ngx.print((answers[ngx.var.uri]())) end }
"""

CONFIG = """
    nginx_config:
      worker_processes: 2
      error_log_level: notice
      http: {{custom_lua_shared_dict: {{kept: 64k, other: {other}}}}}
"""


def test_all_workers_use_the_same(start: Any) -> None:
    gateway = start(CONFIG.format(other="64k"), app=APP).started()
    while gateway.get("/workers") < 2:  # the kernel chooses who answers
        pass
    pids, counts = set(), []
    while len(pids) < 2 or len(counts) < 20:
        pids.add(gateway.get("/pid"))
        counts.append(gateway.get("/count"))
    assert counts == list(range(1, len(counts) + 1))


def test_what_they_hold_outlives_a_worker(start: Any, wait_dead: Any) -> None:
    gateway = start(CONFIG.format(other="64k"), app=APP).started()
    assert gateway.get("/count") == 1
    for pid in gateway.children():
        os.kill(pid, signal.SIGKILL)
        wait_dead(pid)
    gateway.log.wait_for("replaced in")
    assert gateway.get("/count") == 2


def test_a_reload_keeps_those_of_the_same_size(start: Any, wait_dead: Any) -> None:
    gateway = start(CONFIG.format(other="64k"), app=APP).started()
    old = gateway.children()
    assert gateway.get("/count") == gateway.get("/other") == 1
    (gateway.directory / "config.yaml").write_text(CONFIG.format(other="128k"))
    gateway.tell(signal.SIGHUP)
    gateway.log.wait_for("reloaded")
    for pid in old:
        wait_dead(pid)
    assert gateway.get("/count") == 2
    assert gateway.get("/other") == 1
    assert gateway.get("/capacity") == 128 * 1024


def test_the_master_lets_go_of_what_no_worker_uses_any_more(start: Any) -> None:
    gateway = start(CONFIG.format(other="64k"), app=APP).started()
    before = len(os.listdir(f"/proc/{gateway.process.pid}/fd"))
    for size in ("128k", "256k"):
        (gateway.directory / "config.yaml").write_text(CONFIG.format(other=size))
        gateway.tell(signal.SIGHUP)
        for event in ("reloaded", "stopped", "stopped"):
            gateway.log.wait_for(event)
    assert len(os.listdir(f"/proc/{gateway.process.pid}/fd")) == before
