"""Any bytes give answers or errors, never a hang and never a dead worker."""

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.app_server import AppServer
from support.http import Client, Truncated
from support.requests import ECHO, GET, INVALID, SETTINGS, VALID

SEEDS = [text for _, text in [*VALID.values(), *INVALID.values()] if len(text) < 3000]


@pytest.fixture(scope="module")
def server(module_app_server: Callable[..., AppServer]) -> AppServer:
    return module_app_server(ECHO, **SETTINGS)


Mutation = tuple[int, int, bytes]


def mutate(data: bytes, mutations: list[Mutation]) -> bytes:
    """Replace, at a place, so many bytes by others."""
    for place, count, others in mutations:
        place %= len(data) + 1
        data = data[:place] + others + data[place + count :]
    return data


PIECES = st.one_of(
    st.binary(max_size=3),
    st.sampled_from([b"\r\n", b"\n", b"\r", b":", b" ", b"\r\n\r\n", b"\x00", b"0\r\n\r\n"]),
)
MUTATIONS = st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 4), PIECES), max_size=4)


def answers(client: Client) -> None:
    """Read all that comes: whole responses, and then the connection's end."""
    while not client.closed():
        client.response()


@settings(max_examples=600, deadline=None)
@given(
    data=st.lists(
        st.builds(mutate, st.sampled_from(SEEDS).map(lambda t: t.encode("latin-1")), MUTATIONS),
        min_size=1,
        max_size=3,
    ).map(b"".join)
)
def test_mutated_requests(server: AppServer, data: bytes) -> None:
    with server.connect() as client:
        client.send(data)
        client.shut()
        # A client that says that nothing follows may find its connection reset after an error.
        with contextlib.suppress(Truncated):
            answers(client)
    assert server.ask("/").text == "GET / - test 1 -"


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=300), cut=st.integers(0, 300))
def test_random_bytes_in_two_pieces(server: AppServer, data: bytes, cut: int) -> None:
    with server.connect() as client:
        with contextlib.suppress(ConnectionError):
            client.send(data[:cut])
            client.send(data[cut:])
            client.shut()
        with contextlib.suppress(Truncated):
            answers(client)
    assert server.ask("/").text == "GET / - test 1 -"


@settings(max_examples=100, deadline=None)
@given(cut=st.integers(0, 200), seed=st.sampled_from(SEEDS))
def test_clients_that_vanish(server: AppServer, seed: str, cut: int) -> None:
    with server.connect() as client:
        client.send(seed[:cut])
    assert server.ask("/").text == "GET / - test 1 -"


def test_no_connection_is_left_over(server: AppServer) -> None:
    for seed in SEEDS:
        with server.connect() as client:
            client.send(seed)
            client.send(GET)
    server.settle()
