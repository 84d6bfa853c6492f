"""ngx.re.match, find, gmatch, sub and gsub: the examples of the documentation, and their limits."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lupa.luajit21 import LuaError

Call = Callable[..., Any]
RunLua = Callable[..., Any]
PROPERTY = settings(max_examples=200, derandomize=True, deadline=None)

MISSING_PARENTHESIS = 'pcre_compile() failed: missing ) in "(abc"'


@pytest.mark.parametrize(
    ("arguments", "expression", "expected"),
    [
        ('"hello, 1234", "[0-9]+"', "m[0]", "1234"),
        ('"hello, 1234", "([0-9])[0-9]+"', "m[0], m[1]", ("1234", "1")),
        ('"hello, 1234", "([0-9])(?<remaining>[0-9]+)"', "m[2], m.remaining", ("234", "234")),
        ('"hello, world", "(world)|(hello)|(?<n>hi)"', "m[1], m[2], m.n", (False, "hello", False)),
        ('"hello, world", "HEL LO", "ix"', "m[0]", "hello"),
        ('"hello, 美好生活", "HELLO, (.{2})", "iu"', "#m[1]", 6),
        ('"hello, world", "(?<n>\\\\w+), (?<n>\\\\w+)", "D"', "m.n[1], m.n[2]", ("hello", "world")),
        ('"1234, hello", "[0-9]+", "", {pos = 2}', "m[0]", "234"),
        ('"hello", "(a|ab|hel)", "d"', "m[0], m[1]", ("hel", None)),
        ('"a\\0b", "\\\\0b"', "m[0]", "\0b"),
        ('12, "2"', "m[0]", "2"),
        ('"12", 2', "m[0]", "2"),
    ],
)
def test_match(run_lua: RunLua, arguments: str, expression: str, expected: Any) -> None:
    code = f"local m = ngx.re.match({arguments}) return {expression}".encode()
    assert run_lua(code) == expected


def test_match_moves_the_context_only_when_it_matches(run_lua: RunLua) -> None:
    assert run_lua("""
        local ctx = {}
        ngx.re.match("1234, hello", "[0-9]+", "", ctx)
        local behind = ctx.pos
        ngx.re.match("1234, hello", "[0-9]+", "", ctx)
        return behind, ctx.pos
    """) == (5, 5)


def test_groups_that_took_part_in_an_earlier_match_do_not_show(run_lua: RunLua) -> None:
    assert run_lua("""
        ngx.re.match("abcd", "(a)(b)(c)(d)")
        local m = ngx.re.match("x", "(x)|(y)|(z)")
        return m[1], m[2], m[3], m[4]
    """) == ("x", False, False, None)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ('ngx.re.find("hello, 1234", "([0-9]+)", "jo")', (8, 11)),
        ('ngx.re.find("hello, 1234", "([0-9])([0-9]+)", "jo", nil, 2)', (9, 11)),
        ('ngx.re.find("hello", "(x)?h", "jo", nil, 1)', (None, None)),
        ('ngx.re.find("hello", "h", "jo", nil, 1)', (None, None, "nth out of bound")),
        ('ngx.re.find("hello", "x")', None),
        ('ngx.re.find("hello", "(abc")', (None, None, MISSING_PARENTHESIS)),
        ('ngx.re.match("hello", "(abc")', (None, MISSING_PARENTHESIS)),
        ('ngx.re.gmatch("hello", "(abc")', (None, MISSING_PARENTHESIS)),
        ('ngx.re.sub("hello", "(abc", "")', (None, None, MISSING_PARENTHESIS)),
        ('ngx.re.match("hello", "h")[0], ngx.re.match("hello", "x")', ("h", None)),
        ('select("#", ngx.re.match("a", "b"))', 1),
        ('select("#", ngx.re.find("a", "b"))', 1),
        ('select("#", ngx.re.gsub("a", "b", ""))', 2),
        ('ngx.re.match("\\255", ".", "u")', (None, "pcre_exec() failed: -10")),
    ],
)
def test_results_in_number_and_kind(run_lua: RunLua, code: str, expected: Any) -> None:
    assert run_lua(f"return {code}") == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ('ngx.re.sub("hello, 1234", "([0-9])[0-9]", "[$0][$1]")', ("hello, [12][1]34", 1)),
        ('ngx.re.sub("hello, 1234", "[0-9]", "${0}00")', ("hello, 100234", 1)),
        ('ngx.re.sub("hello, 1234", "[0-9]", "$$")', ("hello, $234", 1)),
        ('ngx.re.gsub("hello, world", "([a-z])[a-z]+", "[$0,$1]", "i")',
         ("[hello,h], [world,w]", 2)),
        ('ngx.re.gsub("hello, world", "([a-z])[a-z]+", function(m) return m[1] .. "$0" end)',
         ("h$0, w$0", 2)),
        ('ngx.re.gsub("hello", "", "-")', ("-h-e-l-l-o-", 6)),
        ('ngx.re.gsub("hello", "x", "-")', ("hello", 0)),
        ('ngx.re.gsub("", "", "-")', ("-", 1)),
        ('ngx.re.sub("a", "(a)|(b)", "[$1$2$3]")', ("[a]", 1)),
        ('ngx.re.sub("a", "a", "$")', (None, None, "failed to compile the replacement template")),
        ('ngx.re.sub("b", "a", "${1")', (None, None, "failed to compile the replacement template")),
        ('ngx.re.gsub("aa", "a", function() return nil end)', ("nilnil", 2)),
        ('ngx.re.gsub("aa", "a", 1)', ("11", 2)),
    ],
)  # fmt: skip
def test_substitution(run_lua: RunLua, code: str, expected: Any) -> None:
    assert run_lua(f"return {code}") == expected


def test_a_long_result_is_built_and_the_next_one_is_not_spoiled(run_lua: RunLua) -> None:
    assert run_lua("""
        local text, n = ngx.re.gsub(("x"):rep(1000000), "x", "ab", "jo")
        return #text, n, (ngx.re.gsub("x", "x", "ab", "jo"))
    """) == (2_000_000, 1_000_000, "ab")


def test_gmatch_gives_every_match_and_then_nil_for_ever(run_lua: RunLua) -> None:
    assert run_lua("""
        local it = ngx.re.gmatch("hello, world!", "([a-z]+)", "i")
        return it()[0], it()[1], it(), it()
    """) == ("hello", "world", None, None)


def test_gmatch_serves_a_for_loop(run_lua: RunLua) -> None:
    assert (
        run_lua("""
        local words = {}
        for m in ngx.re.gmatch("a,b,,c", "[a-z]?") do
            words[#words + 1] = "<" .. m[0] .. ">"
        end
        return table.concat(words)
    """)
        == "<a><><b><><><c><>"
    )


def test_gmatch_reports_a_failure_once(run_lua: RunLua) -> None:
    assert run_lua("""
        local it = ngx.re.gmatch("\\255", ".", "u")
        local m, err = it()
        return m, err, it()
    """) == (None, "pcre_exec() failed: -10", None)


def test_iterators_and_other_regexes_do_not_disturb_each_other(run_lua: RunLua) -> None:
    assert (
        run_lua("""
        local first, second = ngx.re.gmatch("abc", "."), ngx.re.gmatch("123", "(.)")
        local seen = {}
        for m in first do
            seen[#seen + 1] = m[0] .. second()[1] .. ngx.re.match("xyz", "x(y)(z)")[2]
        end
        return table.concat(seen, " ")
    """)
        == "a1z b2z c3z"
    )


def test_a_replacement_function_may_yield_while_others_use_regexes(run_lua: RunLua) -> None:
    assert run_lua("""
        local task = coroutine.wrap(function()
            return ngx.re.gsub("abc", "(.)", function(m) return coroutine.yield(m[1]) end, "jo")
        end)
        local asked = { task() }
        while true do
            for i = 1, 2000 do
                ngx.re.find("y", "y|" .. #asked .. i, "o")
            end
            local next, n = task(asked[#asked]:upper())
            if n then
                return next, n, #asked
            end
            asked[#asked + 1] = next
        end
    """) == ("ABC", 3, 3)


def test_an_error_in_a_replacement_function_passes_through(run_lua: RunLua) -> None:
    assert run_lua("""
        local ok, err = pcall(ngx.re.sub, "a", "a", function() error("oops", 0) end)
        return ok, err, (ngx.re.sub("a", "a", "b"))
    """) == (False, "oops", "b")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ('ngx.re.match("a", "a", "Hm")', 'unknown flag "H" (flags "Hm")'),
        ('ngx.re.find("a", "a", "z")', 'unknown flag "z" (flags "z")'),
        ('ngx.re.gmatch("a", "a", "z")', 'unknown flag "z" (flags "z")'),
        ('ngx.re.sub("a", "a", "", "z")', 'unknown flag "z" (flags "z")'),
        ('ngx.re.gsub("a", "a", "", "z")', 'unknown flag "z" (flags "z")'),
        ('ngx.re.match("a", "a", 1)', "bad regex options (string expected, got number)"),
        ('ngx.re.match("a")', "bad argument #2 (regex: string expected, got nil)"),
        ('ngx.re.gsub("a", {}, "")', "bad argument #2 (regex: string expected, got table)"),
    ],
)
def test_mistake_is_reported_at_the_line_of_the_caller(
    run_lua: RunLua, code: str, message: str
) -> None:
    with pytest.raises(LuaError, match=re.escape(f'"<python>"]:2: {message}')):
        run_lua(f"local ngx = ngx\nlocal x = {code} return x")


@pytest.mark.parametrize("options", ["", "j"])
def test_a_match_gives_up_at_the_limit(run_lua: RunLua, options: str) -> None:
    assert run_lua(
        """
        require("ngx.api.pcre").set_match_limit(100)
        return ngx.re.match(("a"):rep(30), "(a+)+b|(x)", ...)
        """,
        options.encode(),
    ) == (None, "pcre_exec() failed: -8")


def test_the_jit_stack_can_be_enlarged_before_regexes_are_cached(run_lua: RunLua) -> None:
    code = """
        local subject, regex = ("ab"):rep(20000), "^(?:(a)|(b))*$"
        local _, before = ngx.re.match(subject, regex, "j")
        require("ngx.re").opt("jit_stack_size", 64 * 1024 * 1024)
        local m = ngx.re.match(subject, regex, "j")
        return before, m and #m[0]
    """
    assert run_lua(code) == ("pcre_exec() failed: -27", 40000)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ('ngx.re.match("a", "a", "o") require("ngx.re").opt("jit_stack_size", 65536)',
         "changing jit stack size is not allowed when some regexs have already been compiled"),
        ('require("ngx.re").opt("colour", 1)', "unrecognized option name"),
    ],
)  # fmt: skip
def test_option_that_cannot_be_set(run_lua: RunLua, code: str, message: str) -> None:
    with pytest.raises(LuaError, match=re.escape(message)):
        run_lua(code)


@PROPERTY
@given(st.text(alphabet="ab\n,é", max_size=12), st.text(alphabet="ab.*+?()]^$|", max_size=8))
def test_a_regex_that_python_takes_matches_where_python_matches(
    call: Call, subject: str, pattern: str
) -> None:
    data, regex = subject.encode(), pattern.encode()
    try:
        expected = re.search(regex, data)
    except re.error:
        return
    found = call("ngx.re.find", data, regex, b"o")
    if isinstance(found, tuple) and len(found) == 3:
        return  # Python takes some that PCRE refuses
    assert found == ((expected.start() + 1, expected.end()) if expected else None)


@PROPERTY
@given(st.binary(max_size=30), st.binary(max_size=6), st.sampled_from(["", "o", "jo", "u", "d"]))
def test_any_bytes_give_a_result_or_an_error(
    call: Call, subject: bytes, regex: bytes, options: str
) -> None:
    text = call("ngx.re.gsub", subject, regex, b"<$0>", options.encode())
    assert isinstance(text[0], str) or text[2].startswith("pcre_")
