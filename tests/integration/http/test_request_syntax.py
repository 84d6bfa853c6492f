"""What is a request and what is not: the tables of support.requests, fed whole and byte by byte."""

from collections.abc import Callable
from typing import Any

import pytest
from support.app_server import AppServer
from support.http import Client
from support.requests import ECHO, GET, INVALID, SETTINGS, VALID

NEXT = GET + "Host: a\r\n\r\n"
Feed = Callable[[Client, str], None]


@pytest.fixture(scope="module")
def server(module_app_server: Callable[..., AppServer]) -> AppServer:
    return module_app_server(ECHO, virtual=True, **SETTINGS)


@pytest.fixture(params=["whole", "byte by byte"])
def feed(request: Any, server: AppServer) -> Feed:
    """Send a request; byte by byte, the server has seen each byte before the next one is sent."""

    def whole(client: Client, text: str) -> None:
        client.send(text)

    def in_bytes(client: Client, text: str) -> None:
        step = 1 if len(text) < 400 else 97
        for start in range(0, len(text), step):
            try:
                client.send(text[start : start + step])
            except (BrokenPipeError, ConnectionResetError):
                return  # refused already
            server.advance(0)

    return whole if request.param == "whole" else in_bytes


@pytest.mark.parametrize("name", INVALID)
def test_invalid_is_refused_and_the_connection_closed(
    server: AppServer, feed: Feed, name: str
) -> None:
    status, text = INVALID[name]
    with server.connect() as client:
        feed(client, text)
        response = client.response()
        assert response.status == status
        assert response.header("Connection") == "close"
        assert client.closed()


@pytest.mark.parametrize("name", VALID)
def test_valid_is_read_and_the_next_request_follows(
    server: AppServer, feed: Feed, name: str
) -> None:
    expected, text = VALID[name]
    with server.connect() as client:
        feed(client, text)
        response = client.response()
        assert response.status == 200
        assert response.text == expected
        if "HTTP/1.0" not in text:
            feed(client, NEXT)
            assert client.response().text == "GET / - a 1 -"


def test_nothing_is_served_behind_an_invalid_request(server: AppServer) -> None:
    with server.connect() as client:
        client.send(INVALID["both lengths"][1] + NEXT)
        assert client.response().status == 400
        assert client.closed()


def test_a_refused_client_that_goes_on_sending_still_gets_its_answer(server: AppServer) -> None:
    with server.connect() as client:
        client.send(INVALID["field too long"][1])
        for _ in range(50):
            client.send("x" * 20000)
        assert client.response().status == 400


def test_what_a_refused_client_sends_is_read_for_a_bounded_time(server: AppServer) -> None:
    with server.connect() as client:
        client.send(INVALID["bare LF first"][1])
        assert client.response().status == 400
        assert client.closed()
        for _ in range(11):  # always in time for lingering_timeout (5 s)
            client.send("x")
            server.advance(2.6)
        assert server.connections()[0] == 1
        server.advance(2.6)  # but not for lingering_time (30 s)
        assert server.connections()[0] == 0
