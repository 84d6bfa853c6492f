"""Stapling: ngx.ocsp asks a responder's questions and judges its answers; clients get them."""

import datetime
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from support.app_server import PATIENCE
from support.certificates import Authority, Certificate

DER = serialization.Encoding.DER
NOW = datetime.datetime.now(datetime.timezone.utc)
HOUR = datetime.timedelta(hours=1)

APP = """
local ocsp = require "ngx.ocsp"
local function unhex(s)
    return (s:gsub("..", function(h) return string.char(tonumber(h, 16)) end))
end
local function hex(s) return (s:gsub(".", function(c) return ("%%02x"):format(c:byte()) end)) end
local chain, other = unhex("%s"), unhex("%s")
return {
    ssl_certificate = function() %s end,
    content = function() ngx.req.read_body() local body = ngx.req.get_body_data() %s end,
}"""


@pytest.fixture(scope="module")
def leaf(authority: Authority) -> Certificate:
    return authority.issue("peer.test", ocsp="http://127.0.0.1:8888/ocsp?test=1")


def chain(*certificates: x509.Certificate) -> str:
    return b"".join(each.public_bytes(DER) for each in certificates).hex()


def app(authority: Authority, leaf: Certificate, content: str, phase: str = "") -> str:
    plain = authority.issue("plain.test")
    return APP % (
        chain(leaf.x509, authority.x509),
        chain(plain.x509, authority.x509),
        phase,
        content,
    )


def answer(
    authority: Authority,
    leaf: Certificate,
    *,
    signer: Authority | None = None,
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
    until: datetime.datetime | None = NOW + HOUR,
    since: datetime.datetime = NOW - HOUR,
) -> bytes:
    signer = signer or authority
    revoked = status is ocsp.OCSPCertStatus.REVOKED
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=leaf.x509,
        issuer=authority.x509,
        algorithm=hashes.SHA1(),
        cert_status=status,
        this_update=since,
        next_update=until,
        revocation_time=NOW - HOUR if revoked else None,
        revocation_reason=x509.ReasonFlags.unspecified if revoked else None,
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.NAME, signer.x509)
    return builder.sign(signer.key, hashes.SHA256()).public_bytes(DER)


def test_the_responder_is_named(
    app_server: Callable[..., Any], authority: Authority, leaf: Certificate
) -> None:
    content = """
        ngx.say(ocsp.get_ocsp_responder_from_der_chain(chain))
        ngx.say(table.concat({ ocsp.get_ocsp_responder_from_der_chain(chain, 6) }, " "))
        local url, err = ocsp.get_ocsp_responder_from_der_chain(other)
        ngx.say(url, " ", err)
        ngx.say(select(2, ocsp.get_ocsp_responder_from_der_chain("")))
        ngx.say(select(2, ocsp.get_ocsp_responder_from_der_chain(chain:sub(1, #chain / 2))))
    """
    assert app_server(app(authority, leaf, content)).ask().text.splitlines() == [
        "http://127.0.0.1:8888/ocsp?test=1",
        "http:/ truncated",
        "nil nil",
        "d2i_X509_bio() failed",
        "d2i_X509_bio() failed",
    ]


def test_the_question_is_one(
    app_server: Callable[..., Any], authority: Authority, leaf: Certificate
) -> None:
    content = """
        ngx.say(hex(ocsp.create_ocsp_request(chain)))
        ngx.say(select(2, ocsp.create_ocsp_request(chain, 10)))
        ngx.say(select(2, ocsp.create_ocsp_request("x")))
    """
    lines = app_server(app(authority, leaf, content)).ask().text.splitlines()
    asked = ocsp.load_der_ocsp_request(bytes.fromhex(lines[0]))
    assert asked.serial_number == leaf.x509.serial_number
    assert lines[1].startswith("output buffer too small: ")
    assert lines[2] == "d2i_X509_bio() failed"


def test_answers_are_judged(
    app_server: Callable[..., Any],
    authority: Authority,
    leaf: Certificate,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    content = """
        local ok, err = ocsp.validate_ocsp_response(body, chain)
        ngx.say(ok, " ", err)
    """
    server = app_server(app(authority, leaf, content))

    def judged(body: bytes) -> str:
        with server.connect() as client:
            return str(client.ask(method="POST", body=body).text.rstrip("\n"))

    until = NOW + HOUR
    assert judged(answer(authority, leaf)) == f"true {int(until.timestamp())}"
    assert judged(answer(authority, leaf, until=None)) == "true nil"
    assert judged(answer(authority, leaf, status=ocsp.OCSPCertStatus.REVOKED)) == (
        'nil certificate status "revoked" in the OCSP response'
    )
    stranger = Authority(tmp_path_factory.mktemp("other"), "another")
    assert judged(answer(authority, leaf, signer=stranger)) == "nil OCSP_basic_verify() failed"
    old = answer(authority, leaf, since=NOW - 3 * HOUR, until=NOW - 2 * HOUR)
    assert judged(old) == "nil OCSP_check_validity() failed"
    assert judged(answer(authority, authority.issue("else.test"))) == (
        "nil certificate status not found in the OCSP response"
    )
    assert judged(b"x") == "nil d2i_OCSP_RESPONSE() failed"
    later = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
    assert judged(later.public_bytes(DER)) == ("nil OCSP response not successful (3: trylater)")


def test_a_client_that_asks_gets_the_answer(
    tls_server: Callable[..., Any], authority: Authority, leaf: Certificate, openssl: str
) -> None:
    stapled = answer(authority, leaf).hex()
    phase = f"""
        local ok, err = ocsp.set_ocsp_status_resp(unhex("{stapled}"))
        ngx.log(ngx.ERR, "stapled: ", ok, " ", err)"""
    server = tls_server(
        app(authority, leaf, "", phase),
        ssl_certificate=str(leaf.path),
        ssl_certificate_key=str(leaf.key_path),
    )

    def ask(*options: str) -> str:
        done = subprocess.run(
            [openssl, "s_client", "-connect", f"127.0.0.1:{server.app.port}", *options],
            input=b"",
            capture_output=True,
            timeout=PATIENCE,
            check=True,
        )
        return done.stdout.decode()

    assert "OCSP Response Status: successful (0x0)" in ask("-status")
    server.log.wait_for("stapled: true nil")
    assert "OCSP Response" not in ask()
    server.log.wait_for("stapled: true no status req")


def test_without_tls_there_is_nothing_to_staple(
    app_server: Callable[..., Any], authority: Authority, leaf: Certificate
) -> None:
    server = app_server(app(authority, leaf, "ngx.say(select(2, ocsp.set_ocsp_status_resp('x')))"))
    assert server.ask().text == "bad request\n"
