"""The plugin jwt-auth as clients with tokens and upstreams meet it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from support import jose
from support.gateway import Gateway

from pygw.hub.clock import VirtualClock
from pygw.testing.messages import Answer

FAILED = "failed to verify jwt"
PAYLOAD = {"key": "HS256"}


def consumer(key: str, **conf: Any) -> dict[str, Any]:
    return {"username": key.replace("-", "_"), "plugins": {"jwt-auth": {"key": key, **conf}}}


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    """With a consumer for each algorithm, named like it as its key claim is, and anon."""
    gateway = start_gateway(VirtualClock(), plugins=["jwt-auth", "serverless-pre-function"])
    for alg in (*jose.SHARED, *jose.OF_KEYS):
        conf = {"secret": alg} if alg in jose.SHARED else {"public_key": public_key(alg)}
        gateway.put(f"consumers/{alg}", consumer(alg, algorithm=alg, **conf))
    more = consumer("credential", secret="other")["plugins"]
    gateway.put("consumers/HS256/credentials/c2", {"plugins": more})
    gateway.put("consumers/anon", {"username": "anon"})
    return gateway


def public_key(alg: str) -> str:
    return jose.public_pem(jose.key_for(alg))


def key_of(alg: str) -> Any:
    return alg.encode() if alg in jose.SHARED else jose.key_for(alg)


def signed(alg: str = "HS256", **payload: Any) -> str:
    """A token that the consumer of this algorithm would send."""
    return jose.token(alg, key_of(alg), {"key": alg, **payload})


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def send(gateway: Gateway, token: str, **conf: Any) -> Answer:
    return gateway.ask(gateway.route({"jwt-auth": conf}), bearer(token))


def refused(answer: Answer, message: str) -> bool:
    assert answer.headers.get("WWW-Authenticate") == 'Bearer realm="jwt"'
    assert answer.json() == {"message": message}
    return answer.status == 401


@pytest.mark.parametrize("alg", [*jose.SHARED, *jose.OF_KEYS])
def test_every_algorithm(gateway: Gateway, alg: str) -> None:
    assert send(gateway, signed(alg)).status == 200
    assert gateway.upstream.last.headers.get("X-Consumer-Username") == alg


@pytest.mark.parametrize("alg", [*jose.SHARED, *jose.OF_KEYS])
def test_a_signature_of_another_message(gateway: Gateway, alg: str) -> None:
    header, _, signature = signed(alg, sub="user").split(".")
    payload = jose.encode({"key": alg, "sub": "admin"})
    assert refused(send(gateway, f"{header}.{payload}.{signature}"), FAILED)
    assert f"failed to verify jwt: signature mismatch: {signature}" in gateway.log


@pytest.mark.parametrize("alg", [*jose.SHARED, *jose.OF_KEYS])
@pytest.mark.parametrize("signature", ["", "AA", "!", "A" * 86, "A" * 342])
def test_a_signature_that_is_none(gateway: Gateway, alg: str, signature: str) -> None:
    header, payload, _ = signed(alg).split(".")
    answer = send(gateway, f"{header}.{payload}.{signature}")
    assert refused(answer, FAILED if signature else "JWT token invalid")


@pytest.mark.parametrize("alg", jose.OF_KEYS)
@pytest.mark.parametrize("shared", jose.SHARED)
def test_a_public_key_is_no_secret(gateway: Gateway, alg: str, shared: str) -> None:
    token = jose.token(shared, public_key(alg).encode(), {"key": alg})
    assert refused(send(gateway, token), FAILED)
    assert f"algorithm mismatch, expected {alg}" in gateway.log


@pytest.mark.parametrize("alg", ["HS384", "none", "None", "", "RS256", None, 1, ["HS256"]])
def test_the_algorithm_is_the_consumers(gateway: Gateway, alg: Any) -> None:
    token = jose.token("HS256", b"HS256", PAYLOAD, alg=alg)
    assert refused(send(gateway, token), FAILED)


def test_a_secret_of_another_consumer(gateway: Gateway) -> None:
    token = jose.token("HS256", b"HS384", PAYLOAD)
    assert refused(send(gateway, token), FAILED)


@pytest.mark.parametrize(
    "token", ["", "abc", "a.b.c", "..", "e30.e30", "e30.e30.e30.e30", "e30.W10.AA"]
)
def test_what_is_no_token(gateway: Gateway, token: str) -> None:
    answer = send(gateway, token)
    assert answer.status == 401
    assert answer.json()["message"] in ("JWT token invalid", "missing user key in JWT token")


@pytest.mark.usefixtures("our_libraries")
def test_a_head_that_is_a_number(gateway: Gateway) -> None:
    assert send(gateway, "MQ.e30.AA").status == 401


def test_without_a_token(gateway: Gateway) -> None:
    asked = len(gateway.upstream.requests)
    answer = gateway.ask(gateway.route({"jwt-auth": {}}))
    assert refused(answer, "Missing JWT token in request")
    assert len(gateway.upstream.requests) == asked


def test_without_the_key_claim(gateway: Gateway) -> None:
    token = jose.token("HS256", b"HS256", {"iss": "HS256"})
    assert refused(send(gateway, token), "missing user key in JWT token")


@pytest.mark.parametrize("key", ["ghost", 1, ["HS256"], {"a": 1}, True])
def test_a_key_claim_that_nobody_has(gateway: Gateway, key: Any) -> None:
    token = jose.token("HS256", b"HS256", {"key": key})
    assert refused(send(gateway, token), "Invalid user key in JWT token")
    assert "failed to find consumer: invalid user key" in gateway.log


def test_another_key_claim(gateway: Gateway) -> None:
    token = jose.token("HS256", b"HS256", {"iss": "HS256"})
    assert send(gateway, token, key_claim_name="iss").status == 200
    assert refused(send(gateway, signed(), key_claim_name="iss"), "missing user key in JWT token")


def test_a_credential_of_a_consumer(gateway: Gateway) -> None:
    assert send(gateway, jose.token("HS256", b"other", {"key": "credential"})).status == 200
    assert gateway.upstream.last.headers.get("X-Consumer-Username") == "HS256"
    assert gateway.upstream.last.headers.get("X-Credential-Identifier") == "c2"


def test_where_the_token_stands(gateway: Gateway) -> None:
    path, token = gateway.route({"jwt-auth": {}}), signed()
    for headers in (
        {"Authorization": token},
        {"Authorization": f"bearer {token}"},
        {"Cookie": f"a=1; jwt={token}; b=2"},
    ):
        assert gateway.ask(path, headers).status == 200
    assert gateway.ask(f"{path}?jwt={token}").status == 200


def test_the_header_wins_over_query_and_cookie(gateway: Gateway) -> None:
    path, token = gateway.route({"jwt-auth": {}}), signed()
    good = {"Authorization": token, "Cookie": "jwt=x"}
    assert gateway.ask(f"{path}?jwt=x", good).status == 200
    bad = {"Authorization": "x", "Cookie": f"jwt={token}"}
    assert gateway.ask(f"{path}?jwt={token}", bad).status == 401
    assert gateway.ask(f"{path}?jwt=x", {"Cookie": f"jwt={token}"}).status == 401


@pytest.mark.parametrize("query", ["jwt", "jwt=", "jwt=a&jwt=b"])
def test_a_query_argument_that_is_no_token(gateway: Gateway, query: str) -> None:
    answer = gateway.ask(f"{gateway.route({'jwt-auth': {}})}?{query}")
    assert refused(answer, "JWT token invalid")


def test_other_names(gateway: Gateway) -> None:
    conf = {"header": "X-Token", "query": "tok", "cookie": "c-tok"}
    path, token = gateway.route({"jwt-auth": conf}), signed()
    assert gateway.ask(path, {"X-Token": token}).status == 200
    assert gateway.ask(f"{path}?tok={token}").status == 200
    assert gateway.ask(path, {"Cookie": f"c-tok={token}"}).status == 200
    assert refused(gateway.ask(path, bearer(token)), "Missing JWT token in request")


def test_credentials_are_passed_on_by_default(gateway: Gateway) -> None:
    path, token = gateway.route({"jwt-auth": {}}), signed()
    gateway.ask(f"{path}?jwt={token}", {"Cookie": f"jwt={token}", **bearer(token)})
    seen = gateway.upstream.last
    assert seen.target == f"{path}?jwt={token}"
    assert seen.headers.get("Authorization") == f"Bearer {token}"
    assert seen.headers.get("Cookie") == f"jwt={token}"


def test_hide_credentials(gateway: Gateway) -> None:
    path, token = gateway.route({"jwt-auth": {"hide_credentials": True}}), signed()
    gateway.ask(path, bearer(token))
    assert gateway.upstream.last.headers.get("Authorization") is None
    gateway.ask(f"{path}?a=1&jwt={token}")
    assert gateway.upstream.last.target == f"{path}?a=1"
    gateway.ask(path, {"Cookie": f"a=1; jwt={token}; b=2"})
    assert gateway.upstream.last.headers.get("Cookie") == "a=1; b=2"
    gateway.ask(path, {"Cookie": f"jwt={token}"})
    assert not gateway.upstream.last.headers.get("Cookie")


@pytest.mark.usefixtures("our_libraries")
def test_the_other_cookies_stay_as_they_are(gateway: Gateway, plugin_source: object) -> None:
    """APISIX drops what does not look like a word from the cookies that stay."""
    path, token = gateway.route({"jwt-auth": {"hide_credentials": True}}), signed()
    gateway.ask(path, {"Cookie": f'a="x y"; jwt={token}; b=c=='})
    kept = gateway.upstream.last.headers.get("Cookie")
    assert kept == ('a="x y"; b=c==' if plugin_source is None else "a=; b=c; =; =")


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"exp": 10}, 200),
        ({"exp": 0}, 401),
        ({"exp": -10}, 401),
        ({"nbf": -10}, 200),
        ({"nbf": 0}, 401),
        ({"nbf": 10}, 401),
        ({"nbf": -10, "exp": 10}, 200),
        ({"nbf": -10, "exp": -5}, 401),
    ],
)
def test_times_that_are_there_must_be_right(
    gateway: Gateway, claims: dict[str, int], status: int
) -> None:
    now = int(gateway.clock.now)
    token = signed(**{name: now + ahead for name, ahead in claims.items()})
    for conf in ({}, {"claims_to_verify": []}, {"claims_to_verify": [*claims]}):
        assert send(gateway, token, **conf).status == status


def test_what_the_log_says_of_times(gateway: Gateway) -> None:
    assert refused(send(gateway, signed(exp=1)), FAILED)
    expired = "'exp' claim expired at Thu, 01 Jan 1970 00:00:01 GMT"
    assert f"failed to verify jwt: {expired}" in gateway.log
    assert refused(send(gateway, signed(nbf=9999999999)), FAILED)
    assert "failed to verify jwt: 'nbf' claim not valid until Sat, 20 Nov 2286" in gateway.log


@pytest.mark.parametrize("value", ["tomorrow", "9999999999", True, [], None])
def test_a_time_that_is_none(gateway: Gateway, value: Any) -> None:
    assert refused(send(gateway, signed(exp=value)), FAILED)
    assert "failed to verify jwt: claim exp is not a number" in gateway.log


def test_claims_that_must_be_there(gateway: Gateway) -> None:
    later = int(gateway.clock.now) + 100
    both = {"claims_to_verify": ["exp", "nbf"]}
    assert refused(send(gateway, signed(exp=later), **both), FAILED)
    assert "failed to verify jwt: claim nbf is missing" in gateway.log
    assert send(gateway, signed(exp=later, nbf=1), **both).status == 200
    assert send(gateway, signed(), claims_to_verify=["exp"]).status == 401
    token = signed(exp=later, nbf=later)
    assert send(gateway, token, claims_to_verify=["exp"]).status == 200


def test_lifetime_grace_period(gateway: Gateway) -> None:
    gateway.put("consumers/grace", consumer("grace", secret="g", lifetime_grace_period=30))
    for ahead, status in ((-20, 200), (-31, 401)):
        exp = int(gateway.clock.now) + ahead
        assert (
            send(gateway, jose.token("HS256", b"g", {"key": "grace", "exp": exp})).status == status
        )
    nbf = int(gateway.clock.now) + 20
    assert send(gateway, jose.token("HS256", b"g", {"key": "grace", "nbf": nbf})).status == 200


def test_base64_secret(gateway: Gateway) -> None:
    raw = bytes(range(32))
    secret = base64.b64encode(raw).decode()
    gateway.put("consumers/b64", consumer("b64", secret=secret, base64_secret=True))
    assert send(gateway, jose.token("HS256", raw, {"key": "b64"})).status == 200
    assert send(gateway, jose.token("HS256", secret.encode(), {"key": "b64"})).status == 401


def test_store_in_ctx(gateway: Gateway) -> None:
    code = "return function(_, ctx) ngx.say((ctx.jwt_auth_payload or {}).name) ngx.exit(200) end"
    for store, body in ((True, "Ann\n"), (False, "nil\n")):
        plugins = {
            "jwt-auth": {"store_in_ctx": store},
            "serverless-pre-function": {"phase": "access", "functions": [code]},
        }
        answer = gateway.ask(gateway.route(plugins), bearer(signed(name="Ann")))
        assert answer.text == body


def test_realm(gateway: Gateway) -> None:
    answer = gateway.ask(gateway.route({"jwt-auth": {"realm": "my realm"}}))
    assert answer.headers.get("WWW-Authenticate") == 'Bearer realm="my realm"'


@pytest.mark.parametrize("headers", [{}, bearer("x"), bearer("a.b.c")])
def test_anonymous_consumer(gateway: Gateway, headers: dict[str, str]) -> None:
    path = gateway.route({"jwt-auth": {"anonymous_consumer": "anon"}})
    assert gateway.ask(path, headers).status == 200
    assert gateway.upstream.last.headers.get("X-Consumer-Username") == "anon"
    assert gateway.ask(path, bearer(signed())).status == 200
    assert gateway.upstream.last.headers.get("X-Consumer-Username") == "HS256"


def test_anonymous_consumer_that_is_not_there(gateway: Gateway) -> None:
    answer = gateway.ask(gateway.route({"jwt-auth": {"anonymous_consumer": "ghost"}}))
    assert refused(answer, "Invalid user authorization")
    message = "jwt-auth failed to authenticate the request, code: 401. error: "
    assert f"{message}failed to get anonymous consumer ghost" in gateway.log


def test_a_public_key_that_is_none(gateway: Gateway) -> None:
    gateway.put("consumers/broken", consumer("broken", algorithm="RS256", public_key="nothing"))
    token = jose.token("RS256", jose.key_for("RS256"), {"key": "broken"})
    assert refused(send(gateway, token), FAILED)


def test_a_key_of_another_kind(gateway: Gateway) -> None:
    mixed = consumer("mixed", algorithm="ES256", public_key=public_key("EdDSA"))
    gateway.put("consumers/mixed", mixed)
    for alg in ("ES256", "EdDSA"):
        key = jose.key_for(alg)
        token = jose.token(alg, key, {"key": "mixed"}, alg="ES256")
        assert refused(send(gateway, token), FAILED)


def test_a_longer_key_for_pss(gateway: Gateway, plugin_source: object) -> None:
    """APISIX takes signatures of RSA keys with 2048 bits alone; RFC 7518 asks for no less."""
    key = rsa.generate_private_key(65537, 3072)
    conf = consumer("long", algorithm="PS256", public_key=jose.public_pem(key))
    gateway.put("consumers/long", conf)
    answer = send(gateway, jose.token("PS256", key, {"key": "long"}))
    assert answer.status == (200 if plugin_source is None else 401)


def test_a_secret_from_the_environment(
    start_gateway: Callable[..., Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_SECRET", "from-env")
    monkeypatch.setenv("APP_PUBLIC", public_key("ES256"))
    gateway = start_gateway(plugins=["jwt-auth"])
    gateway.put("consumers/one", consumer("one", secret="$env://APP_SECRET"))
    two = consumer("two", algorithm="ES256", public_key="$env://APP_PUBLIC")
    gateway.put("consumers/two", two)
    assert send(gateway, jose.token("HS256", b"from-env", {"key": "one"})).status == 200
    assert send(gateway, jose.token("HS256", b"$env://APP_SECRET", {"key": "one"})).status == 401
    assert send(gateway, jose.token("ES256", jose.key_for("ES256"), {"key": "two"})).status == 200


def test_nobody_has_a_key(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(plugins=["jwt-auth"])
    assert refused(send(gateway, signed()), "Invalid user key in JWT token")
    assert "failed to find consumer: Missing related consumer" in gateway.log


@pytest.mark.parametrize(
    "conf",
    [
        {"header": 1},
        {"hide_credentials": "yes"},
        {"key_claim_name": ""},
        {"claims_to_verify": ["aud"]},
        {"claims_to_verify": ["exp", "exp"]},
        {"store_in_ctx": 1},
    ],
)
def test_configurations_of_a_route_that_are_refused(gateway: Gateway, conf: dict[str, Any]) -> None:
    (name,) = conf
    message = f'configuration of plugin jwt-auth err: property "{name}" validation failed'
    assert message in gateway.complaint({"jwt-auth": conf})


@pytest.mark.parametrize(
    ("conf", "reason"),
    [
        ({"secret": "s"}, 'property "key" is required'),
        ({"key": "", "secret": "s"}, 'property "key" validation failed'),
        ({"key": "k"}, 'property "secret" is required when using HS based algorithms'),
        ({"key": "k", "secret": "s", "algorithm": "XS"}, 'property "algorithm" validation failed'),
        ({"key": "k", "secret": "s", "exp": 0}, 'property "exp" validation failed'),
        (
            {"key": "k", "secret": "s", "lifetime_grace_period": -1},
            'property "lifetime_grace_period" validation failed',
        ),
        ({"key": "k", "algorithm": "RS256"}, "failed to validate dependent schema"),
        (
            {"key": "k", "secret": "no base64!", "base64_secret": True},
            "base64_secret required but the secret is not in base64 format",
        ),
    ],
)
def test_configurations_of_a_consumer_that_are_refused(
    gateway: Gateway, conf: dict[str, Any], reason: str
) -> None:
    log = gateway.refused("consumers/bad", {"username": "bad", "plugins": {"jwt-auth": conf}})
    assert f"failed to check the configuration of plugin jwt-auth err: {reason}" in log
