"""The grammar of expressions: text in, a tree out, or one sentence that says where the text goes wrong.

A tokenizer and a Pratt parser (Pratt 1973, "Top down operator precedence") over an allow-list; nothing is ever passed
to Python's own evaluator. Comparisons bind tighter than `&` and `|`, as in SQL and unlike Python: `a > 1 & b` means
`(a > 1) & b`. From loose to tight: `|` or, `&` and, `not`, comparisons (chained) and `in (...)`, `+ -`, `* / %`,
unary `- ~`, `**`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gnnlib.catalog.functions import FUNCTIONS
from gnnlib.errors import InputError

MAX_LENGTH = 2000
MAX_DEPTH = 60
MAX_TOKENS = 400

COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
_BINDING = {"|": 1, "&": 2, **dict.fromkeys((*COMPARISONS, "in", "not"), 4)}
_BINDING |= {"+": 5, "-": 5, "*": 6, "/": 6, "%": 6, "**": 8}
_NOT, _UNARY = 3, 7
_WORDS = {"and": "&", "or": "|", "not": "not", "in": "in", "AND": "&", "OR": "|", "NOT": "not", "IN": "in"}
_SIGNS = {"&&": "&", "||": "|"}

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
  | `(?P<quoted>[^`]+)`
  | (?P<text>'[^']*'|"[^"]*")
  | (?P<name>[^\W\d]\w*)
  | (?P<operator>\*\*|<=|>=|==|!=|&&|\|\||[-+*/%<>&|~(),])
)""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Node:
    """A tree. kind: number, name, text, call, negate, invert, binary, compare or in; value: what it holds (a number, a
    name, an operator, ...); parts: its operands; at: where it starts in the text, from 0.
    """

    kind: str
    value: Any
    parts: tuple[Node, ...] = ()
    at: int = 0

    def walk(self) -> Iterator[Node]:
        """This node and all below it, in the order of the text."""
        yield self
        for part in self.parts:
            yield from part.walk()


@dataclass(frozen=True)
class _Token:
    kind: str  # number, name, quoted, text, operator, end
    text: str
    at: int


@lru_cache(maxsize=512)
def parse(expression: str) -> Node:
    """The tree of an expression. Raises InputError for anything that is not in the grammar."""
    return _Parser(expression).parse()


def quote(name: str) -> str:
    """A column's name as it must be written inside an expression: with backticks unless it is a plain word."""
    return name if re.fullmatch(r"[^\W\d]\w*", name) and name not in _WORDS and name not in FUNCTIONS else f"`{name}`"


def shorten(text: str) -> str:
    """A text from outside on one line of at most 60 characters, for a message."""
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:57]}..."


