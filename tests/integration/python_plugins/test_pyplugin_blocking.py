"""A phase that waits: others go on, it comes back in its place, and nothing is left of it."""

from __future__ import annotations

import contextlib
import gc
import os
import threading
from typing import Any

import gevent
import pytest
from gevent.event import Event

WAIT = """
    import gevent
    from gevent.event import Event

    class Wait(Plugin):
        name, priority = "t-wait", 10
        schema = {"type": "object"}
        def phase(self, conf, ctx):
            if ctx.var["arg_wait"]:
                arrived.append(ctx.request.path)
                try:
                    way()
                except BaseException as error:
                    ended.append(type(error).__name__)
                    raise
                ctx.request.path  # it is the same request still
                ended.append(ctx.request.path)
        rewrite = access = header_filter = log = phase

        def body_filter(self, conf, ctx, chunk, last):
            self.phase(conf, ctx)
            return chunk

    gate, arrived, ended = Event(), [], []
    way = gate.wait
"""
ONE = """
    class Wait(Plugin):
        name, priority = "t-wait", 10
        schema = {"type": "object"}
"""


def one_phase(phase: str) -> str:
    """WAIT, which waits in one phase only."""
    kept = "pass" if phase == "body_filter" else f"{phase} = phase"
    source = WAIT.replace("rewrite = access = header_filter = log = phase", kept)
    return source if phase == "body_filter" else source.replace("body_filter", "unused")


@pytest.mark.parametrize("phase", ["rewrite", "access", "header_filter", "body_filter"])
def test_while_one_request_waits_others_are_answered(start: Any, phase: str) -> None:
    gateway = start(one_phase(phase), {"a": {"t-wait": {}}})
    waiting = gevent.spawn(gateway.ask, "/a/1?wait=1")
    gateway.until(lambda: gateway.module.arrived)
    for _ in range(20):
        assert gateway.ask("/a/2").status == 200
    assert not waiting.ready()
    gateway.module.gate.set()
    assert waiting.get(timeout=20).json["path"] == "/a/1"
    assert set(gateway.module.ended) == {"/a/1"}


def test_a_log_phase_that_waits_delays_not_even_its_own_answer(start: Any) -> None:
    gateway = start(one_phase("log"), {"a": {"t-wait": {}}})
    assert gateway.ask("/a/1?wait=1", headers={"Connection": "close"}).status == 200
    assert gateway.module.ended == []
    gateway.module.gate.set()
    gateway.until(lambda: gateway.module.ended == ["/a/1"])


def test_many_wait_at_once_and_each_gets_its_own_back(start: Any) -> None:
    gateway = start(WAIT, {"a": {"t-wait": {}}})
    asked = [gevent.spawn(gateway.ask, f"/a/{i}?wait=1") for i in range(50)]
    gateway.until(lambda: len(gateway.module.arrived) == 50)
    gateway.module.gate.set()
    assert [each.get(timeout=20).json["path"] for each in asked] == [f"/a/{i}" for i in range(50)]


