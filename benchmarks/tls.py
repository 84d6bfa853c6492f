"""Measures TLS by FFI on the socket (what pygw does) against Python's ssl over memory BIOs.

Three loads: connections with a request each, many requests over one connection, bytes of one large
response. Each server is a process of its own; what counts is its CPU time, user and system, and
what TLS adds to that of the same server without it. The second way is the one that an earlier
design had: Python reads the socket, feeds OpenSSL and calls Lua with plain bytes, which answers
with plain bytes. Must never be imported by the gateway. Run: `python benchmarks/tls.py [--quick]`.
"""

from __future__ import annotations

import argparse
import math
import select
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

MEGABYTE = 1 << 20
APP = """
local s = require "server.settings"
s.ssl_certificate, s.ssl_certificate_key = "%s/cert.pem", "%s/key.pem"
s.keepalive_requests = 1000000000
local mega = ("x"):rep(1048576)
return { content = function()
    if ngx.var.uri == "/" then return ngx.print("hello") end
    for _ = 1, tonumber(ngx.var.uri:sub(2)) do ngx.print(mega) ngx.flush(true) end
end }
"""
HANDLE = """
local find, match, format = string.find, string.match, string.format
local mega = ("x"):rep(1048576)
return function(bytes)
    local _, stop = find(bytes, "\\r\\n\\r\\n", 1, true)
    if not stop then return nil end
    local size = tonumber(match(bytes, "^GET /(%d*)"))
    if not size then
        return "HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhello", 0
    end
    return format("HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n", size * #mega), size, mega
end
"""


def serve_ffi(directory: str, listener: socket.socket, tls: bool) -> None:
    """The server that pygw is."""
    from pygw.config.settings import load
    from pygw.vm.worker import Listener, Worker

    app = Path(directory) / "app.lua"
    app.write_text(APP % (directory, directory))
    listener.setblocking(False)
    worker = Worker(load(), 0, [Listener(listener.fileno(), tls=tls)], str(app))
    worker.start()
    worker.run()


class Plain:
    """What takes the place of an SSLObject and its outgoing BIO where there is no TLS."""

    def __init__(self) -> None:
        self.received, self.sent = b"", b""

    def read(self, _: int) -> bytes:
        if not self.received:
            raise ssl.SSLWantReadError
        data, self.received = self.received, b""
        return data

    def write(self, data: bytes) -> None:
        self.sent += data

    def take(self) -> bytes:
        data, self.sent = self.sent, b""
        return data


class Connection:
    """One connection, over memory BIOs if there is a context; `step` passes on what there is."""

    def __init__(self, plain: socket.socket, context: ssl.SSLContext | None, handle: Any) -> None:
        self.plain, self.handle = plain, handle
        self.left, self.mega, self.waiting = 0, b"", b""
        self.put: Callable[[bytes], Any]
        if context:
            self.incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            self.tls: Any = context.wrap_bio(self.incoming, outgoing, server_side=True)
            self.put, self.take, self.shaken = self.incoming.write, outgoing.read, False
        else:
            self.tls = Plain()
            self.put = lambda data: setattr(self.tls, "received", data)
            self.take, self.shaken = self.tls.take, True

    def step(self) -> bool:
        """Read, answer, send; False when the connection is over."""
        try:
            if not (data := self.plain.recv(65536)):
                return False
            self.put(data)
        except BlockingIOError:
            pass
        except ConnectionResetError:
            return False
        try:
            if not self.shaken:
                self.tls.do_handshake()
                self.shaken = True
            head, self.left, *mega = self.handle(self.tls.read(65536))
            self.tls.write(head)
            self.mega = mega[0] if mega else b""
        except ssl.SSLWantReadError:
            pass
        self.flush()
        return True

    def flush(self) -> None:
        """Send what there is to send, as far as the socket takes it, and make more."""
        while True:
            self.waiting = self.waiting or self.take()
            if not self.waiting and self.left:
                self.left -= 1
                self.tls.write(self.mega)
                self.waiting = self.take()
            if not self.waiting:
                return
            try:
                self.waiting = self.waiting[self.plain.send(self.waiting) :]
            except BlockingIOError:
                return


