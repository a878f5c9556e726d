"""From the text of a formula to a tree of allowed operations. Text is never run as code: what is not listed is refused.

    sum      = product {("+" | "-") product}
    product  = signed {("*" | "/") signed}
    signed   = {"+" | "-"} power
    power    = atom [("**" | "^") signed]
    atom     = number | "x" | "pi" | parameter | function "(" sum ")" | "(" sum ")"

Length, nesting and the number of operations are bounded, so reading takes a bounded time.
"""

from __future__ import annotations

import keyword
import math
import re
from dataclasses import dataclass

__all__ = ["FUNCTIONS", "Apply", "Binary", "Name", "Node", "Number", "parse"]

FUNCTIONS = (
    *("abs", "atan", "cos", "cosh", "erf", "exp", "log", "relu", "sigmoid"),
    *("sign", "sin", "sinc", "sinh", "softplus", "sqrt", "tan", "tanh"),
)
MOST_CHARACTERS = 300
MOST_NESTING = 30  # brackets, signs and powers inside each other
MOST_OPERATIONS = 150
MOST_PARAMETERS = 8
LONGEST_NAME = 24
_TOKEN = re.compile(
    r" *(?:(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<sign>\*\*|[-+*/^()]))"
)


@dataclass(frozen=True)
class Number:
    """A constant."""

    value: float


@dataclass(frozen=True)
class Name:
    """``x`` or a parameter."""

    name: str


@dataclass(frozen=True)
class Apply:
    """A function of one argument: one of ``FUNCTIONS``, or ``neg``."""

    function: str
    argument: Node


@dataclass(frozen=True)
class Binary:
    """``left`` and ``right`` under one of + - * / **. ``column`` is where the sign stands."""

    sign: str
    left: Node
    right: Node
    column: int


Node = Number | Name | Apply | Binary


def parse(text: str) -> tuple[Node, tuple[str, ...]]:
    """The tree of a formula, and the names of its parameters in the order of their first appearance.

    Raises:
        ValueError: with a sentence that names the column, from 1.
    """
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"a formula has at most {MOST_CHARACTERS} characters, got {len(text)}")
    reader = _Reader(text)
    tree = reader.sum(0)
    if reader.token.kind != "end":
        raise reader.error(f"{reader.token.text!r} is not expected here")
    return tree, tuple(reader.parameters)


@dataclass(frozen=True)
class _Token:
    kind: str  # number, name, sign or end
    text: str
    column: int


class _Reader:
    """Recursive descent with one token of lookahead; ``depth`` counts what is open."""

    def __init__(self, text: str) -> None:
        self._text, self._position = text, 0
        self._operations = 0
        self.parameters: list[str] = []
        self.token = self._next()

    def error(self, what: str, column: int | None = None) -> ValueError:
        place = self.token.column if column is None else column
        return ValueError(f"the formula {self._text!r} cannot be read at column {place}: {what}")

    def sum(self, depth: int) -> Node:
        node = self._product(depth)
        while self.token.text in ("+", "-"):
            sign = self._take()
            node = self._binary(sign, node, self._product(depth))
        return node

    def _product(self, depth: int) -> Node:
        node = self._signed(depth)
        while self.token.text in ("*", "/"):
            sign = self._take()
            node = self._binary(sign, node, self._signed(depth))
        return node

    def _signed(self, depth: int) -> Node:
        self._open(depth)
        if self.token.text not in ("+", "-"):
            return self._power(depth)
        sign = self._take()
        node = self._signed(depth + 1)
        return node if sign.text == "+" else self._apply("neg", node)

    def _power(self, depth: int) -> Node:
        base = self._atom(depth)
        if self.token.text not in ("**", "^"):
            return base
        sign = self._take()
        return self._binary(_Token("sign", "**", sign.column), base, self._signed(depth + 1))

    def _atom(self, depth: int) -> Node:
        token = self.token
        if token.text == "(":
            return self._bracket(depth)
        if token.kind == "number":
            self._take()
            value = float(token.text)
            if not math.isfinite(value):
                raise self.error(f"the number {token.text} is too large", token.column)
            return Number(value)
        if token.kind == "name":
            return self._named(self._take(), depth)
        raise self.error("it ends too early" if token.kind == "end" else f"{token.text!r} is not expected here")

    def _bracket(self, depth: int) -> Node:
        opened = self._take()
        node = self.sum(depth + 1)
        if self.token.text != ")":
            raise self.error(f"the bracket of column {opened.column} is not closed")
        self._take()
        return node

    def _named(self, token: _Token, depth: int) -> Node:
        name = token.text
        if self.token.text == "(":
            if name not in FUNCTIONS:
                raise self.error(f"{name!r} is no function; there are {', '.join(FUNCTIONS)}", token.column)
            return self._apply(name, self._bracket(depth))
        if name in FUNCTIONS:
            raise self.error(f"{name} is a function: write {name}(...)", token.column)
        if name == "pi":
            return Number(math.pi)
        if name != "x":
            self._parameter(token)
        return Name(name)

    def _parameter(self, token: _Token) -> None:
        name = token.text
        if name == "sigma_a":
            message = "sigma_a is the horizontal scale of the whole formula, f(x / sigma_a); choose another name"
            raise self.error(message, token.column)
        if name.startswith("_") or name == "family" or keyword.iskeyword(name) or len(name) > LONGEST_NAME:
            raise self.error(f"{name[:LONGEST_NAME]!r} cannot be the name of a parameter", token.column)
        if name not in self.parameters:
            self.parameters.append(name)
        if len(self.parameters) > MOST_PARAMETERS:
            raise self.error(f"a formula has at most {MOST_PARAMETERS} parameters", token.column)

    def _binary(self, sign: _Token, left: Node, right: Node) -> Node:
        self._count()
        return Binary(sign.text, left, right, sign.column)

    def _apply(self, function: str, argument: Node) -> Node:
        self._count()
        return Apply(function, argument)

    def _count(self) -> None:
        self._operations += 1
        if self._operations > MOST_OPERATIONS:
            raise self.error(f"a formula has at most {MOST_OPERATIONS} operations")

    def _open(self, depth: int) -> None:
        if depth > MOST_NESTING:
            raise self.error(f"it is nested more than {MOST_NESTING} deep")

    def _take(self) -> _Token:
        token, self.token = self.token, self._next()
        return token

    def _next(self) -> _Token:
        rest = len(self._text) - len(self._text[self._position :].lstrip(" "))
        if rest == len(self._text):
            return _Token("end", "", rest + 1)
        match = _TOKEN.match(self._text, self._position)
        if match is None or match.lastgroup is None:
            raise ValueError(
                f"the formula {self._text!r} cannot be read at column {rest + 1}: "
                f"{self._text[rest]!r} is no part of a formula"
            )
        self._position = match.end()
        return _Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup) + 1)
