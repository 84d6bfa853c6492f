"""apisix.core.utils: the parts that need no request."""

import re
import urllib.parse
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

Run = Callable[..., Any]


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1", "127.0.0.1", None),
        ("127.0.0.1:90", "127.0.0.1", 90),
        ("www.test.com", "www.test.com", None),
        ("www.test.com:90", "www.test.com", 90),
        ("localhost", "localhost", None),
        ("localhost:90", "localhost", 90),
        ("[127.0.0.1:90", "[127.0.0.1:90", None),
        ("[::1]", "[::1]", None),
        ("[::1]:1234", "[::1]", 1234),
        ("[::1234:1234]:12345", "[::1234:1234]", 12345),
        ("::1", "::1", None),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1", None),
        ("host:", "host:", None),
        ("host:x", "host", None),
    ],
)
def test_parse_addr(run_lua: Run, text: str, host: str, port: int | None) -> None:
    code = 'return require("apisix.core.utils.address").parse_addr(...)'
    assert run_lua(code, text) == (host, port)


@pytest.mark.parametrize(
    ("template", "text", "resolved"),
    [
        ("", "", 0),
        ("xx", "xx", 0),
        ("$me", "David", 1),
        ("$me run", "David run", 1),
        ("talk with $me", "talk with David", 1),
        ("$you and $me", "John and David", 2),
        ("$eva and $me", " and David", 1),
        (r"$you and \$me", r"John and \$me", 1),
        ("${you}_${me}", "John_David", 2),
        ("${you}$me", "JohnDavid", 2),
        ("${you??}$me", "JohnDavid", 2),
        ("${you??Rose}$me", "JohnDavid", 2),
        ("${she??Rose}$me", "RoseDavid", 2),
        ("${she ?? Rose}$me", "RoseDavid", 2),
        ("${ she   ??   Rose }$me", "RoseDavid", 2),
        ("${you ?? Rose}$he??Jack", "John??Jack", 1),
        ("${you", "${you", 0),
        ("${}", "${}", 0),
        ("$", "$", 0),
        ("a$ b", "a$ b", 0),
        ("$$me", "$David", 1),
        ("$a.b/$n", "dotted/7", 2),
        ("$me$me$me", "DavidDavidDavid", 3),
    ],
)
def test_resolve_var(run_lua: Run, template: str, text: str, resolved: int) -> None:
    code = """
        local vars = {you = "John", me = "David", n = 7, ["a.b"] = "dotted"}
        local resolve_var = require("apisix.core.utils.template").resolve_var
        resolve_var((...), {})
        return resolve_var((...), vars)
    """
    assert run_lua(code, template) == (text, None, resolved)


def test_resolve_var_escapes_values_only(run_lua: Run) -> None:
    code = """
        local resolve_var = require("apisix.core.utils.template").resolve_var
        return resolve_var("<$a>", {a = "<"}, function(text) return text == "<" and "&lt;" end),
               resolve_var(nil, {})
    """
    assert run_lua(code) == ("<&lt;>", None, None, 0)


def test_templates_made_on_the_fly_are_not_kept_for_ever(run_lua: Run) -> None:
    code = """
        local resolve_var = require("apisix.core.utils.template").resolve_var
        local function use(from)
            for i = from, from + 20000 do resolve_var("$a" .. i, {}) end
            collectgarbage() collectgarbage()
            return collectgarbage("count")
        end
        use(0)
        local before = use(100000)
        return use(200000) - before
    """
    assert run_lua(code) < 1000  # KiB


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("/$1/${2}", "/a/b"),
        ("/$3", "/"),
        ("$1$2x", "abx"),
        (r"\$1", r"\$1"),
        ("$12", ""),
        ("none", "none"),
        ("$a", "$a"),
    ],
)
def test_resolve_var_with_captures(run_lua: Run, template: str, text: str) -> None:
    code = """
        local resolve = require("apisix.core.utils.template").resolve_var_with_captures
        return (resolve((...), {"a", "b"}))
    """
    assert run_lua(code, template) == text


def test_uri_safe_encode_escapes_what_nginx_escapes(run_lua: Run) -> None:
    code = 'return require("apisix.core.utils.escape").uri_safe_encode(...)'
    everything = bytes(range(256))
    unsafe = set(range(33)) | set(range(127, 256)) | set(b'"#%<>?\\^`{|}')
    expected = "".join(f"%{b:02X}" if b in unsafe else chr(b) for b in everything)
    assert run_lua(code, everything) == expected
    assert urllib.parse.unquote_to_bytes(run_lua(code, everything)) == everything
    assert run_lua(code, "/a/b-c_d.e~f") == "/a/b-c_d.e~f"