def serve_bio(directory: str, listener: socket.socket, tls: bool) -> None:
    """A hub in Python that crosses to Lua for each piece of plain text."""
    from lupa.luajit21 import LuaRuntime

    lua = LuaRuntime(unpack_returned_tuples=True, encoding=None)
    handle = lua.execute(HANDLE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{directory}/cert.pem", f"{directory}/key.pem")
    listener.setblocking(False)
    poll = select.epoll()
    poll.register(listener.fileno(), select.EPOLLIN)
    open_: dict[int, Connection] = {}
    while True:
        for fd, events in poll.poll():
            if fd == listener.fileno():
                plain, _ = listener.accept()
                plain.setblocking(False)
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                open_[plain.fileno()] = Connection(plain, context if tls else None, handle)
                poll.register(plain.fileno(), select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
            elif events & select.EPOLLIN and not open_[fd].step():
                open_.pop(fd).plain.close()
            elif events & select.EPOLLOUT and fd in open_:
                open_[fd].flush()


SERVERS = {"FFI on the socket": serve_ffi, "Python's ssl, memory BIOs": serve_bio}


def cpu(pid: int) -> float:
    """CPU microseconds that a process has used, as the scheduler counts them."""
    files = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(file.read_text().split()[0]) for file in files) / 1000


class Client:
    """Speaks to a server, over TLS 1.3 or plainly."""

    def __init__(self, directory: str, port: int, tls: bool) -> None:
        self.port = port
        self.context = ssl.create_default_context(cafile=f"{directory}/cert.pem") if tls else None

    def connect(self) -> socket.socket:
        plain = socket.create_connection(("127.0.0.1", self.port))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self.context:
            return plain
        return self.context.wrap_socket(plain, server_hostname="bench.test")

    def ask(self, connection: socket.socket, target: str, least: int) -> None:
        connection.sendall(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % target.encode())
        got = 0
        buffer = bytearray(MEGABYTE)
        while got < least:
            got += connection.recv_into(buffer)

    def connections(self, count: int) -> None:
        for _ in range(count):
            self.requests(1)

    def requests(self, count: int) -> None:
        with self.connect() as connection:
            for _ in range(count):
                self.ask(connection, "/", 1)

    def megabytes(self, count: int) -> None:
        with self.connect() as connection:
            self.ask(connection, f"/{count}", count * MEGABYTE)


def certify(directory: str) -> None:
    """An ECDSA P-256 certificate of bench.test."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        + ["-nodes", "-keyout", f"{directory}/key.pem", "-out", f"{directory}/cert.pem"]
        + ["-subj", "/CN=bench.test", "-addext", "subjectAltName=DNS:bench.test", "-days", "2"],
        check=True,
        capture_output=True,
    )


def measure(name: str, directory: str, rounds: int, tls: bool) -> list[float]:
    """CPU microseconds of one server per connection, request and megabyte; the best round."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        serve = [name, directory, str(listener.fileno()), "tls" if tls else ""]
        command = [sys.executable, __file__, "--serve", *serve]
        with subprocess.Popen(command, pass_fds=[listener.fileno()]) as server:
            client = Client(directory, listener.getsockname()[1], tls)
            loads = (client.connections, 200), (client.requests, 2000), (client.megabytes, 100)
            costs = [math.inf] * len(loads)
            for _ in range(rounds):
                for i, (load, times) in enumerate(loads):
                    before = cpu(server.pid)
                    load(times)
                    costs[i] = min(costs[i], (cpu(server.pid) - before) / times)
            server.kill()
    return costs


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--serve", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        name, directory, fd, tls = options.serve
        return SERVERS[name](directory, socket.socket(fileno=int(fd)), tls == "tls")
    rounds = 2 if options.quick else 20
    with tempfile.TemporaryDirectory() as directory:
        certify(directory)
        print(
            f"{'CPU µs of the server per':36} {'connection':>10} {'request':>10} {'megabyte':>10}"
        )
        for name in SERVERS:
            without = measure(name, directory, rounds, tls=False)
            within = measure(name, directory, rounds, tls=True)
            added = [one - other for one, other in zip(within, without, strict=True)]
            for what, costs in ("plain", without), ("TLS", within), ("added by TLS", added):
                columns = " ".join(f"{cost:10.1f}" for cost in costs)
                print(f"{name + ', ' + what:36} {columns}")
    return None


if __name__ == "__main__":
    main()
