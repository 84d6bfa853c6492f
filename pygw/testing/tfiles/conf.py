"""Owns nginx's configuration syntax: text to a tree of directives, and that tree as a Lua table.

Must never know what a directive means; the Lua side (`lua/conformance/`) does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_SPACE = re.compile(r"(?:\s+|#[^\n]*)+")
_QUOTED = {
    '"': re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL),
    "'": re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL),
}
_WORD = re.compile(r"(?:\\.|\$\{|[^\s;{\\])+", re.DOTALL)
_ESCAPE = re.compile(r"\\([\"'\\tnr])")
_ESCAPED = {"t": "\t", "n": "\n", "r": "\r"}
_LUA_SKIP = re.compile(
    r"--\[(?P<c>=*)\[.*?\](?P=c)\]"
    r"|--[^\n]*"
    r"|\[(?P<s>=*)\[.*?\](?P=s)\]"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'(?:[^'\\\n]|\\.)*'"
    r"|[^-\[\"'{}]+|[-\[\"']",
    re.DOTALL,
)


class ConfError(Exception):
    """The text is no nginx configuration; the message is nginx's."""


@dataclass
class Directive:
    """One directive. line: where its arguments end; block: its directives, or its Lua code."""

    name: str
    args: list[str]
    line: int
    block: list[Directive] | str | None = None


def parse(text: str) -> list[Directive]:
    """The directives of a whole configuration file. Raises ConfError."""
    reader = _Reader(text)
    directives = reader.directives()
    if reader.at < len(text):
        raise ConfError(f'unexpected "}}" in nginx.conf:{reader.line}')
    return directives


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self.at = 0
        self.line = 1

    def _take(self, match: re.Match[str] | None) -> re.Match[str] | None:
        if match:
            self.line += match.group().count("\n")
            self.at = match.end()
        return match

    def directives(self) -> list[Directive]:
        """Directives up to the end of the block or of the text."""
        found: list[Directive] = []
        while True:
            self._take(_SPACE.match(self._text, self.at))
            if self.at >= len(self._text) or self._text[self.at] == "}":
                return found
            found.append(self._directive())

    def _directive(self) -> Directive:
        words: list[str] = []
        while True:
            self._take(_SPACE.match(self._text, self.at))
            mark = self._text[self.at : self.at + 1]
            if not mark:
                raise ConfError(
                    f'unexpected end of file, expecting ";" or "}}" in nginx.conf:{self.line}'
                )
            if mark == "}":
                raise ConfError(f'unexpected "}}" in nginx.conf:{self.line}')
            if mark in ";{":
                break
            words.append(self._word(mark))
        if not words:
            raise ConfError(f'unexpected "{mark}" in nginx.conf:{self.line}')
        self.at += 1
        directive = Directive(words[0], words[1:], self.line)
        if mark == "{":
            self._block(directive)
        return directive

    def _block(self, directive: Directive) -> None:
        if directive.name.endswith("_by_lua_block"):
            directive.block = self._lua()
        else:
            directive.block = self.directives()
        if self._text[self.at : self.at + 1] != "}":
            raise ConfError(f'unexpected end of file, expecting "}}" in nginx.conf:{self.line}')
        self.at += 1

    def _word(self, mark: str) -> str:
        quoted = _QUOTED.get(mark)
        match = quoted and self._take(quoted.match(self._text, self.at))
        if match:
            return _unescape(match.group(1))
        if quoted:
            raise ConfError(f"unexpected end of file in nginx.conf:{self.line}")
        match = self._take(_WORD.match(self._text, self.at))
        assert match
        return _unescape(match.group())

    def _lua(self) -> str:
        """Lua code up to the brace that closes its block."""
        start, depth = self.at, 0
        while self.at < len(self._text):
            mark = self._text[self.at]
            if mark == "}" and depth == 0:
                return self._text[start : self.at]
            if mark in "{}":
                depth += 1 if mark == "{" else -1
                self.at += 1
            else:
                self._take(_LUA_SKIP.match(self._text, self.at))
        raise ConfError(
            f"Lua code block missing the closing long bracket in nginx.conf:{self.line}"
        )


def _unescape(word: str) -> str:
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), word)


def to_lua(directives: list[Directive], indent: str = "") -> str:
    """The tree as Lua source: a list of {name, line, args, block | code}."""
    inner = indent + "  "
    lines = [inner + _directive_to_lua(one, inner) + ",\n" for one in directives]
    return "{\n" + "".join(lines) + indent + "}"


def _directive_to_lua(directive: Directive, indent: str) -> str:
    args = ", ".join(quote(arg) for arg in directive.args)
    head = f"name = {quote(directive.name)}, line = {directive.line}, args = {{{args}}}"
    if isinstance(directive.block, str):
        return f"{{{head}, code = {quote(directive.block)}}}"
    if directive.block is not None:
        return f"{{{head}, block = {to_lua(directive.block, indent)}}}"
    return f"{{{head}}}"


_NEEDS_ESCAPE = re.compile(r"[^ -!#-\[\]-~]")


def quote(value: str) -> str:
    """A string of bytes (latin-1) as a Lua literal."""
    return '"' + _NEEDS_ESCAPE.sub(_escape, value) + '"'


def _escape(found: re.Match[str]) -> str:
    return f"\\{ord(found[0]):03d}"
