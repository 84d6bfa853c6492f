"""net.url: parsing, building, resolving."""

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]

PARTS = ("scheme", "userinfo", "user", "password", "host", "port", "path", "fragment")


@pytest.fixture
def url(lua: Any) -> None:
    lua.execute('url = require "net.url"')


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("http://example.com", {"scheme": "http", "host": "example.com", "path": ""}),
        (
            "HTTPS://User:pa.ss@EXAMPLE.com:8443/a/b?x=1#frag",
            {"scheme": "https", "userinfo": "User:pa.ss", "user": "User", "password": "pa.ss",
             "host": "example.com", "port": 8443, "path": "/a/b", "fragment": "frag"},
        ),
        ("http://10.0.0.1:80/", {"scheme": "http", "host": "10.0.0.1", "port": 80, "path": "/"}),
        ("http://[::1]:80/", {"scheme": "http", "host": "[::1]", "port": 80, "path": "/"}),
        ("http://[1:2:3:4:5:6:7:8]", {"scheme": "http", "host": "[1:2:3:4:5:6:7:8]", "path": ""}),
        ("//host/path", {"host": "host", "path": "/path"}),
        ("/only/path", {"path": "/only/path"}),
        ("relative", {"path": "relative"}),
        ("#/definitions/a", {"path": "", "fragment": "/definitions/a"}),
        ("mailto:John.Doe@example.com", {"scheme": "mailto", "path": "John.Doe@example.com"}),
        ("urn:a:b", {"scheme": "urn", "path": "a:b"}),
        ("", {"path": ""}),
        # hosts that are none
        ("http:// lua.org", {"scheme": "http", "path": ""}),
        ("http://127.260.30.1:80/t", {"scheme": "http", "port": 80, "path": "/t"}),
        ("http://[56FE::2159:5BBC::6594]:8080/t", {"scheme": "http", "port": 8080, "path": "/t"}),
        ("http://[1:2:3]/", {"scheme": "http", "path": "/"}),
        ("http://[12345::1]/", {"scheme": "http", "path": "/"}),
        ("http://under_score/", {"scheme": "http", "path": "/"}),
        ("http://.a/", {"scheme": "http", "path": "/"}),
        ("http://a..b/", {"scheme": "http", "path": "/"}),
        # userinfo that is none
        ("http://a b@host/", {"scheme": "http", "host": "host", "path": "/"}),
        ("http://:@host/", {"scheme": "http", "host": "host", "path": "/"}),
    ],
)  # fmt: skip
def test_parts(url: None, run_lua: Run, text: str, parts: dict[str, Any]) -> None:
    parsed = run_lua(f"return url.parse([==[{text}]==])")
    assert {part: parsed[part] for part in PARTS if parsed[part] is not None} == parts


def test_nothing_is_a_url_too(url: None, run_lua: Run) -> None:
    assert run_lua("return tostring(url.parse(nil))") == ""


@pytest.mark.parametrize(
    ("text", "built"),
    [
        ("http://example.com", "http://example.com"),
        ("http://example.com?q=foo", "http://example.com/?q=foo"),
        ("HTTP://EXAMPLE.COM:80/", "http://example.com/"),
        ("https://example.com:80/", "https://example.com:80/"),
        ("http://example.com:081/", "http://example.com:81/"),
        ("http://user:password@example.com/", "http://user:password@example.com/"),
        ("http://user@example.com/", "http://user@example.com/"),
        ("http://@example.com/", "http://example.com/"),
        ("http://example.com/%7Ejane", "http://example.com/~jane"),
        ("http://example.com/a/../b/./c", "http://example.com/a/../b/./c"),
        ("http://example.com/Link with a space/", "http://example.com/Link%20with%20a%20space/"),
        ("http://example.com/a%2fb/", "http://example.com/a%2Fb/"),
        ("http://example.com/?q=%5c%C3%87", "http://example.com/?q=%5C%C3%87"),
        ("http://example.com/a+b?c=d+e", "http://example.com/a%2Bb?c=d%20e"),
        ("http://example.com/?last=b&first=a", "http://example.com/?first=a&last=b"),
        ("//lua.org/path?query=1:2", "//lua.org/path?query=1:2"),
        ("/test", "/test"),
        ("foo/bar", "foo/bar"),
        ("news:comp.unix", "news:comp.unix"),
        ("http://h/#", "http://h/#"),
        ("telnet://192.0.2.16:80/", "telnet://192.0.2.16:80/"),
    ],
)
def test_building(url: None, run_lua: Run, text: str, built: str) -> None:
    assert run_lua(f"return url.parse('{text}'):build()") == built
    assert run_lua(f"return tostring(url.parse('{text}'))") == built
    assert run_lua(f"return '<' .. url.parse('{text}') .. '>'") == f"<{built}>"
    assert run_lua(f"return tostring(url.parse('{built}'))") == built


