"""The process behind `app_server`: one worker with one Lua application, driven by lines on stdin.

    python app_child.py OPTIONS   a JSON object: app (path of the Lua file), virtual (the clock),
                                  listeners (how many), tls (the numbers of those over TLS,
                                  from 1), strict

It prints the ports when it serves, and "ok …" for each line done: "advance SECONDS" (virtual
clock), "connections", "quit" (drain). It ends when stdin does, so that it never outlives the test.
"""

import json
import os
import socket
import sys
from collections.abc import Iterator
from typing import Any

import gevent
from gevent.event import Event
from gevent.socket import wait_read

from pygw.config.settings import load
from pygw.hub.clock import Clock, VirtualClock
from pygw.vm.worker import Listener, Worker


def commands() -> Iterator[list[str]]:
    """Lines of stdin, as words, without blocking the hub."""
    held = b""
    while True:
        wait_read(0)
        piece = os.read(0, 65536)
        if not piece:
            return
        *lines, held = (held + piece).split(b"\n")
        for line in lines:
            yield line.decode().split()


def obey(worker: Worker, clock: Any, obeyed: Event) -> None:
    """Do what stdin asks for, until it ends. obeyed: set while nothing is being done."""
    for name, *arguments in commands():
        obeyed.clear()
        answer = "ok"
        if name == "advance":
            clock.advance(float(arguments[0]))
        elif name == "connections":
            total, idle = worker.bridge.connections()
            answer = f"ok {total} {idle}"
        elif name == "quit":
            worker.stop(graceful=True)
        print(answer, flush=True)
        obeyed.set()
    worker.stop(graceful=False)


def listening() -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    listener.setblocking(False)
    return listener


def main() -> None:
    options = json.loads(sys.argv[1])
    clock = VirtualClock() if options["virtual"] else Clock()
    listeners = [listening() for _ in range(options["listeners"])]
    given = [
        Listener(listener.fileno(), tls=number in options["tls"])
        for number, listener in enumerate(listeners, 1)
    ]
    worker = Worker(load(), 0, given, options["app"], clock=clock, strict=options["strict"])
    worker.start()
    print(*[listener.getsockname()[1] for listener in listeners], flush=True)
    for listener in listeners:
        listener.detach()  # the worker closes it
    obeyed = Event()
    obeyed.set()
    gevent.spawn(obey, worker, clock, obeyed)
    worker.run()
    obeyed.wait()  # what was asked for last may be what ended the worker


if __name__ == "__main__":
    main()
