"""Owns the reading of Lua expressions: what each stands for, as far as the source tells.

One pass: a local variable has one value for ever, or none that is known. Statements are read by the
subclass in `statements.py`. Must never refuse what LuaJIT accepts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

from pygw.check.reach import Manner, Path, Reach, Require, Text, Use, Value
from pygw.check.tokens import LuaSyntaxError, Token, tokens

# Left and right binding powers, as in Lua's manual.
_BINARY = {
    **dict.fromkeys(("or",), (1, 1)),
    **dict.fromkeys(("and",), (2, 2)),
    **dict.fromkeys(("<", ">", "<=", ">=", "~=", "=="), (3, 3)),
    "..": (5, 4),
    **dict.fromkeys(("+", "-"), (6, 6)),
    **dict.fromkeys(("*", "/", "%"), (7, 7)),
    "^": (10, 9),
}
_UNARY = 8
_TESTING = frozenset({"type", "pcall", "xpcall", "tostring", "rawequal"})


@dataclass
class Variable:
    """A local variable. settled: it has been given its value."""

    value: Value = None
    settled: bool = True


@dataclass
class Expression:
    """An expression that was read. open: paths whose manner is for the place around it to say."""

    values: Sequence[Value] = (None,)
    open: list[tuple[Path, int]] = field(default_factory=list)
    is_call: bool = False
    variable: Variable | None = None  # it is nothing but this local variable's name

    @property
    def value(self) -> Value:
        return self.values[0]


class ExpressionReader(ABC):
    """Reads expressions from a file's tokens into `reach`."""

    def __init__(self, source: str) -> None:
        self.reach = Reach()
        self._tokens = list(tokens(source))
        self._at = 0
        self._scopes: list[dict[str, Variable]] = [{}]
        self._protected = 0  # depth of pcall's arguments

    # tokens

    @property
    def token(self) -> Token:
        return self._tokens[self._at]

    @property
    def following(self) -> Token:
        return self._tokens[min(self._at + 1, len(self._tokens) - 1)]

    def step(self) -> Token:
        token = self.token
        self._at += token.kind != "end"
        return token

    def sees(self, *words: str) -> bool:
        return self.token.kind in ("keyword", "sign") and self.token.value in words

    def accept(self, word: str) -> bool:
        found = self.sees(word)
        if found:
            self.step()
        return found

    def expect(self, word: str) -> None:
        if not self.accept(word):
            near = self.token.value or "the end"
            raise LuaSyntaxError(f"'{word}' expected near '{near}'", self.token.line)

    def name(self) -> str:
        if self.token.kind != "name":
            raise LuaSyntaxError(f"a name expected near '{self.token.value}'", self.token.line)
        return self.step().value

    # names

    def declare(self, name: str, value: Value = None, *, settled: bool = True) -> None:
        self._scopes[-1][name] = Variable(value, settled)

    def lookup(self, name: str) -> Variable | None:
        return next((scope[name] for scope in reversed(self._scopes) if name in scope), None)

    def use(self, expression: Expression, manner: Manner) -> None:
        """Note the manner in which an expression's open paths are used."""
        for path, line in expression.open:
            self.reach.uses.append(Use(path, "test" if self._protected else manner, line))
        expression.open = []

    # expressions

    @abstractmethod
    def function_body(self, *, method: bool = False) -> None:
        """Read a function from its parameters to its end."""

    def expressions(self) -> list[Expression]:
        """A list of them, with commas between."""
        found = [self.expression()]
        while self.accept(","):
            found.append(self.expression())
        return found

    def expression(self, power: int = 0) -> Expression:
        left = self._operand()
        while (powers := self._binary_powers()) and powers[0] > power:
            operator = self.step().value
            right = self.expression(powers[1])
            left = self._combine(operator, left, right)
        return left

    def _binary_powers(self) -> tuple[int, int] | None:
        is_word = self.token.kind in ("sign", "keyword")
        return _BINARY.get(self.token.value) if is_word else None

    def _combine(self, operator: str, left: Expression, right: Expression) -> Expression:
        if operator in ("and", "or"):
            self.use(left, "test")
            return Expression(open=right.open)
        manner: Manner = "test" if operator in ("==", "~=") else "read"
        self.use(left, manner)
        self.use(right, manner)
        if operator == ".." and isinstance(left.value, Text):
            tail = right.value
            if not left.value.whole or not isinstance(tail, Text):
                return Expression((Text(left.value.value, whole=False),))
            return Expression((Text(left.value.value + tail.value, tail.whole),))
        return Expression()

    def _operand(self) -> Expression:
        if self.sees("not", "-", "#"):
            manner: Manner = "test" if self.step().value == "not" else "read"
            self.use(self.expression(_UNARY), manner)
            return Expression()
        if self.token.kind == "text":
            return Expression((Text(self.step().value),))
        if self.token.kind == "number" or self.sees("nil", "true", "false", "..."):
            self.step()
            return Expression()
        if self.sees("{"):
            self._constructor()
            return Expression()
        if self.accept("function"):
            self.function_body()
            return Expression()
        return self.suffixed()

    def _constructor(self) -> None:
        self.expect("{")
        while not self.accept("}"):
            if self.accept("["):
                self.use(self.expression(), "read")
                self.expect("]")
                self.expect("=")
            elif self.token.kind == "name" and self.following.value == "=":
                self.step()
                self.step()
            self.use(self.expression(), "keep")
            if not self.accept(",") and not self.accept(";") and not self.sees("}"):
                self.expect("}")

    def suffixed(self) -> Expression:
        """A name or something in brackets, and the fields, indices and calls after it."""
        found = self._primary()
        while True:
            line = self.token.line
            if self.accept("."):
                found = self._field(found, Text(self.name()), line)
            elif self.accept("["):
                index = self.expression()
                self.use(index, "read")
                self.expect("]")
                found = self._field(found, index.value, line)
            elif self.accept(":"):
                found = self._call(self._field(found, Text(self.name()), line), line)
            elif self.sees("(", "{") or self.token.kind == "text":
                found = self._call(found, line)
            else:
                return found

    def _primary(self) -> Expression:
        if self.accept("("):
            inner = self.expression()
            self.expect(")")
            return Expression((inner.value,), inner.open)
        line, name = self.token.line, self.name()
        variable = self.lookup(name)
        if not variable:
            return self._reached(Path(None, (name,)), line)
        value = variable.value
        found = self._reached(value, line) if isinstance(value, Path) else Expression((value,))
        found.variable = variable
        return found

    def _reached(self, path: Path, line: int) -> Expression:
        return Expression((path,), [(path, line)] if path.names else [])

    def _field(self, base: Expression, key: Value, line: int) -> Expression:
        if isinstance(base.value, Path) and isinstance(key, Text) and key.whole:
            return self._reached(base.value / key.value, line)
        self.use(base, "read")
        return Expression()

    def _call(self, callee: Expression, line: int) -> Expression:
        function = callee.value
        known = _global_name(function)
        self.use(callee, "call")
        protects = known in ("pcall", "xpcall")
        self._protected += protects
        arguments = self._arguments()
        self._protected -= protects
        for argument in arguments:
            self.use(argument, "test" if known in _TESTING else "read")
        values: Sequence[Value] = (None,)
        if known == "require":
            values = (self._require(arguments[:1], line, optional=self._protected > 0),)
        elif known == "pcall" and arguments and arguments[0].value == Path(None, ("require",)):
            values = (None, self._require(arguments[1:2], line, optional=True))
        return Expression(values, is_call=True)

    def _arguments(self) -> list[Expression]:
        if self.token.kind == "text":
            return [Expression((Text(self.step().value),))]
        if self.sees("{"):
            self._constructor()
            return [Expression()]
        self.expect("(")
        found = [] if self.sees(")") else self.expressions()
        self.expect(")")
        return found

    def _require(self, arguments: Sequence[Expression], line: int, *, optional: bool) -> Value:
        name = arguments[0].value if arguments else None
        if not isinstance(name, Text):
            return None
        self.reach.requires.append(Require(name.value, line, optional, name.whole))
        return Path(name.value) if name.whole else None


def _global_name(value: Value) -> str | None:
    """The name of the global variable that the value is, or None."""
    if isinstance(value, Path) and value.module is None and len(value.names) == 1:
        return value.names[0]
    return None
