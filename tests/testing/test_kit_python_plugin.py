"""Python plugins in the `gateway` fixture: their timers and deadlines in virtual time."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.event import Event

from pygw import timer

PLUGIN = """
from pygw.plugin import Plugin

class Subject(Plugin):
    name, priority, schema = "subject", 10, {"type": "object"}
    timeout, on_timeout = 5.0, "ON_TIMEOUT"

    def init(self):
        self.calls = []

    def access(self, conf, ctx):
        self.wait()
        ctx.request.headers["x-waited"] = "1"

    def wait(self):
        pass
"""


@pytest.fixture
def on_timeout() -> str:
    return "fail"


@pytest.fixture
def pygw_config(tmp_path: Path, on_timeout: str) -> dict[str, Any]:
    (tmp_path / "subject.py").write_text(PLUGIN.replace("ON_TIMEOUT", on_timeout))
    return {"pygw": {"python_plugins": [str(tmp_path / "subject.py")]}}


@pytest.fixture
def subject(gateway: Any) -> Any:
    """The plugin's object."""
    return gateway._worker._plugins["subject"]


def test_a_timer_runs_at_its_moment(gateway: Any, subject: Any) -> None:
    begun = gateway.clock.now
    timer.at(60, lambda: subject.calls.append(gateway.clock.now - begun))
    gateway.clock.advance(59)
    assert subject.calls == []
    gateway.clock.advance(100)
    assert subject.calls == [pytest.approx(60)]


def test_a_timer_that_repeats_runs_each_time(gateway: Any, subject: Any) -> None:
    begun = gateway.clock.now
    running = timer.every(10, lambda: subject.calls.append(round(gateway.clock.now - begun)))
    gateway.clock.advance(35)
    assert subject.calls == [10, 20, 30]
    running.cancel()
    gateway.clock.advance(35)
    assert subject.calls == [10, 20, 30]


def test_a_timer_may_block(gateway: Any, subject: Any) -> None:
    def work() -> None:
        gevent.sleep(0)
        subject.calls.append(gevent.get_hub().threadpool.apply(lambda: "worked"))

    timer.every(10, work)
    gateway.clock.advance(30)
    gateway.until(lambda: subject.calls)
    assert subject.calls[0] == "worked"


def test_a_phase_that_waits_in_vain_is_ended_at_its_deadline(gateway: Any, subject: Any) -> None:
    subject.wait = Event().wait
    path = gateway.route({"subject": {}})
    begun = gateway.clock.now
    assert gateway.get(path).status == 503
    assert gateway.clock.now - begun == pytest.approx(5, abs=0.1)
    assert "subject" in gateway.log


@pytest.mark.parametrize("on_timeout", ["pass"])
def test_a_request_goes_on_without_it_if_told_so(gateway: Any, subject: Any) -> None:
    subject.wait = Event().wait
    path = gateway.route({"subject": {}})
    assert gateway.get(path).status == 200
    assert gateway.upstream.last.headers.get("x-waited") is None


def test_the_test_may_say_when(make_gateway: Any, pygw_config: Any) -> None:
    gateway = make_gateway(pygw_config, autojump=None)
    entered, subject = Event(), gateway._worker._plugins["subject"]

    def wait() -> None:
        entered.set()
        Event().wait()

    subject.wait = wait
    path = gateway.route({"subject": {}})
    asking = gevent.spawn(gateway.get, path)
    assert entered.wait(10)
    gateway.clock.advance(4.9)
    gevent.idle()
    assert not asking.ready()
    gateway.clock.advance(0.2)
    assert asking.get(timeout=10).status == 503


def test_what_a_phase_really_waits_for_may_take_its_time(gateway: Any, subject: Any) -> None:
    pool = gevent.get_hub().threadpool
    subject.wait = lambda: pool.apply(time.sleep, (0.06,))
    path = gateway.route({"subject": {}})
    assert gateway.get(path).status == 200
    assert gateway.upstream.last.headers["x-waited"] == "1"
