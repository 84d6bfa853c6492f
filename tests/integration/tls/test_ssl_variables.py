"""nginx's $ssl_ variables."""

import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from support.certificates import Authority

APP = """return { content = function()
    ngx.req.read_body()
    for name in ngx.req.get_body_data():gmatch("%S+") do
        local value = ngx.var[name]
        ngx.say(name, "=", value == nil and "nil" or ngx.escape_uri(value))
    end
end }"""

CONNECTION = ["ssl_protocol", "ssl_cipher", "ssl_curve", "ssl_session_reused", "ssl_server_name"]
CLIENT = ["cert", "raw_cert", "escaped_cert", "s_dn", "i_dn", "s_dn_legacy", "i_dn_legacy"]
CLIENT += ["serial", "fingerprint", "verify", "v_start", "v_end", "v_remain"]
NAMES = [*CONNECTION, *[f"ssl_client_{name}" for name in CLIENT]]
NAMES += ["ssl_ciphers", "ssl_curves", "ssl_session_id", "ssl_early_data", "ssl_alpn_protocol"]
NAMES += ["scheme", "https"]


def read(client: Any, names: list[str]) -> dict[str, str | None]:
    text = client.ask(method="POST", body=" ".join(names).encode()).text
    pairs = [line.split("=", 1) for line in text.splitlines()]
    return {name: None if value == "nil" else unquote(value) for name, value in pairs}


def test_without_tls_there_are_none(app_server: Callable[..., Any]) -> None:
    with app_server(APP).connect() as client:
        found = read(client, NAMES)
    assert {name for name, value in found.items() if value is not None} == {"scheme", "https"}
    assert (found["scheme"], found["https"]) == ("http", "")


def test_what_was_agreed_on(tls_server: Callable[..., Any], authority: Authority) -> None:
    context = authority.client_context("http/1.1")
    with tls_server(APP).connect(context=context) as client:
        found = read(client, NAMES)
        assert isinstance(client.socket, ssl.SSLSocket)
        cipher = client.socket.cipher()
    assert cipher
    assert found["ssl_protocol"] == "TLSv1.3"
    assert found["ssl_cipher"] == cipher[0]
    assert found["ssl_curve"] == "X25519"
    assert found["ssl_session_reused"] == "."
    assert found["ssl_server_name"] == "peer.test"
    assert found["ssl_alpn_protocol"] == "http/1.1"
    assert found["ssl_early_data"] is None
    assert found["ssl_client_verify"] == "NONE"
    assert found["ssl_client_s_dn"] is None
    assert (found["scheme"], found["https"]) == ("https", "on")
    assert (found["ssl_ciphers"] or "").startswith("TLS_AES_256_GCM_SHA384:")
    assert (found["ssl_curves"] or "").startswith("X25519:prime256v1:")


def test_an_old_session_is_told(tls_server: Callable[..., Any], authority: Authority) -> None:
    server = tls_server(APP, ssl_session_cache="builtin", ssl_session_tickets=False)
    context = authority.client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with server.connect(context=context) as client:
        first = read(client, ["ssl_session_id", "ssl_session_reused"])
        assert isinstance(client.socket, ssl.SSLSocket)
        session = client.socket.session
    with server.connect(context=context, session=session) as client:
        second = read(client, ["ssl_session_id", "ssl_session_reused"])
    assert session
    assert first == {"ssl_session_id": session.id.hex(), "ssl_session_reused": "."}
    assert second == {"ssl_session_id": session.id.hex(), "ssl_session_reused": "r"}


def by_openssl(openssl: str, path: Path, *options: str) -> str:
    done = subprocess.run(
        [openssl, "x509", "-in", str(path), "-noout", *options],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip().split("=", 1)[1]


def test_the_client_s_certificate(
    tls_server: Callable[..., Any], authority: Authority, openssl: str
) -> None:
    shown = authority.issue("client.test", common="client, a \u00fc")
    context = authority.client_context()
    context.load_cert_chain(shown.path, shown.key_path)
    server = tls_server(APP, ssl_verify_client="on", ssl_client_certificate=str(authority.path))
    with server.connect(context=context) as client:
        found = read(client, NAMES)
    path = shown.path
    fingerprint = by_openssl(openssl, path, "-fingerprint", "-sha1").replace(":", "").lower()
    assert found["ssl_client_verify"] == "SUCCESS"
    assert found["ssl_client_raw_cert"] == shown.pem
    assert found["ssl_client_cert"] == shown.pem.rstrip("\n").replace("\n", "\n\t")
    assert unquote(found["ssl_client_escaped_cert"] or "") == shown.pem
    assert found["ssl_client_s_dn"] == by_openssl(openssl, path, "-subject", "-nameopt", "RFC2253")
    assert found["ssl_client_i_dn"] == "CN=test authority"
    assert found["ssl_client_i_dn_legacy"] == "/CN=test authority"
    assert (found["ssl_client_s_dn_legacy"] or "").startswith("/CN=client, a ")
    assert found["ssl_client_serial"] == by_openssl(openssl, path, "-serial")
    assert found["ssl_client_fingerprint"] == fingerprint
    assert found["ssl_client_v_start"] == by_openssl(openssl, path, "-startdate")
    assert found["ssl_client_v_end"] == by_openssl(openssl, path, "-enddate")
    assert found["ssl_client_v_remain"] in ("28", "29")


def test_an_unknown_client_is_told(
    tls_server: Callable[..., Any], authority: Authority, tmp_path: Path
) -> None:
    shown = Authority(tmp_path, "stranger").issue("client.test")
    context = authority.client_context()
    context.load_cert_chain(shown.path, shown.key_path)
    server = tls_server(
        APP, ssl_verify_client="optional_no_ca", ssl_client_certificate=str(authority.path)
    )
    with server.connect(context=context) as client:
        found = read(client, ["ssl_client_verify"])
    assert found["ssl_client_verify"] == "FAILED:unable to verify the first certificate"
