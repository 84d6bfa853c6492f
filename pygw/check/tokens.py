"""Owns the tokens of Lua source, as LuaJIT reads it (Lua 5.1, goto, 64-bit and hex numbers).

Must never know what a token means in its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["name", "keyword", "text", "number", "sign", "end"]

KEYWORDS = frozenset(
    ["and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in"]
    + ["local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while"]
)

_SPACE = re.compile(r"[ \t\r\n\f\v]+")
_LONG = re.compile(r"\[(=*)\[")
_NAME = re.compile(r"[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*")
_NUMBER = re.compile(
    r"0[xX](?:[0-9a-fA-F]*\.?[0-9a-fA-F]*(?:[pP][+-]?\d+)?)(?:[uU]?[lL][lL]|[iI])?"
    r"|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?:[uU]?[lL][lL]|[iI])?"
)
_SIGN = re.compile(r"\.\.\.|\.\.|==|~=|<=|>=|::|[-+*/%^#<>=(){}\[\];:,.]")
_TEXT = {quote: re.compile(rf"[^\\{quote}\n\r]+") for quote in "\"'"}
_ESCAPES = dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True))
_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|u\{([0-9a-fA-F]+)\}|(\d{1,3})|z\s*|(\r\n|\n\r|[\s\S]))"
)


class LuaSyntaxError(Exception):
    """The source is not Lua, as far as it is read here; `line` is where."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True)
class Token:
    """A word of the source. value: of a text its bytes as latin-1, else as written."""

    kind: Kind
    value: str
    line: int


def tokens(source: str) -> Iterator[Token]:
    """Each token of a file (latin-1), the last of kind "end". Raises LuaSyntaxError."""
    return _Reader(source).tokens()


class _Reader:
    def __init__(self, source: str) -> None:
        self._source = source
        self._at = source.find("\n") if source.startswith("#") else 0
        self._at = len(source) if self._at < 0 else self._at
        self._line = 1

    def tokens(self) -> Iterator[Token]:
        while self._skip() < len(self._source):
            line = self._line
            kind, value = self._next()
            yield Token(kind, value, line)
        yield Token("end", "", self._line)

    def _take(self, found: re.Match[str]) -> str:
        text = found[0]
        self._at = found.end()
        self._line += text.count("\n")
        return text

    def _skip(self) -> int:
        """Pass over spaces and comments; returns where the next token begins."""
        while True:
            if space := _SPACE.match(self._source, self._at):
                self._take(space)
            elif not self._source.startswith("--", self._at):
                return self._at
            elif long := _LONG.match(self._source, self._at + 2):
                self._long(long)
            else:
                end = self._source.find("\n", self._at)
                self._at = len(self._source) if end < 0 else end

    def _long(self, opening: re.Match[str]) -> str:
        end = self._source.find(f"]{opening[1]}]", opening.end())
        if end < 0:
            raise LuaSyntaxError("unfinished long string or comment", self._line)
        text = self._source[opening.end() : end]
        self._line += text.count("\n")
        self._at = end + 2 + len(opening[1])
        return text.removeprefix("\r").removeprefix("\n")

    def _next(self) -> tuple[Kind, str]:
        source, at = self._source, self._at
        if name := _NAME.match(source, at):
            word = self._take(name)
            return ("keyword" if word in KEYWORDS else "name"), word
        if source[at] in "\"'":
            return "text", self._quoted(source[at])
        if long := _LONG.match(source, at):
            return "text", self._long(long)
        if number := _NUMBER.match(source, at):
            return "number", self._take(number)
        if sign := _SIGN.match(source, at):
            return "sign", self._take(sign)
        raise LuaSyntaxError(f"unexpected character {source[at]!r}", self._line)

    def _quoted(self, quote: str) -> str:
        begun = self._line
        self._at += 1
        parts = []
        while not self._source.startswith(quote, self._at):
            if plain := _TEXT[quote].match(self._source, self._at):
                parts.append(self._take(plain))
            elif escape := _ESCAPE.match(self._source, self._at):
                self._take(escape)
                parts.append(_unescape(escape))
            else:
                raise LuaSyntaxError("unfinished string", begun)
        self._at += 1
        return "".join(parts)


def _unescape(escape: re.Match[str]) -> str:
    in_hex, code_point, in_decimal, other = escape.groups()
    if in_hex or in_decimal:
        return chr(int(in_hex, 16) if in_hex else int(in_decimal) & 0xFF)
    if code_point:
        return chr(int(code_point, 16)).encode("utf-8", "surrogatepass").decode("latin-1")
    if other is None:  # \z
        return ""
    return "\n" if other[0] in "\r\n" else _ESCAPES.get(other, other)
