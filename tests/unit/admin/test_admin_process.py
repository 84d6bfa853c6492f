"""What the process of the Admin API does with the sockets that it is given."""

from __future__ import annotations

import socket

from pygw.admin.__main__ import _listener


def test_answers_do_not_wait_for_the_clients_acknowledgement() -> None:
    with socket.create_server(("127.0.0.1", 0)) as given:
        listener = _listener(given.detach())
    client = socket.create_connection(listener.getsockname())
    accepted, _ = listener.accept()
    with listener, client, accepted:
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        assert not listener.getblocking()
