"""Owns the reading of Lua statements: which variables there are, and what a file sets itself.

Must never refuse what LuaJIT accepts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from pygw.check.expressions import Expression, ExpressionReader
from pygw.check.reach import Path, Reach, Value
from pygw.check.tokens import LuaSyntaxError

_BLOCK_ENDS = ("end", "else", "elseif", "until")


def read_source(source: str) -> Reach:
    """What the source of a Lua file (as latin-1) reaches for. Raises LuaSyntaxError."""
    reader = _StatementReader(source)
    reader.chunk()
    return reader.reach


class _StatementReader(ExpressionReader):
    def chunk(self) -> None:
        self._statements()
        if self.token.kind != "end":
            raise LuaSyntaxError(f"unexpected '{self.token.value}'", self.token.line)

    @contextlib.contextmanager
    def _scope(self) -> Iterator[None]:
        self._scopes.append({})
        yield
        self._scopes.pop()

    def _block(self) -> None:
        with self._scope():
            self._statements()

    def _statements(self) -> None:
        while self.token.kind != "end" and not self.sees(*_BLOCK_ENDS):
            self._statement()

    def _statement(self) -> None:
        word = self.token.value if self.token.kind in ("keyword", "sign") else None
        if word == ";" or word == "break":
            self.step()
        elif word == "::":
            self.step()
            self.name()
            self.expect("::")
        elif self.token.value == "goto" and self.following.kind == "name":
            self.step()
            self.step()
        elif word in ("if", "while", "for", "repeat", "function", "local", "return", "do"):
            self.step()
            getattr(self, f"_{word}")()
        else:
            self._assignment_or_call()

    def _do(self) -> None:
        self._block()
        self.expect("end")

    def _condition(self) -> None:
        self.use(self.expression(), "test")

    def _if(self) -> None:
        self._condition()
        self.expect("then")
        self._block()
        while self.accept("elseif"):
            self._condition()
            self.expect("then")
            self._block()
        if self.accept("else"):
            self._block()
        self.expect("end")

    def _while(self) -> None:
        self._condition()
        self.expect("do")
        self._do()

    def _repeat(self) -> None:
        with self._scope():  # the condition sees the block's variables
            self._statements()
            self.expect("until")
            self._condition()

    def _for(self) -> None:
        names = [self.name()]
        while self.accept(","):
            names.append(self.name())
        if not self.accept("="):
            self.expect("in")
        for expression in self.expressions():
            self.use(expression, "read")
        self.expect("do")
        with self._scope():
            for name in names:
                self.declare(name)
            self._do()

    def _return(self) -> None:
        if self.token.kind != "end" and not self.sees(*_BLOCK_ENDS, ";"):
            for expression in self.expressions():
                self.use(expression, "keep")

    def _function(self) -> None:
        name = self.name()
        variable = self.lookup(name)
        target: Value = variable.value if variable else Path(None, (name,))
        method = False
        while self.sees(".", ":"):
            method = self.step().value == ":"
            key = self.name()
            target = target / key if isinstance(target, Path) else None
        if isinstance(target, Path):
            self.reach.written.add(target)
        elif variable:
            variable.settled = True
        self.function_body(method=method)

    def function_body(self, *, method: bool = False) -> None:
        with self._scope():
            if method:
                self.declare("self")
            self.expect("(")
            while not self.accept(")"):
                if not self.accept("..."):
                    self.declare(self.name())
                if not self.accept(","):
                    self.expect(")")
                    break
            self._block()
        self.expect("end")

    def _local(self) -> None:
        if self.accept("function"):
            self.declare(self.name())
            self.function_body()
            return
        names = [self.name()]
        while self.accept(","):
            names.append(self.name())
        has_values = self.accept("=")
        values = self._values(self.expressions()) if has_values else []
        for name, value in zip_longest(names, values[: len(names)]):
            self.declare(name, value, settled=has_values)

    def _values(self, expressions: Sequence[Expression]) -> list[Value]:
        for expression in expressions:
            self.use(expression, "keep")
        return [expression.value for expression in expressions[:-1]] + list(expressions[-1].values)

    def _assignment_or_call(self) -> None:
        line = self.token.line
        targets = [self.suffixed()]
        if targets[0].is_call and not self.sees(",", "="):
            return
        while self.accept(","):
            targets.append(self.suffixed())
        if not self.sees("="):
            raise LuaSyntaxError("this is no statement", line)
        self.step()
        values = self._values(self.expressions())
        for target, value in zip_longest(targets, values[: len(targets)]):
            self._assign(target, value)

    def _assign(self, target: Expression, value: Value) -> None:
        variable = target.variable
        if variable:
            target.open = []
            variable.value = None if variable.settled else value
            variable.settled = True
            return
        for path, line in target.open:
            self.reach.written.add(path)
            parent = Path(path.module, path.names[:-1])
            self.use(Expression(open=[(parent, line)] if parent.names else []), "read")
        target.open = []
