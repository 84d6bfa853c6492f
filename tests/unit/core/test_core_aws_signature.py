"""The signing of requests to AWS, against the published test suite."""

from collections.abc import Callable
from typing import Any

Run = Callable[..., Any]

# "post-vanilla" of the published test suite of Signature Version 4
SCOPE = "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request"
CODE = """
    local token = ...
    local headers = { ["Host"] = "example.amazonaws.com" }
    require("apisix.secret.aws.signature").sign(headers, "", {
        access_key_id = "AKIDEXAMPLE",
        secret_access_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        session_token = token,
    }, "us-east-1", "service", 1440938160)
    return headers["X-Amz-Date"], headers["Authorization"], headers["X-Amz-Security-Token"]
"""


def test_a_request_of_the_test_suite(run_lua: Run) -> None:
    date, authorization, token = run_lua(CODE, None)
    assert date == "20150830T123600Z"
    assert token is None
    assert authorization == (
        f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=host;x-amz-date, "
        "Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
    )


def test_the_token_of_a_session_is_signed_too(run_lua: Run) -> None:
    _, authorization, token = run_lua(CODE, "a token")
    assert token == "a token"
    assert "SignedHeaders=host;x-amz-date;x-amz-security-token, " in authorization