WAYS = {
    "sleep": "gevent.sleep(0.001)",
    "sleep 0": "gevent.sleep(0)",
    "greenlet": "gevent.spawn(gevent.sleep, 0).join()",
    "thread": "gevent.get_hub().threadpool.apply(int)",
    "subprocess": "import gevent.subprocess as s; s.check_output(['true'])",
    "name": "import gevent.socket as s; s.getaddrinfo('localhost', 80)",
    "lock": (
        "from gevent.lock import Semaphore; s = Semaphore(0);"
        " gevent.spawn_later(0.001, s.release); s.acquire()"
    ),
    "queue": (
        "from gevent.queue import Queue; q = Queue(); gevent.spawn_later(0.001, q.put, 1); q.get()"
    ),
    "raw greenlet below": (
        "from greenlet import greenlet; greenlet(lambda: gevent.sleep(0.001)).switch()"
    ),
    "several": "[gevent.sleep(0) for _ in range(5)]",
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_every_way_to_wait_comes_back(start: Any, way: str) -> None:
    gateway = start(one_phase("access"), {"a": {"t-wait": {}}})
    gateway.module.way = lambda: exec(way, {"gevent": gevent})
    for i in range(3):
        assert gateway.ask(f"/a/{i}?wait=1").json["path"] == f"/a/{i}"
    assert gateway.module.ended == ["/a/0", "/a/1", "/a/2"]


def test_a_timeout_of_gevent_ends_a_wait(start: Any) -> None:
    gateway = start(one_phase("access"), {"a": {"t-wait": {}}})

    def way() -> None:
        with gevent.Timeout(0.01):
            gateway.module.gate.wait()

    gateway.module.way = way
    assert gateway.ask("/a?wait=1").status == 500
    assert gateway.module.ended == ["Timeout"]
    assert "gevent.timeout.Timeout: 0.01 seconds" in gateway.log()


def descriptors() -> set[str]:
    return {fd for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")}


def living() -> int:
    """How many greenlets live that a phase runs in."""
    from pygw.hub.inline import InlineGreenlet

    gc.collect()
    return sum(isinstance(o, InlineGreenlet) and bool(o) and not o.dead for o in gc.get_objects())


@pytest.mark.parametrize("phase", ["access", "body_filter"])
def test_nothing_is_left_when_the_client_goes_away_meanwhile(start: Any, phase: str) -> None:
    gateway = start(one_phase(phase), {"a": {"t-wait": {}}})
    gateway.ask("/a/0")
    gateway.module.gate.set()
    gateway.ask("/a/0?wait=1")
    gateway.module.gate.clear()
    gateway.module.arrived.clear()
    before, greenlets = descriptors(), living()
    for i in range(5):
        with contextlib.closing(gateway.connect()) as connection:
            connection.request("GET", f"/a/{i}?wait=1")
            gateway.until(lambda i=i: f"/a/{i}" in gateway.module.arrived)
    assert living() == greenlets + 4, "five wait, one of them in the greenlet that was idle"
    gateway.module.gate.set()
    gateway.until(lambda: not gateway.worker._runner._requests)
    gateway.until(lambda: gateway.worker.worker.bridge.connections()[0] == 0)
    assert gateway.ask("/a/ok").status == 200
    gateway.until(lambda: gateway.worker.worker.bridge.connections()[0] == 0)
    gateway.until(lambda: descriptors() <= before)
    assert living() == greenlets == 1
    gateway.stop()
    assert living() == 0


def test_a_phase_that_waits_for_a_body_ends_when_the_client_goes_away(start: Any) -> None:
    source = """
    class Body(Plugin):
        name, priority = "t-body", 10
        schema = {"type": "object"}
        def access(self, conf, ctx):
            arrived.append(1)
            try:
                ctx.request.body
            except BaseException as error:
                ended.append(type(error).__name__)
                raise
    arrived, ended = [], []
    """
    gateway = start(source, {"a": {"t-body": {}}})
    connection = gateway.connect()
    connection.putrequest("POST", "/a")
    connection.putheader("Content-Length", "1000")
    connection.endheaders(b"a part")
    gateway.until(lambda: gateway.module.arrived)
    connection.close()
    gateway.until(lambda: gateway.module.ended)
    assert gateway.module.ended == ["GreenletExit"]
    gateway.until(lambda: not gateway.worker._runner._requests)
    assert "t-body" not in gateway.log()


def test_a_worker_that_drains_waits_for_them(start: Any) -> None:
    gateway = start(one_phase("access"), {"a": {"t-wait": {}}})
    asked = gevent.spawn(gateway.ask, "/a/last?wait=1")
    gateway.until(lambda: gateway.module.arrived)
    stopping = gevent.spawn(gateway.stop, graceful=True)
    with pytest.raises(ConnectionError):
        gateway.until(lambda: gateway.ask("/a") is None)  # no new ones
    assert not stopping.ready()
    gateway.module.gate.set()
    assert asked.get(timeout=20).json["path"] == "/a/last"
    stopping.get(timeout=20)


def test_threading_locals_and_context_variables_do_not_leak_between_requests(start: Any) -> None:
    source = """
    import contextvars
    variable = contextvars.ContextVar("variable", default="none")
    class Vars(Plugin):
        name, priority = "t-vars", 10
        schema = {"type": "object"}
        def access(self, conf, ctx):
            before = variable.get()
            variable.set(ctx.request.path)
            return Response(200, [before, variable.get()])
    """
    gateway = start(source, {"a": {"t-vars": {}}})
    assert gateway.ask("/a/1").json == ["none", "/a/1"]
    assert gateway.ask("/a/2").json == ["none", "/a/2"]


def test_events_of_other_threads_wake_a_phase(start: Any) -> None:
    gateway = start(one_phase("access"), {"a": {"t-wait": {}}})
    woken = Event()

    def way() -> None:
        loop = gevent.get_hub().loop
        thread = threading.Thread(target=lambda: loop.run_callback_threadsafe(woken.set))
        thread.start()
        woken.wait()
        thread.join()

    gateway.module.way = way
    assert gateway.ask("/a/1?wait=1").json["path"] == "/a/1"
