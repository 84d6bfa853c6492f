"""Perl's regular expressions, read by Python: what is written in another way means the same."""

from __future__ import annotations

import re

import pytest

from pygw.testing.tfiles.patterns import regex


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"a\z", "a", "a"),
        (r"a\z", "a\n", None),
        (r"a\Z", "a\n", "a"),
        (r"a\\z", "a\\z", "a\\z"),
        (r"\h+", "a \tb", " \t"),
        (r"\x{41}\x{7}", "A\x07", "A\x07"),
        (r"(?<one>.)\k<one>", "abb", "bb"),
        (r"(?<one>.)\k{one}", "abb", "bb"),
        (r"(?<!a)b", "ab bb", "b"),
        (r"\(\?<a>", "(?<a>", "(?<a>"),
        (r"[[:xdigit:]]{3}", "zfF0", "fF0"),
        (r"[^[:alpha:]_]+", "ab_12", "12"),
        (r"[[:upper:][:digit:]]+", "aB1", "B1"),
        (r"[[:space:]]", "a\tb", "\t"),
        (r"[[:punct:]]+", "a.]`~b", ".]`~"),
        (r"[[:blank:][:cntrl:]]+", "a \t\x01b", " \t\x01"),
        (r"(?^i:AB)c", "abc", "abc"),
        (r"(?^:AB)c", "abc", None),
        (r"\w+", "é", None),
    ],
)
def test_a_pattern_finds_what_perl_would(pattern: str, text: str, found: str | None) -> None:
    match = regex(pattern).search(text)
    assert (match and match.group()) == found


@pytest.mark.parametrize(
    ("flags", "found"), [("", None), ("i", None), ("is", "A\nB"), ("isx", None)]
)
def test_flags(flags: str, found: str | None) -> None:
    match = regex(r"a.b" if "x" not in flags else "a . c # b", flags).search("A\nB")
    assert (match and match.group()) == found


def test_what_python_has_not_is_an_error() -> None:
    with pytest.raises(re.error):
        regex(r"(?|a(b)|c(d))")
