"""Strings, query strings, base64, digests and times give what they give in nginx."""

# ruff: noqa: SIM905 (long lists of things without spaces read better as text)

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

Agree = Callable[[Sequence[str]], None]

SEED = 20240229
TEXT_FUNCTIONS = """
    escape_uri unescape_uri encode_base64 md5 md5_bin sha1_bin crc32_short crc32_long quote_sql_str
    decode_args
""".split()
OTHER_FUNCTIONS = "decode_base64 encode_args http_time cookie_time parse_http_time".split()
ODD_ARGUMENTS = ["", "nil", "true", "false", "0", "12.5", "-1", "1e300", '""', "'\\0'", "' '"]

TABLES = """
    {}
    {a = 1}
    {a = 'b c&d'}
    {a = true}
    {a = false}
    {a = {}}
    {a = {1, 'x y'}}
    {a = {true, false, 1}}
    {a = {false}}
    {a = {false, 2}}
    {['a=b'] = 'c=d'}
    {[1] = 2}
    {a = ngx.null}
    {a = {{}}}
    {a = print}
    {a = 1.5}
    {a = 2^53}
    {[''] = 'x'}
    {a = ''}
    {a = {x = 1}}
    {}, {}
    1
""".strip().splitlines()

SECONDS = """
    0 1 59 86399 86400 951782399 951782400 951868799 951868800 1709164800 2145916799 2145916800
    4102444800 13569465600 253402300799 1.5 -1 -1e9
""".split()

DATES = """
    Sunday, 06-Nov-94 08:49:37 GMT
    Sun Nov  6 08:49:37 1994
    Sun Nov 16 08:49:37 1994
    Sun, 06 Nov 1994 08:49:37 GMT
    Sun,06 Nov 1994 08:49:37 GMT
    Sun,    06 Nov 1994 08:49:37 GMT
    06 Nov 1994 08:49:37 GMT
    Sun, 6 Nov 1994 08:49:37 GMT
    Sun, 06 Nov 1994 24:00:00 GMT
    Sun, 06 Nov 1994 23:60:00 GMT
    Sun, 06 Nov 1994 23:59:60 GMT
    Sun, 29 Feb 2000 00:00:00 GMT
    Sun, 29 Feb 1900 00:00:00 GMT
    Sun, 29 Feb 2001 00:00:00 GMT
    Sun, 31 Apr 2001 00:00:00 GMT
    Sun, 32 Jan 2001 00:00:00 GMT
    Sun, 00 Jan 2001 00:00:00 GMT
    Sun, 06 Nov 1994 08:49:37
    Sun, 06 Nov 1994 08:49:37 trailing
    Sun, 06 Xyz 1994 08:49:37 GMT
    Sun, 06 Mxr 1994 08:49:37 GMT
    Sun, 06-Nov-69 08:49:37 GMT
    Sun, 06-Nov-70 08:49:37 GMT
    Sun, 06-Nov-1994 08:49:37 GMT
    Sun, 06 Nov 94 08:49:37 GMT
    Sun, 06 Jan 1970 00:00:00 GMT
    Sun, 06 Jan 1969 00:00:00 GMT
    Sun, 06 Jan 0001 00:00:00 GMT
    Sun, ab Jan 2001 00:00:00 GMT
    Sun, 06 Jan 20x1 00:00:00 GMT
    Sun, 06 Jan 2001 0x:00:00 GMT
    Sun, 06 Jan 2001 00-00-00 GMT
    Sun, 06/Jan/2001 00:00:00 GMT
    now
    Sun,
    Thu Jan  1 00:00:00 1970
    Thu Feb 29 00:00:00 2004
    Thu Feb 30 00:00:00 2004
    Thu Jan 1 00:00:00 1970 and more
    Thu Jan 1 00:00:00 197
    Thu Jan  1 00:00:00 x970
    Thu  Jan  1 00:00:00 1970
    Thu Jan   1 00:00:00 1970
""".strip().splitlines()


def lua_string(data: bytes) -> str:
    return '"' + "".join(f"\\{byte:03d}" for byte in data) + '"'


def random_bytes(count: int, alphabet: bytes = bytes(range(256)), longest: int = 70) -> list[str]:
    rng = random.Random(SEED)
    return [
        lua_string(bytes(rng.choices(alphabet, k=rng.randrange(longest)))) for _ in range(count)
    ]


@pytest.mark.parametrize("function", [*TEXT_FUNCTIONS, *OTHER_FUNCTIONS])
def test_odd_arguments_are_taken_or_refused_alike(agree: Agree, function: str) -> None:
    agree([f"ngx.{function}({argument})" for argument in ODD_ARGUMENTS])


@pytest.mark.parametrize("function", TEXT_FUNCTIONS)
def test_any_bytes(agree: Agree, function: str) -> None:
    agree([f"ngx.{function}({text})" for text in random_bytes(200)])


@pytest.mark.parametrize("kind", "0 1 2 3 4 5 6 2.5 -1 7 '2' nil".split())
def test_every_byte_is_escaped_alike_by_every_type(agree: Agree, kind: str) -> None:
    agree([f"ngx.escape_uri({lua_string(bytes([byte]))}, {kind})" for byte in range(256)])