def test_only_control_characters_are_escaped_in_a_uri_with_its_query(run_lua: Run) -> None:
    code = 'return require("apisix.core.utils.escape").escape_uri_control_chars(...)'
    assert run_lua(code, b"/a?b=c d&\r\n\0\x7f\xff") == "/a?b=c d&%0D%0A%00%7F\xff"
    assert run_lua(code, "/a?b=c") == "/a?b=c"


@pytest.mark.parametrize(
    ("field", "valid"),
    [("X-A", True), ("a:b", False), ("a b", False), ("", True), ("ä", False), ("a\x7f", False)],
)
def test_header_fields(run_lua: Run, field: str, valid: bool) -> None:
    code = 'return require("apisix.core.utils.escape").validate_header_field(...)'
    assert run_lua(code, field) is valid


@pytest.mark.parametrize(
    ("value", "valid"),
    [("a b:c", True), ("a\r\nb", False), ("\t", False), ("ä", False), (1, True), (None, True)],
)
def test_header_values(run_lua: Run, value: Any, valid: bool) -> None:
    code = 'return require("apisix.core.utils.escape").validate_header_value(...)'
    assert run_lua(code, value) is valid


def test_uuids_of_version_4_are_random(run_lua: Run) -> None:
    code = 'local v4 = require("apisix.core.utils.random").uuid_v4; return v4(), v4()'
    one, two = run_lua(code)
    form = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    assert re.fullmatch(form, one)
    assert re.fullmatch(form, two)
    assert one != two


def test_uuids_of_version_7_are_ordered_while_the_clock_stands(run_lua: Run) -> None:
    code = """
        local v7 = require("apisix.core.utils.random").generate_uuid_v7
        local previous, first = "", nil
        for i = 1, 600000 do
            local id = v7()
            if id <= previous then return "disorder", previous, id end
            previous, first = id, first or id
        end
        return first, previous
    """
    first, last = run_lua(code)
    for each in (first, last):
        assert re.fullmatch(
            r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", each
        )
    span = int(last.replace("-", "")[:12], 16) - int(first.replace("-", "")[:12], 16)
    assert span >= 2  # 600,000 identifiers do not fit into two milliseconds' counters


def test_seeds_differ(run_lua: Run) -> None:
    code = """
        local seed = require("apisix.core.utils.random").get_seed_from_urandom
        return seed() ~= seed()
    """
    assert run_lua(code) is True


@pytest.fixture
def logged(run_lua: Run) -> Callable[[str], list[str]]:
    """Run code and return the messages that it logs."""

    def run(code: str) -> list[str]:
        text = run_lua(
            f"""
            local lines = {{}}
            require("server.log").sink = function(_, line) lines[#lines + 1] = line end
            {code}
            return table.concat(lines)
            """
        )
        return re.findall(r": ((?:Using|Keeping) .*)", text)

    return run


def test_plain_http_is_warned_of_where_a_path_leads_to_it(logged: Any) -> None:
    messages = logged("""
        local conf = {uri = "http://a", nodes = {"https://a", "http://b"}, a = {b = "https://c"}}
        require("apisix.core.utils.security").check_https({"uri", "nodes", "a.b", "x.y"}, conf, "p")
    """)
    assert messages == [
        "Using p uri with no TLS is a security risk",
        "Using p nodes with no TLS is a security risk",
    ]


def test_a_switch_that_is_off_is_warned_of(logged: Any) -> None:
    messages = logged("""
        local conf = {ssl_verify = false, on = true, a = {b = false}}
        local check = require("apisix.core.utils.security").check_tls_bool
        check({"ssl_verify", "on", "absent", "x.y", "a.b"}, conf, "p")
    """)
    assert messages == [
        "Keeping ssl_verify disabled in p configuration is a security risk",
        "Keeping a.b disabled in p configuration is a security risk",
    ]


def test_templates_are_read_as_the_pattern_of_apisix_reads_them(lua: Any) -> None:
    resolve = lua.eval(
        """
        function(template)
            local vars = {a = "A", ["a.b"] = "AB", ["a b"] = "spaced"}
            return (require("apisix.core.utils.template").resolve_var(template, vars))
        end
        """
    )
    values = {"a": "A", "a.b": "AB", "a b": "spaced"}
    pattern = re.compile(r"(?<!\\)\$(\{\s*([^}]+?)\s*\}|([\w.]+))", re.ASCII)

    def model(match: re.Match[str]) -> str:
        name, *default = re.split(r"\s*\?\?\s*", match[2] or match[3])
        return values.get(name, default[0] if default else "")

    @settings(max_examples=1000, deadline=None)
    @given(st.text(alphabet="$${}{} \\\n?ab.", max_size=14))
    def check(template: str) -> None:
        assert resolve(template) == pattern.sub(model, template)

    check()