def test_parts_can_be_changed(url: None, run_lua: Run) -> None:
    run_lua("u = url.parse('http://example.com/?last=mansion')")
    run_lua("u.query.net = 'url 2nd try' u.scheme = 'gopher' u.fragment = 'lua'")
    assert run_lua("return tostring(u)") == (
        "gopher://example.com/?last=mansion&net=url%202nd%20try#lua"
    )
    run_lua("u.query.last, u.query.net = nil, nil")
    assert run_lua("return tostring(u)") == "gopher://example.com/#lua"
    assert run_lua("return tostring(u / 'a b' / '/c')") == "gopher://example.com/a%20b/c#lua"
    assert run_lua("return u:setQuery({b = 1, a = {2, 3}})") == "a[1]=2&a[2]=3&b=1"
    assert run_lua("return u.query.a[2]") == "3"
    assert run_lua("return u:setAuthority('me:pw@Host:81')") == "Host"
    assert run_lua("return u.user, u.password, u.host, u.port") == ("me", "pw", "host", 81)


def as_python(value: Any) -> Any:
    return {k: as_python(v) for k, v in value.items()} if hasattr(value, "items") else value


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a=1&b=2", {"a": "1", "b": "2"}),
        ("first&second=&third==x=y", {"first": "", "second": "", "third": "x=y"}),
        ("a=1&a=2", {"a": "1"}),
        ("a=%3c%3D++x", {"a": "<=  x"}),
        ("a=%a&b=%00", {"a": "%a", "b": "\0"}),
        ("a b=1&c.d=2", {"a_b": "1", "c.d": "2"}),
        ("a[]=1&a[]=2&a[9]=3", {"a": {1: "1", 2: "2", 9: "3"}}),
        ("a[x][]=1&a[x][]=2&a[y]=3", {"a": {"x": {1: "1", 2: "2"}, "y": "3"}}),
        ("a[-1]=1&a[1.1]=2", {"a": {-1: "1", "1.1": "2"}}),
        ("a=1&a[b]=2", {"a": {"b": "2"}}),
        ("a[b]=2&a=1", {"a": "1"}),
        ("a[b]=1&a[b][c]=2", {"a": {"b": "1"}}),
        ("arr[1=a&arr[4][2=b&arr]1=x&arr[4]2]=y", {"arr[1": "a", "arr": {4: "y"}, "arr]1": "x"}),
        ("&&a=1&&", {"a": "1"}),
        ("", {}),
    ],
)  # fmt: skip
def test_queries_are_parsed(url: None, run_lua: Run, text: str, values: dict[str, Any]) -> None:
    assert as_python(run_lua(f"return url.parseQuery('{text}')")) == values


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ("{b = 2, a = 1}", "a=1&b=2"),
        ("{a = {1, 2, x = {y = 'z'}}}", "a[1]=1&a[2]=2&a[x][y]=z"),
        ("{a = '', b = 'x y/ü?'}", "a&b=x%20y%2F%C3%BC%3F"),
        ("{['k k'] = true}", "k%20k=true"),
        ("{['2.a'] = 1, ['10.a'] = 2}", "2.a=1&10.a=2"),
        ("{}", ""),
    ],
)
def test_queries_are_built(url: None, lua: Any, values: str, text: str) -> None:
    assert lua.execute(f"return url.buildQuery({values})".encode()) == text


def test_query_options(url: None, run_lua: Run) -> None:
    run_lua("url.options.separator = ';'")
    assert run_lua("return tostring(url.parseQuery(';b=1;;a=2;'))") == "a=2;b=1"
    run_lua("url.options.separator = '&' url.options.cumulative_parameters = true")
    assert run_lua("return tostring(url.parseQuery('p=1&p=2&p=3&p[x]=4'))") == (
        "p=1&p=2&p=3&p[x]=4"
    )
    run_lua("url.options.query_plus_is_space = false url.options.legal_in_path['+'] = true")
    assert run_lua("return tostring(url.parse('http://h/a+b?c=d+e'))") == "http://h/a+b?c=d%2Be"
    assert run_lua("return tostring(url.parseQuery('a=1,b=2', ','))") == "a=1&b=2"


