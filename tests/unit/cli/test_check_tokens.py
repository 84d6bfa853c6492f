"""The tokens of Lua source."""

from __future__ import annotations

import pytest

from pygw.check.tokens import LuaSyntaxError, tokens


def words(source: str) -> list[tuple[str, str]]:
    return [(token.kind, token.value) for token in tokens(source)][:-1]


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("'a\"b'", 'a"b'),
        ('"a\\"b\\n\\065\\x42\\u{e9}"', 'a"b\nAB\u00c3\u00a9'),
        ('"a\\z  \n  b"', "ab"),
        ('"a\\\nb"', "a\nb"),
        ("[[\na]]", "a"),
        ("[==[a]]]=]b]==]", "a]]]=]b"),
    ],
)
def test_a_text(source: str, value: str) -> None:
    assert words(source) == [("text", value)]


@pytest.mark.parametrize(
    "number",
    ["1", "1.", ".5", "1e10", "1.5E-3", "0x1F", "0xA.8p1", "42LL", "42ULL", "0xffull", "2i"],
)
def test_a_number(number: str) -> None:
    assert words(number) == [("number", number)]


def test_names_are_no_keywords_unless_they_are_reserved() -> None:
    assert words("goto endif end") == [("name", "goto"), ("name", "endif"), ("keyword", "end")]


def test_the_longest_sign_wins() -> None:
    signs = [value for _, value in words("a...b..c==d~=e<=f::g")]
    assert signs == ["a", "...", "b", "..", "c", "==", "d", "~=", "e", "<=", "f", "::", "g"]


def test_comments_and_the_first_line_of_a_script_are_passed_over() -> None:
    source = "#!/usr/bin/lua\n-- one\n--[[ two\nlines ]]--[==[ ]] ]==] x --[ no long one\ny"
    assert [(token.value, token.line) for token in tokens(source)] == [("x", 4), ("y", 5), ("", 5)]


def test_lines_are_counted_through_long_texts() -> None:
    assert [token.line for token in tokens("a [[\n\n]] b")] == [1, 1, 3, 3]


@pytest.mark.parametrize(
    ("source", "message", "line"),
    [
        ("\n'abc\n'", "unfinished string", 2),
        ("\n[[abc", "unfinished long string or comment", 2),
        ("a\nb ? c", "unexpected character '?'", 2),
    ],
)
def test_what_is_no_token(source: str, message: str, line: int) -> None:
    with pytest.raises(LuaSyntaxError, match=message.replace("?", r"\?")) as caught:
        list(tokens(source))
    assert caught.value.line == line
