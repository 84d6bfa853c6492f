"""The check that tests leave nothing behind sees what it is there for, and forgives what ends."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Iterator

import gevent
import pytest
from greenlet import getcurrent, greenlet
from support import leftovers
from support.leftovers import Watch

Left = Callable[[], Callable[[], object]]


def a_process() -> Callable[[], object]:
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    return process.communicate


def a_process_not_waited_for() -> Callable[[], object]:
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    return process.wait


def a_socket() -> Callable[[], object]:
    return socket.socket().close


def a_file() -> Callable[[], object]:
    number = os.open("/dev/null", os.O_RDONLY)
    return lambda: os.close(number)


def a_greenlet() -> Callable[[], object]:
    return gevent.spawn(gevent.sleep, 3600).kill


def a_plain_greenlet() -> Callable[[], object]:
    left = greenlet(lambda: getcurrent().parent.switch())
    left.switch()
    return left.switch


def an_orphan() -> Callable[[], object]:
    """A process whose parent has ended; it ends with its input."""
    read, write = os.pipe()
    with os.fdopen(read) as source:
        command = ["sh", "-c", "exec 3<&0; cat <&3 >/dev/null &"]
        subprocess.run(command, stdin=source, check=True)
    return lambda: os.close(write)


CHEAP = [a_process, a_process_not_waited_for, a_socket, a_file, a_greenlet]


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("leave", CHEAP)
def test_a_test_is_told_what_it_left(leave: Left, deep: bool) -> None:
    watch = Watch(deep)
    undo = leave()
    assert len(watch.new()) >= 1
    undo()
    watch.check()


@pytest.mark.parametrize("leave", [a_plain_greenlet, an_orphan])
def test_a_module_is_told_what_only_a_long_look_finds(leave: Left) -> None:
    light, deep = Watch(deep=False), Watch(deep=True)
    undo = leave()
    kinds = {kind for kind, _ in deep.new()} - {kind for kind, _ in light.new()}
    assert kinds & {"greenlet", "process"}
    undo()
    deep.check()


def test_what_goes_on_fails_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "PATIENCE", 0)
    watch = Watch(deep=False)
    left = os.open("/dev/null", os.O_RDONLY)
    with pytest.raises(pytest.fail.Exception, match=rf"left behind:\ndescriptor {left} .*null"):
        watch.check()
    os.close(left)


def test_what_ends_by_itself_in_a_moment_is_forgiven() -> None:
    watch = Watch(deep=False)
    gevent.spawn(gevent.sleep, 0.01)
    assert watch.new()
    watch.check()


def test_a_process_started_again_is_not_new() -> None:
    first = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    watch = Watch(deep=False)
    first.communicate()
    second = subprocess.Popen(["cat"], stdin=subprocess.PIPE)  # returns when `cat` is executed
    assert "process" not in {kind for kind, _ in watch.new()}
    second.communicate()


@pytest.fixture
def shared_server() -> Iterator[gevent.Greenlet]:
    server = gevent.spawn(gevent.sleep, 3600)
    yield server
    server.kill()


@pytest.mark.usefixtures("shared_server")
def test_beside_a_server_in_this_process_sockets_wait_for_the_modules_end() -> None:
    light, deep = Watch(deep=False), Watch(deep=True)
    with socket.socket():
        assert not light.new()
        assert deep.new()
