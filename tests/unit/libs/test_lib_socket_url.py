"""socket.url: URLs taken apart, put together, resolved."""

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        (
            "http://user:pass@a.test:8080/p/q;x=1?c=d#e",
            {
                "scheme": "http",
                "authority": "user:pass@a.test:8080",
                "userinfo": "user:pass",
                "user": "user",
                "password": "pass",
                "host": "a.test",
                "port": "8080",
                "path": "/p/q",
                "params": "x=1",
                "query": "c=d",
                "fragment": "e",
            },
        ),
        (
            "https://[::1]:81",
            {"scheme": "https", "authority": "[::1]:81", "host": "::1", "port": "81"},
        ),
        ("//a.test?x", {"authority": "a.test", "host": "a.test", "query": "x"}),
        ("me@a.test", {"path": "me@a.test"}),
        (
            "ftp://me@a",
            {"scheme": "ftp", "authority": "me@a", "userinfo": "me", "user": "me", "host": "a"},
        ),
        ("/only/path?", {"path": "/only/path", "query": ""}),
    ],
)
def test_parts(run_lua: Run, url: str, parts: dict[str, str]) -> None:
    assert dict(run_lua('return require("socket.url").parse(...)', url)) == parts
    assert run_lua('local u = require "socket.url" return u.build(u.parse(...))', url) == url


def test_defaults_and_nothing(run_lua: Run) -> None:
    code = """
        local url = require "socket.url"
        local parsed = url.parse("a.test/b", { scheme = "http", path = "/" })
        return parsed.scheme, parsed.path, url.parse(""), url.parse(nil)
    """
    assert run_lua(code) == ("http", "a.test/b", None, None, "invalid url")


#: RFC 3986, section 5.4, as far as RFC 2396 says the same
@pytest.mark.parametrize(
    ("relative", "absolute"),
    [
        ("g:h", "g:h"),
        ("g", "http://a/b/c/g"),
        ("./g", "http://a/b/c/g"),
        ("g/", "http://a/b/c/g/"),
        ("/g", "http://a/g"),
        ("//g", "http://g"),
        ("g?y", "http://a/b/c/g?y"),
        ("#s", "http://a/b/c/d;p?q#s"),
        ("g#s", "http://a/b/c/g#s"),
        (";x", "http://a/b/c/d;x"),
        ("", "http://a/b/c/d;p?q"),
        (".", "http://a/b/c/"),
        ("./", "http://a/b/c/"),
        ("..", "http://a/b/"),
        ("../g", "http://a/b/g"),
        ("../..", "http://a/"),
        ("../../g", "http://a/g"),
        ("g/./h", "http://a/b/c/g/h"),
        ("g/../h", "http://a/b/c/h"),
        ("http://other/", "http://other/"),
    ],
)
def test_resolving(run_lua: Run, relative: str, absolute: str) -> None:
    code = 'return require("socket.url").absolute("http://a/b/c/d;p?q", ...)'
    assert run_lua(code, relative) == absolute


def test_encodings_and_paths(run_lua: Run) -> None:
    code = """
        local url = require "socket.url"
        local path = url.parse_path("/a%20b/c/")
        return url.escape("a b/%"), url.unescape("a%20b%2f"), #path, path[1], path.is_absolute,
            path.is_directory, url.build_path(path), url.build_path(path, true)
    """
    assert run_lua(code) == ("a%20b%2f%25", "a b/", 2, "a b", 1, 1, "/a%20b/c/", "/a b/c/")