class _Parser:
    def __init__(self, expression: str) -> None:
        if len(expression) > MAX_LENGTH:
            raise InputError(f"The expression is {len(expression)} characters long; the limit is {MAX_LENGTH}.")
        if not expression.strip():
            raise InputError("The expression is empty; write one such as 'mass > 1e10'.")
        self.source = expression
        self.tokens = _tokens(expression)
        if len(self.tokens) > MAX_TOKENS:
            raise InputError(f"The expression has more than {MAX_TOKENS} parts; write it more simply.")
        self.next = 0
        self.depth = 0

    def parse(self) -> Node:
        tree = self._expression(0)
        if self._peek().kind != "end":
            raise self._unexpected(self._peek())
        return tree

    def _peek(self) -> _Token:
        return self.tokens[self.next]

    def _take(self) -> _Token:
        token = self.tokens[self.next]
        self.next += 1
        return token

    def _at(self, operator: str) -> bool:
        return (self._peek().kind, self._peek().text) == ("operator", operator)

    def _expect(self, operator: str) -> None:
        if not self._at(operator):
            raise self._unexpected(self._peek(), f" where '{operator}' was expected")
        self.next += 1

    def _unexpected(self, token: _Token, wanted: str = "") -> InputError:
        what = (
            "ends too early"
            if token.kind == "end"
            else f"has an unexpected '{token.text[:30]}' at character {token.at + 1}"
        )
        return InputError(f"The expression '{shorten(self.source)}' {what}{wanted}.")

    def _expression(self, binding: int) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise InputError(f"The expression is nested deeper than {MAX_DEPTH} levels; write it more simply.")
        left = self._prefix()
        while (token := self._peek()).kind == "operator" and _BINDING.get(token.text, -1) > binding:
            left = self._infix(left, token)
        self.depth -= 1
        return left

    def _prefix(self) -> Node:
        token = self._take()
        if token.kind in ("number", "text"):
            return Node(token.kind, _literal(token), at=token.at)
        if token.kind == "quoted":
            return Node("name", token.text, at=token.at)
        if token.kind == "name":
            return self._call(token) if self._at("(") else Node("name", token.text, at=token.at)
        if token.text == "(":
            inner = self._expression(0)
            self._expect(")")
            return inner
        if token.text == "not":
            return Node("invert", "not", (self._expression(_NOT),), token.at)
        if token.text == "~":
            return Node("invert", "~", (self._expression(_UNARY),), token.at)
        if token.text == "-":
            return Node("negate", "-", (self._expression(_UNARY),), token.at)
        if token.text == "+":
            return self._expression(_UNARY)
        raise self._unexpected(token)

    def _call(self, token: _Token) -> Node:
        name = token.text
        if name not in FUNCTIONS:
            close = difflib.get_close_matches(name.lower(), FUNCTIONS, 1, 0.6)
            some = "log10, sqrt, abs, min, max, where, isnan, median, percentile, overdensity"
            remedy = f"did you mean '{close[0]}'?" if close else f"there are {some} and others."
            raise InputError(f"There is no function '{name[:40]}' (character {token.at + 1}); {remedy}")
        self._expect("(")
        parts = [] if self._at(")") else [self._expression(0)]
        while parts and self._at(","):
            self.next += 1
            parts.append(self._expression(0))
        self._expect(")")
        function = FUNCTIONS[name]
        if not function.least <= len(parts) <= function.most:
            least, most = function.least, function.most
            wanted = f"{least} value{'s' * (least > 1)}" if least == most else f"{least} to {most} values"
            raise InputError(f"The function {name} takes {wanted}, as in {function.usage}, not {len(parts)}.")
        return Node("call", name, tuple(parts), token.at)

    def _infix(self, left: Node, token: _Token) -> Node:
        binding = _BINDING[token.text]
        if token.text in ("in", "not"):
            return self._among(left)
        if token.text not in COMPARISONS:
            self.next += 1
            # `**` groups from the right, the others from the left.
            right = self._expression(binding - 1 if token.text == "**" else binding)
            return Node("binary", token.text, (left, right), token.at)
        chain, operators = [left], []
        while (token := self._peek()).kind == "operator" and token.text in COMPARISONS:
            operators.append(self._take().text)
            chain.append(self._expression(binding))
        return Node("compare", tuple(operators), tuple(chain), left.at)

    def _among(self, left: Node) -> Node:
        """`left in (1, 2)` or `left not in ('E', 'S0')`."""
        token = self._take()
        if token.text == "not":
            self._expect("in")
        self._expect("(")
        listed = [self._listed()]
        while self._at(","):
            self.next += 1
            listed.append(self._listed())
        self._expect(")")
        found = Node("in", tuple(listed), (left,), token.at)
        return Node("invert", "not", (found,), token.at) if token.text == "not" else found

    def _listed(self) -> int | float | str:
        negative = self._at("-")
        self.next += negative
        token = self._take()
        if token.kind == "number":
            return -_literal(token) if negative else _literal(token)
        if token.kind != "text" or negative:
            raise self._unexpected(token, " where a number or a text in quotes was expected")
        return _literal(token)


def _literal(token: _Token) -> Any:
    if token.kind == "text":
        return token.text[1:-1]
    whole = token.text.isdecimal() and len(token.text) <= 19  # an id of 19 digits must not become a float
    return int(token.text) if whole else float(token.text)


def _tokens(expression: str) -> list[_Token]:
    tokens, at = [], 0
    stripped = expression.rstrip()
    while at < len(stripped):
        found = _TOKEN.match(stripped, at)
        if not found:
            start = at + len(stripped[at:]) - len(stripped[at:].lstrip())
            hint = "; write == to compare" if stripped[start] == "=" else ""
            hint = "; put names with odd characters between backticks" if stripped[start] in ".[]{}:?" else hint
            what = f"has '{stripped[start]}' at character {start + 1}, which means nothing there"
            raise InputError(f"The expression '{shorten(expression)}' {what}{hint}.")
        kind = str(found.lastgroup)
        text = found[kind]
        words = _WORDS if kind == "name" else _SIGNS if kind == "operator" else {}
        if text in words:
            kind, text = "operator", words[text]
        tokens.append(_Token(kind, text, found.start(str(found.lastgroup)) - (kind == "quoted")))
        at = found.end()
    return [*tokens, _Token("end", "", len(stripped))]
