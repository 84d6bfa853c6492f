"""Lua code learns when logs were to be opened anew (USR1)."""

from __future__ import annotations

import signal
import time
from typing import Any

APP = """
local last = require("resty.apisix.process").get_last_reopen_ms
return { content = function() ngx.print(("%d"):format(last())) end }
"""


def test_a_worker_knows_when_it_was_told_to_reopen_its_log(start: Any) -> None:
    config = "nginx_config: {worker_processes: 1, error_log_level: notice}"
    gateway = start(config, app=APP).started()
    assert gateway.get() == 0
    before = int(time.time() * 1000)
    gateway.tell(signal.SIGUSR1)
    while not (told := gateway.get()):
        assert time.time() * 1000 < before + 20_000, "it never learns"
    assert before - 1000 <= told <= time.time() * 1000
