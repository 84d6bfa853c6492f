"""What the plugin ai-proxy tells the log and other plugins about an exchange."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.gateway import Gateway
from support.model_provider import USAGE, Provider, chat_answer, running_provider

CHAT = {"model": "m-1", "messages": [{"role": "user", "content": "hi"}]}
JSON = {"Content-Type": "application/json"}
AUTH = {"header": {"Authorization": "Bearer secret-token"}}


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    attr = {"ai-proxy": {"http_client": "lua-resty-http"}}
    return start_gateway(plugins=["ai-proxy", "serverless-pre-function"], plugin_attr=attr)


@pytest.fixture
def provider() -> Iterator[Provider]:
    with running_provider() as provider:
        yield provider


LOGGED = """
return function(_, ctx)
    local names = { "llm_model", "request_llm_model", "request_type", "llm_prompt_tokens",
        "llm_completion_tokens", "llm_total_tokens", "llm_cache_read_input_tokens",
        "llm_reasoning_tokens", "llm_stream", "llm_tool_count", "llm_has_tool_calls",
        "llm_end_user_id", "llm_response_text" }
    local told = { summary = ctx.llm_summary, request = ctx.llm_request,
        response = ctx.llm_response_text, raw = ctx.llm_raw_usage, var = {} }
    for _, name in ipairs(names) do told.var[name] = ctx.var[name] and tostring(ctx.var[name]) end
    ngx.log(ngx.WARN, "told: ", require("apisix.core").json.encode(told), " :told")
end
"""


def told(gateway: Gateway, conf: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """What the log phase sees of one request."""
    function = {"phase": "log", "functions": [LOGGED], "_meta": {"priority": 1}}
    path = gateway.route({"ai-proxy": conf, "serverless-pre-function": function})
    before = len(gateway.log)
    gateway.ask(path, JSON, "POST", json.dumps(body).encode())
    gateway.until(lambda: " :told" in gateway.log[before:])
    text = gateway.log[before:].partition("told: ")[2].partition(" :told")[0]
    found: dict[str, Any] = json.loads(text)
    return found


def test_what_others_are_told(gateway: Gateway, provider: Provider) -> None:
    calls = [{"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    provider.say(chat_answer("said", tool_calls=calls))
    logging = {"summaries": True, "payloads": True}
    conf = {"provider": "openai", "auth": AUTH, "options": {"model": "m-2"}, "logging": logging}
    conf["override"] = {"endpoint": provider.uri}
    seen = told(gateway, conf, {**CHAT, "user": "u1", "tools": [{}, {}]})
    assert seen["var"] == {
        "llm_model": "m-2",
        "request_llm_model": "m-1",
        "request_type": "ai_chat",
        "llm_prompt_tokens": "9",
        "llm_completion_tokens": "3",
        "llm_total_tokens": "12",
        "llm_cache_read_input_tokens": "4",
        "llm_reasoning_tokens": "2",
        "llm_stream": "false",
        "llm_tool_count": "2",
        "llm_has_tool_calls": "true",
        "llm_end_user_id": "u1",
        "llm_response_text": "said",
    }
    assert seen["raw"] == USAGE
    assert seen["request"] == {"messages": CHAT["messages"], "stream": False}
    assert seen["response"] == {"content": "said"}
    summary = seen["summary"]
    assert (summary["model"], summary["request_model"]) == ("m-2", "m-1")
    assert int(summary["total_tokens"]) == 12
    assert int(summary["duration"]) >= 0
    assert "secret-token" not in gateway.log


def test_nothing_is_told_unasked(gateway: Gateway, provider: Provider) -> None:
    conf = {"provider": "openai", "auth": AUTH, "override": {"endpoint": provider.uri}}
    seen = told(gateway, conf, CHAT)
    assert {"summary", "request", "response"}.isdisjoint(seen)
