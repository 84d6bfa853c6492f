"""The search for a pattern in pieces finds what a search in the whole finds."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

# Feeds the pieces one by one. Returns what was handed out, how it ended, what was not looked at.
FEED = """
    local pattern, inclusive, size, pieces = ...
    local ffi = require "ffi"
    local matcher = require("server.receive_until").new(pattern, inclusive)
    local out, over = {}, nil
    matcher:begin(size)
    for i = 1, #pieces do
        local piece, at = pieces[i], 0
        while at < #piece do
            local used
            used, over = matcher:feed(ffi.cast("const uint8_t *", piece) + at, #piece - at)
            at = at + used
            if over == "found" then
                return table.concat(matcher.parts, "|"), over, piece:sub(at + 1)
            elseif over == "full" then
                out[#out + 1] = table.concat(matcher.parts)
                matcher:begin(size)
            end
        end
    end
    out[#out + 1] = table.concat(matcher.parts)
    return table.concat(out, "|"), "more", matcher:release()
"""

texts = st.text("ab", min_size=1, max_size=6)


def cut(text: str, places: list[int]) -> list[str]:
    bounds = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[a:b] for a, b in zip(bounds, bounds[1:], strict=False)]


@pytest.fixture
def feed(lua: Any) -> Callable[..., Any]:
    def run(pattern: str, text: str, places: list[int], inclusive: bool, size: int | None) -> Any:
        pieces = lua.table_from([piece.encode() for piece in cut(text, places)])
        return lua.execute(FEED, pattern.encode(), inclusive, size, pieces)

    return run


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(texts, st.text("ab", max_size=30), st.lists(st.integers(0, 30), max_size=6))
def test_found_where_it_first_stands(
    feed: Callable[..., Any], pattern: str, text: str, places: list[int]
) -> None:
    got, how, rest = feed(pattern, text, places, False, None)
    before, found, _ = text.partition(pattern)
    if found:
        assert (got.replace("|", ""), how) == (before, "found")
    else:
        assert how == "more"
        assert got.replace("|", "") + rest == text
        assert pattern.startswith(rest)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    texts, st.text("ab", max_size=30), st.lists(st.integers(0, 30), max_size=6), st.integers(1, 5)
)
@example("bb", "aaba", [3], 2)
def test_nothing_is_lost_between_pieces_of_a_size(
    feed: Callable[..., Any], pattern: str, text: str, places: list[int], size: int
) -> None:
    got, how, rest = feed(pattern, text, places, False, size)
    before, found, _ = text.partition(pattern)
    if how == "more":
        assert not found
        assert got.replace("|", "") + rest == text
    else:
        assert found


def test_an_inclusive_search_hands_the_pattern_out_too(feed: Callable[..., Any]) -> None:
    assert feed("--", "ab--cd", [3], True, None) == ("ab|--", "found", "cd")


def test_what_is_handed_out_is_no_longer_than_asked_for(feed: Callable[..., Any]) -> None:
    assert feed("--", "abcdefg", [], False, 3) == ("abc|def|g", "more", "")


def test_a_size_is_passed_only_by_what_looked_like_the_pattern(feed: Callable[..., Any]) -> None:
    assert feed("-ab-", "x-ab+", [], False, 2) == ("x-ab|+", "more", "")
