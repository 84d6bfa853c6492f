"""Servers that speak the wire formats of secret managers, over what a test puts into them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from gevent import pywsgi
from gevent.pool import Pool

Environ = dict[str, Any]
Reply = tuple[int, Any]


class Server:
    """Answers requests with JSON; `asked` counts them."""

    def __init__(self) -> None:
        self.asked = 0
        self._server = pywsgi.WSGIServer(
            ("127.0.0.1", 0), self._serve, log=None, error_log=None, spawn=Pool()
        )
        self._server.start()
        self.host = f"127.0.0.1:{self._server.server_port}"
        self.uri = f"http://{self.host}"

    def answer(self, environ: Environ, body: bytes) -> Reply:
        raise NotImplementedError

    def _serve(self, environ: Environ, start: Callable[..., Any]) -> list[bytes]:
        self.asked += 1
        status, reply = self.answer(environ, environ["wsgi.input"].read())
        start(f"{status} Status", [("Content-Type", "application/json")])
        return [reply if isinstance(reply, bytes) else json.dumps(reply).encode()]

    def stop(self) -> None:
        self._server.stop(timeout=0)


class Vault(Server):
    """Vault's HTTP API: `kv` is an engine of version 1 at /kv, `versioned` one of 2 at /secret.

    namespace: where both are. broken: what to answer instead.
    """

    TOKEN = "the-vault-token"

    def __init__(self) -> None:
        super().__init__()
        self.kv: dict[str, dict[str, Any]] = {}
        self.versioned: dict[str, dict[str, Any] | None] = {}
        self.namespace: str | None = None
        self.broken: Reply | None = None

    def answer(self, environ: Environ, body: bytes) -> Reply:
        if self.broken:
            return self.broken
        if environ.get("HTTP_X_VAULT_TOKEN") != self.TOKEN:
            return 403, {"errors": ["permission denied"]}
        if environ.get("HTTP_X_VAULT_NAMESPACE") != self.namespace:
            return 404, {"errors": ["no handler for route"]}
        path = environ["PATH_INFO"]
        if path.startswith("/v1/secret/data/"):
            return self._versioned(path.removeprefix("/v1/secret/data/"))
        found = self.kv.get(path.removeprefix("/v1/kv/"))
        return self._data(found) if found is not None else (404, {"errors": []})

    def _versioned(self, name: str) -> Reply:
        if name not in self.versioned:
            return 404, {"errors": []}
        found = self.versioned[name]
        metadata = {
            "version": 3,
            "destroyed": False,
            "deletion_time": "" if found else "2026-01-01",
        }
        status, reply = self._data({"data": found, "metadata": metadata})
        return (status if found is not None else 404), reply

    def _data(self, data: dict[str, Any]) -> Reply:
        wrapping = {"wrap_info": None, "warnings": None, "auth": None}
        return 200, {"request_id": "1", "lease_duration": 2764800, "data": data, **wrapping}


class SecretsManager(Server):
    """AWS Secrets Manager's GetSecretValue, to whoever signs with these credentials."""

    KEY_ID, KEY = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

    def __init__(self) -> None:
        super().__init__()
        self.secrets: dict[str, str] = {}
        self.session_token: str | None = None
        self.region = "us-east-1"

    def answer(self, environ: Environ, body: bytes) -> Reply:
        if environ.get("HTTP_X_AMZ_TARGET") != "secretsmanager.GetSecretValue":
            return 400, {"__type": "UnknownOperationException"}
        if environ.get("HTTP_X_AMZ_SECURITY_TOKEN") != self.session_token:
            return 400, {
                "__type": "UnrecognizedClientException",
                "message": "The token is invalid.",
            }
        if environ.get("HTTP_AUTHORIZATION") != self._authorization(environ, body):
            return 400, {"__type": "InvalidSignatureException"}
        asked = json.loads(body)
        assert asked["VersionStage"] == "AWSCURRENT"
        if asked["SecretId"] not in self.secrets:
            return 400, {"__type": "ResourceNotFoundException", "Message": "can't find it"}
        return 200, {"Name": asked["SecretId"], "SecretString": self.secrets[asked["SecretId"]]}

    def _authorization(self, environ: Environ, body: bytes) -> str:
        """What the client must say, by the documentation of Signature Version 4."""
        given = environ.get("HTTP_AUTHORIZATION", "")
        signed = given.partition("SignedHeaders=")[2].partition(",")[0]
        assert {"host", "x-amz-date"} <= set(signed.split(";"))
        lines = "".join(f"{name}:{_header(environ, name)}\n" for name in signed.split(";"))
        stamp = environ["HTTP_X_AMZ_DATE"]
        scope = f"{stamp[:8]}/{self.region}/secretsmanager/aws4_request"
        canonical = f"POST\n/\n\n{lines}\n{signed}\n{hashlib.sha256(body).hexdigest()}"
        hashed = hashlib.sha256(canonical.encode()).hexdigest()
        key = f"AWS4{self.KEY}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashed}"
        signature = hmac.new(key, to_sign.encode(), "sha256").hexdigest()
        return (
            f"AWS4-HMAC-SHA256 Credential={self.KEY_ID}/{scope}, "
            f"SignedHeaders={signed}, Signature={signature}"
        )


def _header(environ: Environ, name: str) -> str:
    if name == "content-type":
        return str(environ["CONTENT_TYPE"])
    return str(environ["HTTP_" + name.upper().replace("-", "_")])


@dataclass
class Account:
    """A service account, by its public key."""

    key: rsa.RSAPublicKey
    email: str = "robot@example.com"
    scope: str = "https://www.googleapis.com/auth/cloud-platform"
    tokens: list[str] = field(default_factory=list)


class GoogleCloud(Server):
    """Google's token endpoint (/token) and Secret Manager (/v1) for one project."""

    PROJECT = "the-project"

    def __init__(self, account: Account) -> None:
        super().__init__()
        self.account = account
        self.secrets: dict[str, str] = {}
        self.lifetime = 3600

    def answer(self, environ: Environ, body: bytes) -> Reply:
        if environ["PATH_INFO"] == "/token":
            return self._token(parse_qs(body.decode()))
        if environ.get("HTTP_AUTHORIZATION") not in [
            f"Bearer {t}" for t in self.account.tokens[-1:]
        ]:
            return 401, {"error": {"code": 401, "status": "UNAUTHENTICATED"}}
        prefix, suffix = f"/v1/projects/{self.PROJECT}/secrets/", "/versions/latest:access"
        name = environ["PATH_INFO"].removeprefix(prefix).removesuffix(suffix)
        if name not in self.secrets:
            return 404, {"error": {"code": 404, "status": "NOT_FOUND"}}
        return 200, {"payload": {"data": base64.b64encode(self.secrets[name].encode()).decode()}}

    def _token(self, form: dict[str, list[str]]) -> Reply:
        assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
        head, payload, signature = form["assertion"][0].split(".")
        self.account.key.verify(
            _decoded(signature), f"{head}.{payload}".encode(), padding.PKCS1v15(), hashes.SHA256()
        )
        assert json.loads(_decoded(head)) == {"alg": "RS256", "typ": "JWT"}
        claims = json.loads(_decoded(payload))
        assert claims["exp"] - claims["iat"] == 3600
        who = {"iss": self.account.email, "scope": self.account.scope, "aud": f"{self.uri}/token"}
        if not who.items() <= claims.items():
            return 400, {"error": "invalid_grant"}
        self.account.tokens.append(f"token-{len(self.account.tokens) + 1}")
        token = {"access_token": self.account.tokens[-1], "token_type": "Bearer"}
        return 200, {**token, "expires_in": self.lifetime}


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