# RFC 3986, 5.4, but for what the library does with queries: "/" is encoded in them.
@pytest.mark.parametrize(
    ("reference", "target"),
    [
        ("g:h", "g:h"), ("g", "http://a/b/c/g"), ("./g", "http://a/b/c/g"),
        ("g/", "http://a/b/c/g/"), ("/g", "http://a/g"), ("//g", "http://g"),
        ("?y", "http://a/b/c/d;p?y"), ("g?y", "http://a/b/c/g?y"),
        ("#s", "http://a/b/c/d;p?q#s"), ("g#s", "http://a/b/c/g#s"),
        ("g?y#s", "http://a/b/c/g?y#s"), (";x", "http://a/b/c/;x"),
        ("g;x?y#s", "http://a/b/c/g;x?y#s"), ("", "http://a/b/c/d;p?q"),
        (".", "http://a/b/c/"), ("./", "http://a/b/c/"), ("..", "http://a/b/"),
        ("../", "http://a/b/"), ("../g", "http://a/b/g"), ("../..", "http://a/"),
        ("../../", "http://a/"), ("../../g", "http://a/g"), ("../../../g", "http://a/g"),
        ("/./g", "http://a/g"), ("/../g", "http://a/g"), ("g.", "http://a/b/c/g."),
        (".g", "http://a/b/c/.g"), ("/.g", "http://a/.g"), ("g..", "http://a/b/c/g.."),
        ("..g", "http://a/b/c/..g"), ("./../g", "http://a/b/g"), ("./g/.", "http://a/b/c/g/"),
        ("g/./h", "http://a/b/c/g/h"), ("g/../h", "http://a/b/c/h"),
        ("g;x=1/./y", "http://a/b/c/g;x=1/y"), ("g;x=1/../y", "http://a/b/c/y"),
        ("g?y/./x", "http://a/b/c/g?y%2F.%2Fx"), ("g#s/../x", "http://a/b/c/g#s/../x"),
    ],
)  # fmt: skip
def test_references_are_resolved(url: None, run_lua: Run, reference: str, target: str) -> None:
    base = "'http://a/b/c/d;p?q'"
    assert run_lua(f"return tostring(url.parse({base}):resolve('{reference}'))") == target
    assert run_lua(f"return tostring(url.resolve({base}, url.parse('{reference}')))") == target


@pytest.mark.parametrize(
    ("base", "reference", "target"),
    [
        ("http://h", "x", "http://h/x"),
        ("http://u:p@h:81/a", "b", "http://u:p@h:81/b"),
        ("schema.json", "#/definitions/a", "schema.json#/definitions/a"),
        ("a/b", "../../c", "c"),
        ("", "x/y", "x/y"),
    ],
)
def test_other_bases(url: None, run_lua: Run, base: str, reference: str, target: str) -> None:
    assert run_lua(f"return tostring(url.resolve('{base}', '{reference}'))") == target


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        ("/foo/bar/.", "/foo/bar/"), ("/foo/bar/..", "/foo/"), ("/foo/bar/../baz", "/foo/baz"),
        ("/foo/bar/../..", "/"), ("/foo/bar/../../../baz", "/baz"), ("/./foo", "/foo"),
        ("/foo.", "/foo."), ("/.foo", "/.foo"), ("/..foo", "/..foo"), ("/foo//", "/foo/"),
        ("/foo///bar//", "/foo/bar/"), ("foo/../test", "test"), ("/", "/"), ("", ""),
        ("http://example.com//a/b/c", "http://example.com/a/b/c"),
        ("http://h/foo/../foo#x", "http://h/foo#x"),
    ],
)  # fmt: skip
def test_normalizing(url: None, run_lua: Run, path: str, normal: str) -> None:
    assert run_lua(f"return tostring(url.parse('{path}'):normalize())") == normal
    assert run_lua(f"return tostring(url.normalize('{path}'))") == normal


@pytest.mark.parametrize(
    ("path", "clean"),
    [("", ""), ("/", "/"), ("/a/./b/../c/", "/a/c/"), ("a//b", "a/b"), ("/../a", "/a"),
     ("a/..", ""), ("/a/b/..", "/a"), ("..", "")],
)  # fmt: skip
def test_remove_dot_segments(url: None, run_lua: Run, path: str, clean: str) -> None:
    assert run_lua(f"return url.removeDotSegments('{path}')") == clean
