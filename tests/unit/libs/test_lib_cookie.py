"""resty.cookie: the Cookie header read, Set-Cookie written (RFC 6265)."""

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def request_with(lua: Any) -> Callable[[str | None], None]:
    """Pretend a request with this Cookie header; `c` is its cookie object."""

    def pretend(header: str | None) -> None:
        lua.globals().header = header.encode("latin-1") if header is not None else None
        lua.execute("""
            warnings = 0
            rawset(ngx, "var", {http_cookie = header})
            rawset(ngx, "header", {})
            rawset(ngx, "log", function() warnings = warnings + 1 end)
            c = require("resty.cookie"):new()
        """)

    return pretend


@pytest.mark.parametrize(
    ("header", "cookies"),
    [
        ("SID=31d4d96e407aad42; lang=en-US", {"SID": "31d4d96e407aad42", "lang": "en-US"}),
        ("a=1;b=2;c=3", {"a": "1", "b": "2", "c": "3"}),
        ("SID=", {"SID": ""}),
        ("a=; b=2", {"a": "", "b": "2"}),
        (" \tSID=foo\t", {"SID": "foo"}),
        ("a=b=c==; d=1", {"a": "b=c==", "d": "1"}),
        ('a="quoted"', {"a": '"quoted"'}),
        ("a=1; a=2", {"a": "2"}),
        ("a=hello world; b=2", {"a": "hello", "b": "2"}),
        ("a=1 b=2", {"a": "1", "b": "2"}),
        ("nameless; a=1; ; ;", {"a": "1"}),
        ("a=1 ; b=2", {"a": "1", "b": "2"}),
        ("a = 1; b\t=2", {"a": "1", "b": "2"}),
        ("a= ;b=2", {"a": "", "b": "2"}),
        ("a b=1", {"a b": "1"}),
        ("=x; a=1", {"": "x", "a": "1"}),
        ("nothing", {}),
        ("", {}),
    ],
)
def test_cookies_are_read(
    request_with: Any, run_lua: Run, header: str, cookies: dict[str, str]
) -> None:
    request_with(header)
    assert dict(run_lua("return c:get_all()")) == cookies
    for name, value in cookies.items():
        assert run_lua(f"return c:get([==[{name}]==])") == value
    assert run_lua("return c:get('absent')") is None


def test_all_values_of_a_repeated_name(request_with: Any, run_lua: Run) -> None:
    request_with("a=1; b=2; a=3")
    assert list(run_lua("return c:get_all_for('a')").values()) == ["1", "3"]
    assert run_lua("return c:get_all_for('absent')") is None


@pytest.mark.parametrize("call", ["get('a')", "get_all()", "get_all_for('a')"])
def test_without_a_cookie_header(request_with: Any, run_lua: Run, call: str) -> None:
    request_with(None)
    assert run_lua(f"return c:{call}") == (None, "no cookie found in the current request")


@pytest.mark.parametrize(("header", "size"), [(None, 0), ("", 0), ("a=1; b=2", 8)])
def test_cookie_size(request_with: Any, run_lua: Run, header: str | None, size: int) -> None:
    request_with(header)
    assert run_lua("return c:get_cookie_size()") == size


@pytest.mark.parametrize(
    ("header", "count"),
    [
        ("x" * 1_000_000, 0),
        ("a;" * 500_000, 0),
        ("a" + " " * 1_000_000, 0),
        ("a" + " " * 1_000_000 + "b=1", 1),
        ("a =" * 300_000, 2),
        ("a= " * 300_000, 1),
    ],
    ids=["no pair", "no values", "blanks", "blanks in a name", "equals", "empty values"],
)
def test_a_strange_header_is_read_in_one_pass(
    request_with: Any, run_lua: Run, header: str, count: int
) -> None:
    """A parser that goes back would take minutes for these."""
    request_with(header)
    assert len(dict(run_lua("return c:get_all()"))) == count


@pytest.mark.parametrize(
    ("cookie", "text"),
    [
        ("key = 'Name', value = 'Bob'", "Name=Bob"),
        (
            "key = 'Name', value = 'Bob', path = '/', domain = 'example.com', secure = true, "
            "httponly = true, expires = 'Wed, 09 Jun 2021 10:18:14 GMT', max_age = 50, "
            "samesite = 'Strict', partitioned = true, extension = 'a4334aebaec'",
            "Name=Bob; Expires=Wed, 09 Jun 2021 10:18:14 GMT; Max-Age=50; Domain=example.com; "
            "Path=/; Secure; HttpOnly; SameSite=Strict; Partitioned; a4334aebaec",
        ),
        ("key = 'a', value = 1, ['max-age'] = 0", "a=1; Max-Age=0"),
        ("key = 'a', value = '', samesite = 'None'", "a=; SameSite=None"),
    ],
)
def test_set_cookie_text(request_with: Any, run_lua: Run, cookie: str, text: str) -> None:
    request_with(None)
    assert run_lua(f"return require('resty.cookie').get_cookie_string({{{cookie}}})") == text
    assert run_lua(f"return c:set({{{cookie}}})") is True
    assert run_lua("return ngx.header['Set-Cookie']") == text
    assert run_lua("return warnings") == 0


def test_an_unknown_samesite_is_left_out_with_a_warning(request_with: Any, run_lua: Run) -> None:
    request_with(None)
    run_lua("cookie = {key = 'a', value = 'b', samesite = 'blah'} c:set(cookie)")
    assert run_lua("return ngx.header['Set-Cookie'], warnings, cookie.samesite") == (
        "a=b", 1, "blah",
    )  # fmt: skip


@pytest.mark.parametrize("cookie", ["{}", "{key = 'a'}", "{value = 'a'}"])
def test_key_and_value_are_needed(request_with: Any, run_lua: Run, cookie: str) -> None:
    request_with(None)
    assert run_lua(f"return c:set({cookie})") == (None, 'missing cookie field "key" or "value"')


def test_cookies_add_up_and_repetitions_do_not(request_with: Any, run_lua: Run) -> None:
    request_with(None)
    for name in ("a", "b", "a", "c", "b"):
        assert run_lua(f"return c:set({{key = '{name}', value = 1}})") is True
    assert list(run_lua("return ngx.header['Set-Cookie']").values()) == ["a=1", "b=1", "c=1"]