def test_unescaping(agree: Agree) -> None:
    texts = random_bytes(400, alphabet=b"%%%%+aAfFgG0912 ?&=")
    agree([f"ngx.unescape_uri({text})" for text in texts])


def test_query_strings_are_read_alike(agree: Agree) -> None:
    texts = random_bytes(400, alphabet=b"&&&==ab%20+", longest=30)
    agree([f"ngx.decode_args({text})" for text in texts])
    agree([f"ngx.decode_args({text}, {n % 5})" for n, text in enumerate(texts)])
    agree([f"ngx.decode_args({text}, -1)" for text in texts[:20]])


# ngx.req.get_uri_args reads by the same rules as decode_args, but counts differently.
@pytest.mark.parametrize("limit", ["nil", "0", "1", "2", "3", "-1"])
def test_the_query_of_the_request_is_read_alike(
    oracle: Any, ours: Callable[[Sequence[str]], list[str]], limit: str
) -> None:
    our_way = "function(s, max) return require('ngx.api.querystring').decode_uri_args(s, max) end"
    their_way = "function(s, max) ngx.req.set_uri_args(s) return ngx.req.get_uri_args(max) end"
    texts = random_bytes(200, alphabet=b"&&&==ab%2", longest=16)
    answers = ours([f"({our_way})({text}, {limit} or 100)" for text in texts])
    assert answers == oracle.answers([f"({their_way})({text}, {limit})" for text in texts])


def test_query_strings_are_cut_at_the_limit(agree: Agree) -> None:
    agree([f"ngx.decode_args(('a=1&'):rep({n}))" for n in (99, 100, 101, 150)])
    agree([f"ngx.decode_args(('a=1&'):rep({n}) .. 'b')" for n in (98, 99, 100, 150)])
    agree(["ngx.decode_args(('a=1&'):rep(150), 0)", "ngx.decode_args('a&b', '1')"])


@pytest.mark.parametrize(
    "arguments", ["'a', nil", "'a', {}", "'a', 'x'", "'a', 1, 2", "nil, 1", "{}"]
)
def test_bad_arguments_of_decode_args(agree: Agree, arguments: str) -> None:
    agree([f"ngx.decode_args({arguments})"])


@pytest.mark.parametrize("table", TABLES)
def test_query_strings_are_written_alike(agree: Agree, table: str) -> None:
    agree([f"ngx.encode_args({table})"])


def test_base64_of_every_length(agree: Agree) -> None:
    texts = random_bytes(200)
    agree([f"ngx.encode_base64({text}, true)" for text in texts])
    agree([f"ngx.decode_base64(ngx.encode_base64({text}))" for text in texts])
    agree([f"ngx.encode_base64('a', {flag})" for flag in ("nil", "false", "true", "1", "'x'")])


def test_malformed_base64(agree: Agree) -> None:
    texts = random_bytes(400, alphabet=b"AZaz09+/-_==\r\n ", longest=12)
    texts += random_bytes(200, alphabet=b"AZaz09+/", longest=12)
    agree([f"ngx.decode_base64({text})" for text in texts])


def test_base64url(agree: Agree) -> None:
    texts = random_bytes(300, alphabet=b"AZaz09-_=+/ ", longest=12) + random_bytes(100)
    agree([f"require('ngx.base64').decode_base64url({text})" for text in texts])
    agree([f"require('ngx.base64').encode_base64url({text})" for text in [*texts, "1", "nil"]])


@pytest.mark.parametrize(
    "arguments",
    [
        *["'k', 's'", "'', ''", "1, 2", "('k'):rep(200), ('s'):rep(1000)", "'\\0', '\\255'"],
        *["'k'", "nil, 's'", "'k', nil", "'k', {}", "'k', 's', 't'"],
    ],
)
def test_hmac_sha1(agree: Agree, arguments: str) -> None:
    agree([f"ngx.hmac_sha1({arguments})"])


@pytest.mark.parametrize("function", ["http_time", "cookie_time"])
def test_dates_are_written_alike(agree: Agree, function: str) -> None:
    rng = random.Random(SEED)
    seconds = [*SECONDS, *(rng.randrange(253402300799) for _ in range(300))]
    agree([f"ngx.{function}({second})" for second in seconds])


@pytest.mark.parametrize("text", ["", " ", *(date.strip() for date in DATES)])
def test_dates_are_read_alike(agree: Agree, text: str) -> None:
    agree([f"ngx.parse_http_time({text!r})"])


def test_constants(agree: Agree) -> None:
    names = "OK ERROR AGAIN DONE DECLINED null STDERR EMERG ALERT CRIT ERR WARN NOTICE INFO DEBUG"
    agree([f"ngx.{name}" for name in names.split()])
    collect = "for k, v in pairs(ngx) do if tostring(k):find('^HTTP_') then t[k] = v end end"
    agree([f"(function() local t = {{}} {collect} return t end)()"])
    agree(["type(ngx.null)", "ngx.null == nil"])
