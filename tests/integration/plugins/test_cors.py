"""The plugin cors as browsers meet it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.gateway import Gateway

from pygw.testing.messages import Answer

A, B, C = "http://a.com", "http://b.com:8443", "https://c.org"
METHODS = "GET,POST,PUT,DELETE,PATCH,HEAD,OPTIONS,CONNECT,TRACE"


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    gateway = start_gateway(plugins=["cors", "key-auth"])
    origins = {"one": A, "two": f"{A},{B}", "all": "*", "every": "**"}
    gateway.put("plugin_metadata/cors", {"allow_origins": origins})
    return gateway


def ask(gateway: Gateway, conf: dict[str, Any], origin: str | None, **more: Any) -> Answer:
    """A request from a page of that origin."""
    headers = {"Origin": origin} if origin else {}
    return gateway.ask(
        gateway.route({"cors": conf}), {**headers, **more.pop("headers", {})}, **more
    )


def allowed(answer: Answer) -> str | None:
    """Whom the answer allows."""
    return answer.headers.get("Access-Control-Allow-Origin")


def test_by_default_all_may_but_without_credentials(gateway: Gateway) -> None:
    answer = ask(gateway, {}, A)
    assert answer.text == "hello"
    found = {name: value for name, value in answer.headers if name.startswith("Access-Control")}
    assert found == {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": "*",
        "Access-Control-Allow-Headers": "*",
        "Access-Control-Max-Age": "5",
    }
    assert answer.headers.get("Vary") is None


def test_a_preflight_request_is_answered_here(gateway: Gateway) -> None:
    asked = len(gateway.upstream.requests)
    answer = ask(gateway, {}, A, method="OPTIONS")
    assert (answer.status, allowed(answer)) == (200, "*")
    assert len(gateway.upstream.requests) == asked


def test_it_comes_before_authentication(gateway: Gateway) -> None:
    path = gateway.route({"cors": {}, "key-auth": {}})
    assert gateway.ask(path, {"Origin": A}, method="OPTIONS").status == 200
    answer = gateway.ask(path, {"Origin": A})
    assert (answer.status, allowed(answer)) == (401, "*")


@pytest.mark.parametrize(
    ("allow", "origin", "expected"),
    [
        ("*", None, "*"),
        ("**", A, A),
        ("**", None, "*"),
        (A, A, A),
        (A, B, None),
        (A, None, None),
        (f"{A},{B}", A, A),
        (f"{A},{B}", B, B),
        (f"{A},{B}", C, None),
        (f"{A},{B}", None, None),
        ("null", "null", "null"),
        ("null", A, None),
    ],
)
def test_allow_origins(
    gateway: Gateway, allow: str, origin: str | None, expected: str | None
) -> None:
    answer = ask(gateway, {"allow_origins": allow}, origin)
    assert allowed(answer) == expected
    assert (answer.headers.get("Access-Control-Allow-Methods") is None) is (expected is None)
    assert answer.headers.all("Vary") == ([] if allow == "*" else ["Origin"])


def test_what_is_allowed_may_be_told(gateway: Gateway) -> None:
    conf = {
        "allow_origins": A,
        "allow_methods": "GET,POST",
        "allow_headers": "X-One,X-Two",
        "expose_headers": "X-Seen",
        "max_age": -1,
        "allow_credential": True,
    }
    answer = ask(gateway, conf, A)
    names = ("Methods", "Headers", "Credentials")
    found = [answer.headers.get(f"Access-Control-Allow-{name}") for name in names]
    assert found == ["GET,POST", "X-One,X-Two", "true"]
    assert answer.headers.get("Access-Control-Expose-Headers") == "X-Seen"
    assert answer.headers.get("Access-Control-Max-Age") == "-1"


def test_everything_by_force(gateway: Gateway) -> None:
    conf = {"allow_origins": "**", "allow_methods": "**", "allow_headers": "**"}
    headers = {"Access-Control-Request-Headers": "req-header1,req-header2"}
    answer = ask(gateway, {**conf, "allow_credential": True}, B, headers=headers)
    assert allowed(answer) == B
    assert answer.headers.get("Access-Control-Allow-Methods") == METHODS
    assert answer.headers.get("Access-Control-Allow-Headers") == "req-header1,req-header2"
    assert ask(gateway, conf, B).headers.get("Access-Control-Allow-Headers") is None


def test_nothing_is_exposed_by_an_empty_list(gateway: Gateway) -> None:
    answer = ask(gateway, {"expose_headers": ""}, A)
    assert answer.headers.get("Access-Control-Expose-Headers") is None


@pytest.mark.parametrize(
    ("origin", "expected"),
    [("http://x.a.com", True), (C, True), (A, False), ("http://x.a.com.evil", False)],
)
def test_origins_by_regular_expressions(gateway: Gateway, origin: str, expected: bool) -> None:
    conf = {"allow_origins": A, "allow_origins_by_regex": [".*\\.a\\.com$", "^https://"]}
    assert allowed(ask(gateway, conf, origin)) == (origin if expected else None)


@pytest.mark.parametrize(
    ("names", "origin", "expected"),
    [
        (["one"], A, A),
        (["one"], B, None),
        (["two"], B, B),
        (["one", "two"], B, B),
        (["unknown"], A, None),
        (["unknown", "one"], A, A),
        (["every"], C, C),
        (["all"], C, C),
    ],
)
def test_origins_by_metadata(
    gateway: Gateway, names: list[str], origin: str, expected: str | None, plugin_source: Any
) -> None:
    if plugin_source and "unknown" in names:
        pytest.skip("a name that the metadata does not have is an error in the original")
    assert allowed(ask(gateway, {"allow_origins_by_metadata": names}, origin)) == expected


def test_metadata_beside_a_list(gateway: Gateway) -> None:
    conf = {"allow_origins_by_metadata": ["one"], "allow_origins": C}
    assert [allowed(ask(gateway, conf, origin)) for origin in (A, C, B)] == [A, C, None]


@pytest.mark.parametrize(
    ("conf", "origin", "expected"),
    [
        ({}, A, None),
        ({"timing_allow_origins": "*"}, A, "*"),
        ({"timing_allow_origins": "**"}, A, A),
        ({"timing_allow_origins": A}, A, A),
        ({"timing_allow_origins": A}, B, None),
        ({"timing_allow_origins": f"{A},{B}"}, B, B),
        ({"timing_allow_origins_by_regex": ["^https:"]}, C, C),
        ({"timing_allow_origins": A, "timing_allow_origins_by_regex": ["^https:"]}, A, None),
    ],
)
def test_timing(gateway: Gateway, conf: Any, origin: str, expected: str | None) -> None:
    assert ask(gateway, conf, origin).headers.get("Timing-Allow-Origin") == expected


CREDENTIALS = "you can not set '*' for other option when 'allow_credential' is true"


@pytest.mark.parametrize(
    ("conf", "complaint"),
    [
        ({"allow_credential": True}, CREDENTIALS),
        (
            {"allow_credential": True, "allow_origins": A, "allow_methods": "GET"},
            CREDENTIALS,
        ),
        ({"allow_origins": "a.com"}, 'property "allow_origins" validation failed'),
        ({"allow_origins": f"{A},"}, "failed to match pattern"),
        ({"timing_allow_origins": "x"}, 'property "timing_allow_origins" validation failed'),
        ({"allow_origins_by_regex": []}, "expect array to have at least 1 items"),
        ({"allow_origins_by_regex": ["([a-Z]+"]}, "failed"),
        ({"timing_allow_origins_by_regex": ["("]}, "pcre_compile() failed"),
        ({"allow_origins_by_metadata": ["a", "a"]}, "expected unique items"),
        ({"max_age": "5"}, "wrong type: expected integer, got string"),
    ],
)
def test_a_wrong_configuration(gateway: Gateway, conf: Any, complaint: str) -> None:
    assert complaint in gateway.complaint({"cors": conf})


def test_wrong_metadata(gateway: Gateway) -> None:
    told = gateway.refused("plugin_metadata/cors", {"allow_origins": {"x": "no origin"}})
    assert 'property "allow_origins" validation failed' in told
