"""The plugin ai-proxy against a server that speaks OpenAI's API: requests, answers, errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.gateway import Gateway
from support.model_provider import Provider, chat_answer, running_provider

from pygw.testing.messages import Answer

CHAT = {"model": "m-1", "messages": [{"role": "user", "content": "hi"}]}
JSON = {"Content-Type": "application/json"}
AUTH = {"header": {"Authorization": "Bearer secret-token"}}


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    attr = {"ai-proxy": {"http_client": "lua-resty-http"}}
    return start_gateway(plugins=["ai-proxy"], plugin_attr=attr)


@pytest.fixture(scope="module")
def _provider() -> Iterator[Provider]:
    with running_provider() as provider:
        yield provider


@pytest.fixture
def provider(_provider: Provider) -> Provider:
    """The server, which says hello again."""
    _provider.say(chat_answer())
    return _provider


Ask = Callable[..., Answer]


@pytest.fixture
def ask(gateway: Gateway, provider: Provider) -> Ask:
    """ask(body, path="", headers={}, query="", **conf): one request through a route of its own."""

    def run(
        body: Any,
        path: str = "",
        headers: dict[str, str] | None = None,
        query: str = "",
        method: str = "POST",
        **conf: Any,
    ) -> Answer:
        override = {"endpoint": provider.uri, **conf.pop("override", {})}
        whole = {"provider": "openai", "auth": AUTH, "override": override, **conf}
        target = gateway.route({"ai-proxy": whole}) + path + query
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        return gateway.ask(target, {**JSON, **(headers or {})}, method, text)

    return run


def test_a_chat(ask: Ask, provider: Provider) -> None:
    body = b'{ "model":"m-1",  "messages":[{"role":"user","content":"hi"}] }'
    answer = ask(body)
    assert answer.status == 200
    assert answer.json() == chat_answer()
    assert answer.headers.get("Content-Type") == "application/json"
    assert (provider.last.method, provider.last.target) == ("POST", "/v1/chat/completions")
    assert provider.last.body == body  # nothing has changed it, so not a byte differs


def test_credentials_and_headers(ask: Ask, provider: Provider) -> None:
    auth = {**AUTH, "query": {"key": "k-1"}}
    headers = {"Authorization": "Bearer of-the-client", "X-Mine": "1", "Accept-Encoding": "br"}
    ask(CHAT, headers=headers, auth=auth)
    seen = provider.last.headers
    assert seen.all("Authorization") == ["Bearer secret-token"]
    assert seen.get("X-Mine") == "1"
    assert seen.get("Accept-Encoding") is None
    assert provider.last.target == "/v1/chat/completions?key=k-1"
    assert (seen.get("Host") or "").startswith("127.0.0.1:")


def test_options_come_first(ask: Ask, provider: Provider) -> None:
    ask({**CHAT, "temperature": 0.1}, options={"model": "m-2", "temperature": 0.5, "top_p": 1})
    assert provider.last_body == {**CHAT, "model": "m-2", "temperature": 0.5, "top_p": 1}


def test_an_endpoint_with_path_and_query(ask: Ask, provider: Provider) -> None:
    ask(CHAT, override={"endpoint": f"{provider.uri}/own/path?a=b"}, auth={"query": {"key": "k"}})
    path, _, query = provider.last.target.partition("?")
    assert path == "/own/path"
    assert sorted(query.split("&")) == ["a=b", "key=k"]


@pytest.mark.parametrize(
    ("name", "path", "limit"),
    [
        ("openai", "/v1/chat/completions", "max_completion_tokens"),
        ("openai-compatible", "/v1/chat/completions", "max_tokens"),
        ("deepseek", "/chat/completions", "max_tokens"),
        ("aimlapi", "/chat/completions", "max_tokens"),
        ("openrouter", "/api/v1/chat/completions", "max_tokens"),
        ("gemini", "/v1beta/openai/chat/completions", "max_completion_tokens"),
        ("anthropic", "/v1/chat/completions", "max_tokens"),
        ("azure-openai", "/completions", "max_tokens"),
        (
            "vertex-ai",
            "/v1beta1/projects/p1/locations/eu/endpoints/openapi/chat/completions",
            "max_completion_tokens",
        ),
    ],
)
def test_providers(ask: Ask, provider: Provider, name: str, path: str, limit: str) -> None:
    override = {"llm_options": {"max_tokens": 7}}
    conf = {"project_id": "p1", "region": "eu"}
    answer = ask({**CHAT, "max_tokens": 99}, provider=name, override=override, provider_conf=conf)
    assert answer.status == 200
    assert provider.last.target == path
    assert provider.last_body[limit] == 7
    assert ("model" in provider.last_body) == (name != "azure-openai")
    if name == "openai":
        assert "max_tokens" not in provider.last_body


@pytest.mark.parametrize(
    ("force", "expected"),
    [
        (False, {"a": 1, "b": {"c": 2, "d": 4}, "l": [1]}),
        (True, {"a": 9, "b": {"c": 3, "d": 4}, "l": [2]}),
    ],
)
def test_the_body_can_be_overridden(
    ask: Ask, provider: Provider, force: bool, expected: dict[str, Any]
) -> None:
    patch = {"a": 9, "b": {"c": 3, "d": 4}, "l": [2], "new": {"x": 1}}
    override = {"request_body": {"openai-chat": patch}, "request_body_force_override": force}
    ask({**CHAT, "a": 1, "b": {"c": 2}, "l": [1]}, override=override)
    assert provider.last_body == {**CHAT, **expected, "new": {"x": 1}}


@pytest.mark.parametrize(
    ("path", "body", "target"),
    [
        ("/v1/responses", {"input": "hi", "model": "m"}, "/v1/responses"),
        ("/any", {"input": ["a"], "model": "m"}, "/v1/embeddings"),
    ],
)
def test_other_protocols(
    ask: Ask, provider: Provider, path: str, body: dict[str, Any], target: str
) -> None:
    assert ask(body, path).status == 200
    assert provider.last.target == target


def test_messages_of_anthropic(ask: Ask, provider: Provider) -> None:
    usage = {"input_tokens": 5, "output_tokens": 2, "cache_read_input_tokens": 1}
    provider.say({"content": [{"type": "text", "text": "hey"}], "usage": usage})
    answer = ask(CHAT, "/v1/messages", provider="anthropic")
    assert answer.json()["content"][0]["text"] == "hey"
    assert provider.last.target == "/v1/messages"


def test_what_is_of_no_protocol_passes_as_it_is(ask: Ask, provider: Provider) -> None:
    auth = {"query": {"key": "k"}}
    ask({"prompt": "x"}, "/v1/other", query="?a=b&key=mine", method="PUT", auth=auth)
    path, _, query = provider.last.target.partition("?")
    assert provider.last.method == "PUT"
    assert path.endswith("/v1/other")
    assert sorted(query.split("&")) == ["a=b", "key=k"]


def test_a_protocol_that_the_provider_does_not_speak(ask: Ask) -> None:
    answer = ask({"input": "x"}, "/v1/responses", provider="deepseek")
    assert answer.status == 400
    why = "provider deepseek does not support openai-responses protocol (supported: openai-chat)"
    assert why in answer.text


@pytest.mark.parametrize(
    ("body", "headers", "status", "why"),
    [
        (b"x", {"Content-Type": "text/plain"}, 400, "unsupported content-type: text/plain"),
        (b"{", {}, 400, "could not parse JSON request body"),
        (b"{}", {}, 400, "no matching AI protocol for the request"),
    ],
)
def test_requests_that_cannot_be_proxied(
    ask: Ask, provider: Provider, body: bytes, headers: dict[str, str], status: int, why: str
) -> None:
    before = len(provider.requests)
    answer = ask(body, headers=headers)
    assert answer.status == status
    assert why in answer.text
    assert len(provider.requests) == before


def test_a_body_that_is_too_long(ask: Ask, gateway: Gateway) -> None:
    assert ask(CHAT, max_req_body_size=10).status == 413
    assert "failed to read request body: " in gateway.log


@pytest.mark.parametrize("status", [429, 500, 503])
def test_errors_of_the_provider_come_whole(ask: Ask, provider: Provider, status: int) -> None:
    provider.say({"error": {"message": "slow down"}}, status)
    answer = ask(CHAT)
    assert answer.status == status
    assert answer.json() == {"error": {"message": "slow down"}}
    assert answer.headers.get("Content-Type") == "application/json"


def test_a_refusal_of_the_provider_is_an_answer(ask: Ask, provider: Provider) -> None:
    provider.say({"error": {"message": "who"}}, 401)
    answer = ask(CHAT)
    assert (answer.status, answer.json()) == (401, {"error": {"message": "who"}})


def test_an_answer_that_is_no_json(ask: Ask, provider: Provider, gateway: Gateway) -> None:
    provider.answer = (200, "text/plain", b"plain")
    answer = ask(CHAT)
    assert (answer.status, answer.text) == (200, "plain")
    assert "it will cause token usage not available" in gateway.log


def test_a_provider_that_is_not_there(ask: Ask, gateway: Gateway) -> None:
    assert ask(CHAT, override={"endpoint": "http://127.0.0.1:1"}).status == 500
    assert "failed to send request to LLM server: connect: connection refused" in gateway.log


def test_a_provider_that_is_too_slow(ask: Ask, provider: Provider) -> None:
    provider.answer = lambda connection: connection.recv(1)
    assert ask(CHAT, timeout=1).status == 504


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_an_answer_that_is_too_long(ask: Ask, provider: Provider, framing: str) -> None:
    if framing == "chunked":
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        provider.answer = lambda connection: connection.sendall(
            head + b"20\r\n" + b"x" * 32 + b"\r\n0\r\n\r\n"
        )
    answer = ask(CHAT, max_response_bytes=20)
    assert answer.status == 502
    assert "max_response_bytes exceeded" in answer.text


@pytest.mark.parametrize(("keepalive", "connections"), [(True, 1), (False, 2)])
def test_connections_are_kept(gateway: Gateway, keepalive: bool, connections: int) -> None:
    conf: dict[str, Any] = {"provider": "openai", "auth": AUTH, "keepalive": keepalive}
    with running_provider() as own:
        conf["override"] = {"endpoint": own.uri}
        path = gateway.route({"ai-proxy": conf})
        for _ in range(2):
            assert gateway.ask(path, JSON, "POST", json.dumps(CHAT).encode()).status == 200
        assert own.accepted == connections
