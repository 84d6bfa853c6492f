"""Threads of a worker and the worker itself use one dictionary at the same time."""

from pathlib import Path
from typing import Any

COUNT = 30000

MODULE = f"""
return {{
    count = function(name)
        local dict = ngx.shared[name]
        for i = 1, {COUNT} do
            dict:incr("n", 1, 0)
            dict:set("key" .. i % 50, ("v"):rep(i % 300))
        end
        return dict:get("n")
    end,
}}
"""

APP = """
package.path = package.path .. ";%s/?.lua"
local name = "plugin-limit-count"
local function content()
    local threads = {}
    for i = 1, 3 do
        threads[i] = ngx.thread.spawn(ngx.run_worker_thread, "pool", "job", "count", name)
    end
    for round = 1, 20 do
        for i = 1, %d / 20 do
            ngx.shared[name]:incr("n", 1, 0)
            ngx.shared[name]:get("key" .. i %% 50)
        end
        ngx.sleep(0)
    end
    for i = 1, 3 do
        local _, ok, answer = ngx.thread.wait(threads[i])
        if not ok then return ngx.say(answer) end
    end
    ngx.say(ngx.shared[name]:get("n"))
end
return { content = content, settings = { thread_pool = { pool = { threads = 3 } } } }
"""


def test_no_count_is_lost(app_server: Any, tmp_path: Path) -> None:
    (tmp_path / "job.lua").write_text(MODULE)
    answer = app_server(APP % (tmp_path, COUNT)).ask("/")
    assert answer.body == b"%d\n" % (4 * COUNT)
