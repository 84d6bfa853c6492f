"""Group A's plugins that decide who may pass, unchanged from a checkout, on live requests."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from support.gateway import Gateway

Needs = Callable[[str], None]


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def consumer(gateway: Gateway, name: str, plugins: dict[str, Any], **fields: Any) -> None:
    gateway.put(f"consumers/{name}", {"username": name, "plugins": plugins, **fields})


def test_basic_auth(gateway: Gateway) -> None:
    consumer(gateway, "basic", {"basic-auth": {"username": "foo", "password": "bar"}})
    path = gateway.route({"basic-auth": {}})
    assert gateway.ask(path).status == 401
    token = base64.b64encode(b"foo:bar").decode()
    assert gateway.ask(path, {"Authorization": f"Basic {token}"}).status == 200
    assert gateway.upstream.last.headers.get("X-Consumer-Username") == "basic"


def test_jwt_auth(gateway: Gateway) -> None:
    secret = "a-secret-of-more-than-thirty-two-bytes"
    consumer(gateway, "jwt", {"jwt-auth": {"key": "jwt-key", "secret": secret}})
    path = gateway.route({"jwt-auth": {}})
    assert gateway.ask(path).json() == {"message": "Missing JWT token in request"}
    head = base64url(json.dumps({"typ": "JWT", "alg": "HS256"}).encode())
    claims = {"key": "jwt-key", "exp": int(time.time()) + 10**9}
    text = f"{head}.{base64url(json.dumps(claims).encode())}"
    sign = hmac.digest(secret.encode(), text.encode(), "sha256")
    assert gateway.ask(path, {"Authorization": f"{text}.{base64url(sign)}"}).status == 200
    assert gateway.ask(path, {"Authorization": f"{text}.{base64url(sign[1:])}"}).status == 401


def test_hmac_auth(gateway: Gateway) -> None:
    consumer(gateway, "hmac", {"hmac-auth": {"key_id": "hmac-id", "secret_key": "shh"}})
    path = gateway.route({"hmac-auth": {"signed_headers": [], "clock_skew": 10**9}})
    assert gateway.ask(path).status == 401
    date = "Wed, 15 Nov 2023 06:28:00 GMT"
    text = f"hmac-id\nGET {path}\ndate: {date}\n"
    sign = base64.b64encode(hmac.digest(b"shh", text.encode(), "sha256")).decode()
    value = (
        f'Signature keyId="hmac-id",algorithm="hmac-sha256",headers="@request-target date",'
        f'signature="{sign}"'
    )
    assert gateway.ask(path, {"Date": date, "Authorization": value}).status == 200
    assert gateway.upstream.last.headers.get("X-Consumer-Username") == "hmac"


def test_jwe_decrypt(gateway: Gateway) -> None:
    secret = "s" * 32
    consumer(gateway, "jwe", {"jwe-decrypt": {"key": "jwe-key", "secret": secret}})
    conf = {"header": "Authorization", "forward_header": "Authorization"}
    path = gateway.route({"jwe-decrypt": conf})
    assert gateway.ask(path).json() == {"message": "missing JWE token in request"}
    nonce, head = os.urandom(12), {"alg": "dir", "enc": "A256GCM", "kid": "jwe-key"}
    sealed = AESGCM(secret.encode()).encrypt(nonce, b"hello", None)
    parts = [json.dumps(head).encode(), b"", nonce, sealed[:-16], sealed[-16:]]
    assert gateway.ask(path, {"Authorization": ".".join(map(base64url, parts))}).status == 200
    assert gateway.upstream.last.headers.get("Authorization") == "hello"


def test_multi_auth(gateway: Gateway) -> None:
    consumer(gateway, "multi", {"key-auth": {"key": "multi-key"}})
    conf = {"auth_plugins": [{"basic-auth": {}}, {"key-auth": {}}]}
    path = gateway.route({"multi-auth": conf})
    assert gateway.ask(path).json() == {"message": "Authorization Failed"}
    assert gateway.ask(path, {"apikey": "multi-key"}).status == 200


def test_consumer_restriction(gateway: Gateway) -> None:
    for name in ("cr1", "cr2"):
        consumer(gateway, name, {"key-auth": {"key": f"{name}-key"}})
    conf = {"whitelist": ["cr1"]}
    path = gateway.route({"key-auth": {}, "consumer-restriction": conf})
    assert gateway.ask(path, {"apikey": "cr1-key"}).status == 200
    answer = gateway.ask(path, {"apikey": "cr2-key"})
    assert (answer.status, answer.json()) == (403, {"message": "The consumer_name is forbidden."})


def test_attach_consumer_label(gateway: Gateway) -> None:
    labels = {"team": "blue"}
    consumer(gateway, "acl1", {"key-auth": {"key": "acl1-key"}}, labels=labels)
    conf = {"headers": {"X-Team": "$team"}}
    path = gateway.route({"key-auth": {}, "attach-consumer-label": conf})
    assert gateway.ask(path, {"apikey": "acl1-key"}).status == 200
    assert gateway.upstream.last.headers.get("X-Team") == "blue"


def test_acl(gateway: Gateway, needs: Needs) -> None:
    needs("acl")
    for name, team in (("acl2", "red"), ("acl3", "green")):
        consumer(gateway, name, {"key-auth": {"key": f"{name}-key"}}, labels={"team": team})
    path = gateway.route({"key-auth": {}, "acl": {"allow_labels": {"team": ["red"]}}})
    assert gateway.ask(path, {"apikey": "acl2-key"}).status == 200
    answer = gateway.ask(path, {"apikey": "acl3-key"})
    assert (answer.status, answer.json()) == (403, {"message": "The consumer is forbidden."})


def test_csrf(gateway: Gateway) -> None:
    path = gateway.route({"csrf": {"key": "secret"}})
    first = gateway.ask(path)
    cookie = str(first.headers.get("Set-Cookie")).split(";")[0]
    token = cookie.removeprefix("apisix-csrf-token=")
    assert gateway.ask(path, method="POST").json() == {"error_msg": "no csrf token in headers"}
    sent = {"apisix-csrf-token": token, "Cookie": cookie}
    assert gateway.ask(path, sent, "POST").status == 200


@pytest.mark.parametrize(("agent", "status"), [("curl/8", 403), ("Firefox", 200)])
def test_ua_restriction(gateway: Gateway, needs: Needs, agent: str, status: int) -> None:
    needs("ua-restriction")
    path = gateway.route({"ua-restriction": {"denylist": ["^curl"]}})
    assert gateway.ask(path, {"User-Agent": agent}).status == status


@pytest.mark.parametrize(("referer", "status"), [("http://a.com/x", 200), ("http://b.com", 403)])
def test_referer_restriction(gateway: Gateway, referer: str, status: int) -> None:
    path = gateway.route({"referer-restriction": {"whitelist": ["a.com"]}})
    assert gateway.ask(path, {"Referer": referer}).status == status


def test_request_validation(gateway: Gateway) -> None:
    schema = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
    path = gateway.route({"request-validation": {"body_schema": schema}})
    sent = {"Content-Type": "application/json"}
    assert gateway.ask(path, sent, "POST", b'{"n": 1}').status == 200
    answer = gateway.ask(path, sent, "POST", b'{"n": "1"}')
    assert answer.status == 400
    assert 'property "n" validation failed' in answer.text


def test_oas_validator(gateway: Gateway, needs: Needs) -> None:
    needs("oas-validator")
    parameter = {"name": "n", "in": "query", "required": True, "schema": {"type": "integer"}}
    operation = {"parameters": [parameter], "responses": {"200": {"description": "ok"}}}
    spec = {
        "openapi": "3.0.0",
        "info": {"title": "t", "version": "1"},
        "paths": {"/pets": {"get": operation}},
    }
    conf = {"spec": json.dumps(spec), "verbose_errors": True}
    gateway.route({"oas-validator": conf}, uris=["/pets"])
    assert gateway.ask("/pets?n=1").status == 200
    answer = gateway.ask("/pets?n=x")
    assert answer.status == 400
    assert answer.json()["message"].startswith("failed to validate request. ")


def test_api_breaker(gateway: Gateway) -> None:
    conf = {"break_response_code": 599, "unhealthy": {"http_statuses": [500], "failures": 1}}
    path = gateway.route({"api-breaker": conf})
    gateway.upstream.reply_once(500, b"")
    assert [gateway.ask(path).status for _ in range(2)] == [500, 599]


def test_workflow(gateway: Gateway) -> None:
    rule = {"case": [["uri", "~~", "/deny$"]], "actions": [["return", {"code": 418}]]}
    path = gateway.route({"workflow": {"rules": [rule]}})
    assert [gateway.ask(path + tail).status for tail in ("", "/deny")] == [200, 418]


def test_graphql_limit_count(gateway: Gateway, needs: Needs) -> None:
    needs("graphql-limit-count")
    conf = {"count": 3, "time_window": 60, "rejected_code": 429}
    path = gateway.route({"graphql-limit-count": conf})
    body = json.dumps({"query": "{ a { b } }"}).encode()
    answers = [
        gateway.ask(path, {"Content-Type": "application/json"}, "POST", body) for _ in range(2)
    ]
    assert [answer.status for answer in answers] == [200, 429]


def test_ai_rate_limiting(gateway: Gateway) -> None:
    picked = """return function(conf, ctx)
        ctx.picked_ai_instance_name = "one"
        ctx.ai_token_usage = { total_tokens = 10 }
    end"""
    conf = {"limit": 5, "time_window": 60, "_meta": {"pre_function": picked}}
    path = gateway.route({"ai-rate-limiting": conf})
    assert [gateway.ask(path).status for _ in range(2)] == [200, 503]


def test_digest_of_a_body_is_that_of_python(gateway: Gateway) -> None:
    conf = {"key_id": "hmac-body", "secret_key": "shh"}
    consumer(gateway, "hmac2", {"hmac-auth": conf})
    options = {"validate_request_body": True, "clock_skew": 10**9, "signed_headers": []}
    path = gateway.route({"hmac-auth": options})
    date, body = "Wed, 15 Nov 2023 06:28:00 GMT", b"some body"
    text = f"hmac-body\nPOST {path}\ndate: {date}\n"
    sign = base64.b64encode(hmac.digest(b"shh", text.encode(), "sha256")).decode()
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    sent = {
        "Date": date,
        "Digest": f"SHA-256={digest}",
        "Authorization": 'Signature keyId="hmac-body",algorithm="hmac-sha256",'
        f'headers="@request-target date",signature="{sign}"',
    }
    assert gateway.ask(path, sent, "POST", body).status == 200
    assert gateway.ask(path, sent, "POST", body + b"!").status == 401
