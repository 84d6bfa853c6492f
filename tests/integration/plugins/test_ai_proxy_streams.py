"""Answers of models that come piece by piece through the plugin ai-proxy."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from gevent import event, socket
from support.gateway import Gateway
from support.model_provider import (
    USAGE,
    Provider,
    chunk,
    delta,
    events,
    running_provider,
    stream_head,
    streaming,
)

from pygw.testing.messages import Answer

CHAT = {"model": "m-1", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
JSON = {"Content-Type": "application/json"}
LOGGED = """
return function(_, ctx)
    ngx.log(ngx.WARN, "told: ", ctx.var.llm_prompt_tokens, " ", ctx.var.llm_total_tokens, " ",
        ctx.var.llm_response_text, " ", ctx.var.request_type, " ", ctx.var.llm_stream, " ",
        ctx.var.llm_has_tool_calls, " ", tostring(ctx.var.llm_request_done), " ",
        tostring(ctx.ai_stream_aborted), " :told")
end
"""


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    attr = {"ai-proxy": {"http_client": "lua-resty-http"}}
    return start_gateway(plugins=["ai-proxy", "serverless-pre-function"], plugin_attr=attr)


@pytest.fixture
def provider() -> Iterator[Provider]:
    with running_provider() as provider:
        yield provider


@pytest.fixture
def route(gateway: Gateway, provider: Provider) -> Callable[..., str]:
    """route(**conf): a route to the provider that tells in the log what it knows."""

    def make(**conf: Any) -> str:
        auth = {"header": {"Authorization": "Bearer t"}}
        base = {"provider": "openai", "auth": auth, "override": {"endpoint": provider.uri}}
        function = {"phase": "log", "functions": [LOGGED], "_meta": {"priority": 1}}
        plugins = {"ai-proxy": {**base, **conf}, "serverless-pre-function": function}
        return gateway.route(plugins)

    return make


def ask(gateway: Gateway, path: str, body: dict[str, Any] | None = None) -> tuple[Answer, str]:
    """The answer, and what the log phase tells."""
    before = len(gateway.log)
    answer = gateway.ask(path, JSON, "POST", json.dumps(body or CHAT).encode())
    gateway.until(lambda: " :told" in gateway.log[before:])
    return answer, gateway.log[before:].partition("told: ")[2].partition(" :told")[0]


@pytest.mark.parametrize("interval", [0, 10])
def test_a_stream(
    gateway: Gateway, provider: Provider, route: Callable[..., str], interval: int
) -> None:
    pieces = events(delta("he"), delta("llo"), {"choices": [], "usage": USAGE}, "[DONE]")
    provider.answer = streaming(*pieces)
    answer, told = ask(gateway, route(streaming_flush_interval_ms=interval))
    assert answer.status == 200
    assert answer.headers.get("Content-Type") == "text/event-stream"
    assert answer.body == b"".join(pieces)
    assert told == "9 12 hello ai_stream true false true nil"
    assert provider.last_body == {**CHAT, "stream_options": {"include_usage": True}}


def test_events_in_any_pieces(
    gateway: Gateway, provider: Provider, route: Callable[..., str]
) -> None:
    whole = b"".join(events(delta("he"), delta("llo"), {"choices": [], "usage": USAGE}, "[DONE]"))
    whole = b": comment\n\n" + whole.replace(b"\n\n", b"\r\n\r\n")
    provider.answer = streaming(*(whole[at : at + 7] for at in range(0, len(whole), 7)))
    answer, told = ask(gateway, route())
    assert answer.body == whole
    assert told.startswith("9 12 hello ")


@pytest.mark.parametrize("interval", [0, 1])
def test_pieces_come_at_once(
    gateway: Gateway, provider: Provider, route: Callable[..., str], interval: int
) -> None:
    arrived = event.Event()
    first, second = events(delta("one"), "[DONE]")

    def script(connection: Any) -> None:
        connection.sendall(stream_head() + chunk(first))
        assert arrived.wait(10)
        connection.sendall(chunk(second) + chunk(b""))

    provider.answer = script
    path = route(streaming_flush_interval_ms=interval)
    body = json.dumps(CHAT).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {len(body)}"
    with socket.create_connection(("127.0.0.1", gateway.port), 10) as connection:
        connection.sendall(head.encode() + b"\r\nContent-Type: application/json\r\n\r\n" + body)
        data = b""
        while first not in data:
            data += connection.recv(65536)
        assert second not in data
        arrived.set()
        while piece := connection.recv(65536):
            data += piece
    assert second in data


def test_a_stream_that_ends_with_its_connection(
    gateway: Gateway, provider: Provider, route: Callable[..., str]
) -> None:
    whole = b"".join(events(delta("hello"), "[DONE]"))
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    provider.answer = lambda connection: connection.sendall(head + whole)
    assert ask(gateway, route())[0].body == whole


def test_tools_and_no_end(gateway: Gateway, provider: Provider, route: Callable[..., str]) -> None:
    call = {"choices": [{"delta": {"tool_calls": [{"index": 0}]}}]}
    provider.answer = streaming(*events(call, {"choices": [], "usage": USAGE}))
    assert ask(gateway, route())[1] == "9 12  ai_stream true true true nil"


def test_a_stream_of_anthropic(
    gateway: Gateway, provider: Provider, route: Callable[..., str]
) -> None:
    said = [
        ("message_start", {"message": {"usage": {"input_tokens": 5, "output_tokens": 1}}}),
        ("content_block_start", {"content_block": {"type": "text"}}),
        ("content_block_delta", {"delta": {"type": "text_delta", "text": "hey"}}),
        ("message_delta", {"delta": {}, "usage": {"output_tokens": 7}}),
        ("message_stop", {}),
    ]
    pieces = [f"event: {name}\ndata: {json.dumps(data)}\n\n".encode() for name, data in said]
    provider.answer = streaming(*pieces)
    answer, told = ask(gateway, f"{route(provider='anthropic')}/v1/messages")
    assert answer.body == b"".join(pieces)
    assert told == "5 12 hey ai_stream true false true nil"


def test_a_stream_of_responses(
    gateway: Gateway, provider: Provider, route: Callable[..., str]
) -> None:
    usage = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    said = [
        ("response.output_text.delta", {"delta": "hey"}),
        ("response.completed", {"response": {"usage": usage, "output": []}}),
    ]
    pieces = [f"event: {name}\ndata: {json.dumps(data)}\n\n".encode() for name, data in said]
    provider.answer = streaming(*pieces)
    answer, told = ask(gateway, f"{route()}/v1/responses", {"input": "x", "stream": True})
    assert answer.body == b"".join(pieces)
    assert told == "3 7 hey ai_stream true false true nil"


def test_a_stream_that_is_too_long(
    gateway: Gateway, provider: Provider, route: Callable[..., str]
) -> None:
    pieces = events(delta("a" * 50), delta("b" * 50), delta("c" * 50))
    provider.answer = streaming(*pieces)
    answer, told = ask(gateway, route(max_response_bytes=150))
    assert answer.body == pieces[0] + pieces[1]
    assert told.endswith(" max_response_bytes")
    assert "aborting AI stream: max_response_bytes exceeded;" in gateway.log


def test_a_stream_that_takes_too_long(
    gateway: Gateway, provider: Provider, route: Callable[..., str]
) -> None:
    ended = event.Event()

    def script(connection: Any) -> None:
        piece = chunk(events(delta("x"))[0])
        connection.sendall(stream_head())
        try:
            while True:
                connection.sendall(piece)
                gevent.sleep(0)
        except OSError:
            ended.set()

    provider.answer = script
    _, told = ask(gateway, route(max_stream_duration_ms=1))
    assert told.endswith(" max_stream_duration_ms")
    assert ended.wait(10)


def test_a_provider_that_breaks_off(
    gateway: Gateway, provider: Provider, route: Callable[..., str]
) -> None:
    piece = events(delta("x"))[0]
    provider.answer = lambda connection: connection.sendall(stream_head() + chunk(piece))
    before = len(gateway.log)
    answer, told = ask(gateway, route(streaming_flush_interval_ms=0))
    assert answer.body == piece  # the client misses the [DONE]
    assert told.endswith(" read_error")
    assert "failed to read response chunk: closed" in gateway.log[before:]


def test_a_provider_that_breaks_off_before_the_first_piece(
    gateway: Gateway, provider: Provider, route: Callable[..., str]
) -> None:
    provider.answer = lambda connection: connection.sendall(stream_head())
    answer, told = ask(gateway, route())
    assert answer.status == 500
    assert told.endswith(" read_error")
