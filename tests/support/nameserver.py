"""A nameserver that answers by a zone, over UDP and TCP; some names make it misbehave."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

from dnslib import RCODE, RR, DNSRecord
from support.app_server import PATIENCE

ZONE = """
a.test.       60 IN A     192.0.2.1
a.test.       30 IN A     192.0.2.2
v6.test.      60 IN AAAA  2001:db8::1
alias.test.   60 IN CNAME a.test.
mail.test.    60 IN MX    10 mx.a.test.
ns.test.      60 IN NS    ns1.a.test.
one.test.     60 IN TXT   "one string"
many.test.    60 IN TXT   "first" "second" ""
srv.test.     60 IN SRV   1 2 8080 a.test.
soa.test.     60 IN SOA   ns.test. admin.test. 2026112201 7200 3600 1209600 300
odd.test.     60 IN CAA   0 issue "ca.test"
big.test.     60 IN A     192.0.2.3
cut.test.     60 IN A     192.0.2.4
stray.test.   60 IN A     192.0.2.5
here.test.    60 IN A     127.0.0.1
4.3.2.1.in-addr.arpa. 60 IN PTR host.test.
"""


def _pair() -> tuple[socket.socket, socket.socket]:
    """A listening TCP socket and a UDP socket of the same port."""
    while True:
        stream = socket.create_server(("127.0.0.1", 0))
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            datagrams.bind(stream.getsockname())
        except OSError:  # somebody else's
            stream.close()
            datagrams.close()
        else:
            return stream, datagrams


class Nameserver:
    """`port` for both transports; `asked` holds (transport, name, type) of each query."""

    def __init__(self) -> None:
        self._tcp, self._udp = _pair()
        self.port: int = self._udp.getsockname()[1]
        self.asked: list[tuple[str, str, str]] = []
        self._records = RR.fromZone(ZONE)
        self._threads = [
            threading.Thread(target=serve, daemon=True)
            for serve in (self._serve_udp, self._serve_tcp)
        ]
        for thread in self._threads:
            thread.start()

    def _answer(self, query: bytes, transport: str) -> tuple[str, DNSRecord]:
        record = DNSRecord.parse(query)
        name = str(record.q.qname)
        kind = record.q.qtype
        self.asked.append((transport, name.rstrip("."), str(kind)))
        reply = record.reply()
        for rr in self._records:
            if rr.rname == record.q.qname and rr.rtype in (kind, 5):
                reply.add_answer(rr)
        if not reply.rr and name not in {str(rr.rname) for rr in self._records}:
            reply.header.rcode = RCODE.NXDOMAIN
        return name, reply

    def _serve_udp(self) -> None:
        while True:
            query, peer = self._udp.recvfrom(4096)
            if not query:
                return
            for piece in self._pieces(query):
                self._udp.sendto(piece, peer)

    def _pieces(self, query: bytes) -> Iterator[bytes]:
        name, reply = self._answer(query, "udp")
        if name == "silent.test.":
            return
        if name == "stray.test.":
            reply.header.id ^= 1
            yield reply.pack()
            reply.header.id ^= 1
        if name == "big.test.":
            reply.header.tc = 1
        text = reply.pack()
        yield text[:-3] if name == "cut.test." else text

    def _serve_tcp(self) -> None:
        while True:
            try:
                link, _ = self._tcp.accept()
            except OSError:
                return
            with link, contextlib.suppress(OSError, struct.error):
                link.settimeout(PATIENCE)
                stream = link.makefile("rb")
                (size,) = struct.unpack("!H", stream.read(2))
                _, reply = self._answer(stream.read(size), "tcp")
                text = reply.pack()
                link.sendall(struct.pack("!H", len(text)) + text)
                stream.close()

    def stop(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        with contextlib.suppress(OSError):
            self._tcp.shutdown(socket.SHUT_RDWR)
        self._tcp.close()
        for thread in self._threads:
            thread.join(PATIENCE)
        self._udp.close()


@contextlib.contextmanager
def running() -> Iterator[Nameserver]:
    server = Nameserver()
    try:
        yield server
    finally:
        server.stop()
