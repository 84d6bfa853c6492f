"""Upstreams over TLS: the scheme of an upstream or a plugin, the name, client certificates."""

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gevent.ssl import SSLContext
from support.certificates import Authority, Certificate

from .conftest import Upstream


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def client(authority: Authority) -> Certificate:
    return authority.issue("client.test")


@pytest.fixture(scope="module")
def names() -> list[str | None]:
    """The names that clients have asked the upstream for."""
    return []


@pytest.fixture(scope="module")
def secure(authority: Authority, names: list[str | None]) -> Iterator[Upstream]:
    """An upstream over TLS."""
    context = authority.issue("upstream.test").server_context(SSLContext)
    context.sni_callback = lambda connection, name, context: names.append(name)
    upstream = Upstream(ssl_context=context)
    yield upstream
    upstream.server.stop(timeout=0)


@pytest.fixture(scope="module")
def strict(authority: Authority) -> Iterator[Upstream]:
    """An upstream over TLS that wants a client certificate of the authority."""
    context = authority.issue("upstream.test").server_context(SSLContext)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.path)
    upstream = Upstream(ssl_context=context)
    yield upstream
    upstream.server.stop(timeout=0)


@pytest.fixture(scope="module")
def gateway(
    module_start: Callable[..., Any],
    upstreams: list[Upstream],
    secure: Upstream,
    strict: Upstream,
    client: Certificate,
) -> Any:
    def route(uri: str, node: str, **more: Any) -> dict[str, Any]:
        return {"uri": uri, "upstream": {"type": "roundrobin", "nodes": {node: 1}, **more}}

    def named(uri: str, node: str, certificate: str) -> dict[str, Any]:
        return route(uri, node, scheme="https", tls={"client_cert_id": certificate})

    shown = {"client_cert": client.pem, "client_key": client.key_pem}
    pair = {"cert": client.pem, "key": client.key_pem}
    return module_start(
        {
            "routes/https": route("/https", secure.node, scheme="https"),
            "routes/plugin": {**route("/plugin", secure.node), "plugins": {"t-secure": {}}},
            "routes/named": route(
                "/named",
                secure.node,
                scheme="https",
                pass_host="rewrite",
                upstream_host="upstream.test",
            ),
            "routes/plain": route("/plain", upstreams[0].node, scheme="https"),
            "routes/client": route("/client", strict.node, scheme="https", tls=shown),
            "routes/stranger": route("/stranger", strict.node, scheme="https"),
            "ssls/client": {"type": "client", "cert": client.pem, "key": client.key_pem},
            "ssls/other": {**pair, "sni": "other.test"},
            "routes/id": named("/id", strict.node, "client"),
            "routes/none": named("/none", strict.node, "none"),
            "routes/other": named("/other", strict.node, "other"),
        }
    )


@pytest.mark.parametrize("path", ["/https", "/plugin", "/client", "/id"])
def test_an_https_upstream_answers(gateway: Any, path: str) -> None:
    assert gateway.ask(path).json["path"] == path


def test_the_host_is_the_name_that_is_asked_for(gateway: Any, names: list[str | None]) -> None:
    names.clear()
    gateway.ask("/named")
    gateway.ask("/https", host="a.test")
    gateway.ask("/https", host="b.test:8080")
    assert names == ["upstream.test", "a.test", "b.test"]


def test_a_client_certificate_is_shown_by_those_who_have_one(gateway: Any) -> None:
    assert gateway.ask("/client").status == 200
    assert gateway.ask("/stranger").status == 502


def test_an_upstream_without_tls_fails(gateway: Any) -> None:
    assert gateway.ask("/plain").status == 502
    assert "while SSL handshaking to upstream" in gateway.log()


@pytest.mark.parametrize(
    ("path", "reason"),
    [("/none", "ssl id [none] not exits"), ("/other", "ssl type should be 'client'")],
)
def test_a_certificate_that_is_none_of_clients(gateway: Any, path: str, reason: str) -> None:
    assert gateway.ask(path).status == 502
    assert f"failed to get ssl cert: {reason}" in gateway.log()


def test_a_client_certificate_may_be_changed_where_it_is_kept(
    gateway: Any, client: Certificate, tmp_path: Path
) -> None:
    assert gateway.ask("/id").status == 200
    stranger = Authority(tmp_path).issue("client.test")
    gateway.put("ssls/client", {"type": "client", "cert": stranger.pem, "key": stranger.key_pem})
    gateway.until(lambda: gateway.ask("/id").status == 502)
    gateway.put("ssls/client", {"type": "client", "cert": client.pem, "key": client.key_pem})
    gateway.until(lambda: gateway.ask("/id").status == 200)
